// Bindings of preprocessing.
#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "antialias.h"
#include "bind_arrays.h"
#include "preprocess.h"
#include "resize_floor.h"

namespace segrt {
namespace {

Picture checked_picture(const py::array& image) {
    if (!py::isinstance<ByteArray>(image) || image.ndim() != 3 || image.shape(2) != 3 || image.strides(2) != 1 ||
        (image.shape(1) > 1 && image.strides(1) != 3)) {
        refuse("image", "uint8 with shape (H, W, 3) and contiguous rows", image);
    }
    checked_size({image.shape(0), image.shape(1)});
    return {static_cast<const std::uint8_t*>(image.data()), image.shape(0), image.shape(1), image.strides(0)};
}

void check_resized(const ByteArray& out) {
    if (out.ndim() != 3 || out.shape(2) != 3 || !out.writeable() || (out.flags() & py::array::c_style) == 0) {
        refuse("out", "writable contiguous uint8 with shape (h, w, 3)", out);
    }
    checked_size({out.shape(0), out.shape(1)});
}

void resize_antialias_(const py::array& image, ByteArray out, bool cubic, int threads) {
    const Picture picture = checked_picture(image);
    check_resized(out);
    const int count = checked_threads(threads);
    std::uint8_t* target = out.mutable_data();
    const Index height = out.shape(0), width = out.shape(1);
    const py::gil_scoped_release release;
    resize_antialias(picture, cubic ? Filter::bicubic : Filter::bilinear, height, width, count, target);
}

void resize_floor_(const py::array& image, ByteArray out, int threads) {
    const Picture picture = checked_picture(image);
    check_resized(out);
    const int count = checked_threads(threads);
    std::uint8_t* target = out.mutable_data();
    const Index height = out.shape(0), width = out.shape(1);
    const py::gil_scoped_release release;
    resize_floor(picture, height, width, count, target);
}

void copy_picture_(const py::array& image, ByteArray out, const std::optional<py::array_t<std::int32_t>>& rows,
                   int threads) {
    const Picture picture = checked_picture(image);
    const Index height = rows ? rows->size() : image.shape(0);
    if (out.ndim() != 3 || !out.writeable() || (out.flags() & py::array::c_style) == 0 || out.shape(0) != height ||
        out.shape(1) != image.shape(1) || out.shape(2) != 3) {
        refuse("out", "writable contiguous uint8 of the shape of the image, or of its rows", out);
    }
    std::optional<std::span<const std::int32_t>> wanted;
    if (rows) {
        wanted.emplace(rows->data(), static_cast<std::size_t>(rows->size()));
    }
    const int count = checked_threads(threads);
    std::uint8_t* target = out.mutable_data();
    const py::gil_scoped_release release;
    copy_picture(picture, wanted, count, target);
}

// The taps of antialiased resizing along one axis: first (target), count (target), weights (target, most).
py::tuple antialias_taps_(Index source, Index target, bool cubic) {
    checked_size({source, target});
    const Filter filter = cubic ? Filter::bicubic : Filter::bilinear;
    const Index most = most_taps(filter, source, target);
    py::array_t<std::int32_t> first(target), count(target), weights({target, most});
    std::fill_n(weights.mutable_data(), weights.size(), 0);
    const auto span_of = [](py::array_t<std::int32_t>& array) {
        return std::span(array.mutable_data(), static_cast<std::size_t>(array.size()));
    };
    make_taps(filter, source, {span_of(first), span_of(count), span_of(weights), most});
    return py::make_tuple(first, count, weights);
}

void resize_normalize_(const py::array& image, py::array out, Index channel_axis, std::array<float, 3> factor,
                       std::array<float, 3> offset, bool swap_rb, int threads) {
    const Picture picture = checked_picture(image);
    if (!py::isinstance<FloatArray>(out) || out.ndim() != 3 || !out.writeable() ||
        (channel_axis != 0 && channel_axis != 2) || out.shape(channel_axis) != 3) {
        refuse("out", "writable float32 with shape (3, h, w) or (h, w, 3)", out);
    }
    const Index first = channel_axis == 0 ? 1 : 0;
    constexpr Index kBytes = sizeof(float);
    for (Index axis = 0; axis < 3; ++axis) {
        if (out.strides(axis) % kBytes != 0) {
            refuse("out", "aligned to its elements", out);
        }
    }
    checked_size({out.shape(first), out.shape(first + 1)});
    const FloatTarget target{static_cast<float*>(out.mutable_data()),
                             out.shape(first),
                             out.shape(first + 1),
                             out.strides(channel_axis) / kBytes,
                             out.strides(first) / kBytes,
                             out.strides(first + 1) / kBytes};
    const Normalization normalization{factor, offset, swap_rb};
    const int count = checked_threads(threads);
    const py::gil_scoped_release release;
    resize_normalize(picture, normalization, count, target);
}

}  // namespace

void bind_preprocess(py::module_& module) {
    using namespace pybind11::literals;
    module.def("resize_antialias", &resize_antialias_, "image"_a, py::arg("out").noconvert(), "cubic"_a, "threads"_a);
    module.def("resize_floor", &resize_floor_, "image"_a, py::arg("out").noconvert(), "threads"_a);
    module.def("copy_picture", &copy_picture_, "image"_a, py::arg("out").noconvert(), "rows"_a, "threads"_a);
    module.def("antialias_taps", &antialias_taps_, "source"_a, "target"_a, "cubic"_a);
    module.def("resize_normalize", &resize_normalize_, "image"_a, "out"_a, "channel_axis"_a, "factor"_a, "offset"_a,
               "swap_rb"_a, "threads"_a);
}

}  // namespace segrt
