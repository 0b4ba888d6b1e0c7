// Bindings of run-length codes.
#include "bind_arrays.h"
#include "rle.h"

namespace segrt {
namespace {

py::list encode_masks_(const py::array& masks, int threads) {
    const MaskStack stack = mask_stack(masks, "masks");
    if (stack.count > 0) {
        checked_size({stack.height, stack.width});
    }
    const int count = checked_threads(threads);
    Codes codes;
    {
        const py::gil_scoped_release release;
        encode_masks(stack, count, codes);
    }
    return bytes_list(codes);
}

void decode_masks_(const Codes& codes, py::array out, int threads) {
    std::uint8_t* pictures = writable_pictures(out, "out", static_cast<Index>(codes.size()));
    if (codes.empty()) {
        return;
    }
    const Size size = checked_size({out.shape(1), out.shape(2)});
    const int count = checked_threads(threads);
    const py::gil_scoped_release release;
    decode_masks(codes, size, count, pictures);
}

// Areas, and boxes as left, top, right, bottom, from codes that share a size.
py::tuple measure_codes_(const Codes& codes, SizeTuple size) {
    const Size target = checked_size(size);
    const auto count = static_cast<Index>(codes.size());
    IntArray areas(count);
    IntArray boxes({count, Index{4}});
    std::vector<std::uint32_t> counts;
    for (Index i = 0; i < count; ++i) {
        unpack_counts(codes[static_cast<std::size_t>(i)], target.height, target.width, counts);
        const PixelBox box = box_of_counts(counts, target.height);
        areas.mutable_at(i) = area_of_counts(counts);
        boxes.mutable_at(i, 0) = box.left;
        boxes.mutable_at(i, 1) = box.top;
        boxes.mutable_at(i, 2) = box.right;
        boxes.mutable_at(i, 3) = box.bottom;
    }
    return py::make_tuple(areas, boxes);
}

}  // namespace

void bind_rle(py::module_& module) {
    using namespace pybind11::literals;
    module.def("encode_masks", &encode_masks_, "masks"_a, "threads"_a);
    module.def("decode_masks", &decode_masks_, "codes"_a, "out"_a, "threads"_a);
    module.def("measure_codes", &measure_codes_, "codes"_a, "size"_a);
}

}  // namespace segrt
