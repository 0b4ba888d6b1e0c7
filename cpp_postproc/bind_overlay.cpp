// Bindings of painting over pictures.
#include "bind_mask_runs.h"
#include "overlay.h"

namespace segrt {
namespace {

void check_picture(const py::array& array, const char* name) {
    if (!py::isinstance<ByteArray>(array) || array.ndim() != 3 || array.shape(2) != 3 || array.strides(2) != 1 ||
        (array.shape(1) > 1 && array.strides(1) != 3)) {
        refuse(name, "uint8 with shape (H, W, 3) and contiguous rows", array);
    }
}

Canvas canvas_of(py::array& array, const char* name) {
    check_picture(array, name);
    if (!array.writeable()) {
        refuse(name, "writable", array);
    }
    return {static_cast<std::uint8_t*>(array.mutable_data()), array.shape(0), array.shape(1), array.strides(0)};
}

template <class T>
std::span<const T> flat(const py::array& array, const char* name, const char* wanted) {
    if (!py::isinstance<py::array_t<T>>(array) || (array.flags() & py::array::c_style) == 0) {
        refuse(name, wanted, array);
    }
    return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

void paint_regions_(const py::array& image, const py::array& map, const SegmentIds& ids, const py::array& values,
                    float keep, const py::array& light, const py::array& painted, Index reach,
                    const std::array<std::uint8_t, 10>& weights, py::array out) {
    check_picture(image, "image");
    const PictureView picture{static_cast<const std::uint8_t*>(image.data()), image.shape(0), image.shape(1),
                              image.strides(0)};
    const ClassMap view = class_map(map, "map");
    const RegionTints tints{ids, flat<std::uint8_t>(values, "values", "uint8 with shape (N,)"), keep,
                            flat<float>(light, "light", "float32 with shape (256, 3)"),
                            flat<std::uint8_t>(painted, "painted", "uint8 with shape (256,)")};
    const Canvas canvas = canvas_of(out, "out");
    const py::gil_scoped_release release;
    paint_regions(picture, view, tints, {reach, weights}, canvas);
}

void paint_objects_(py::array canvas, const py::array& runs, const py::array& starts, bool by_columns,
                    const py::array& weights, const ClassIds& places, const ClassIds& tables, const py::array& light,
                    const py::array& keep) {
    const Canvas target = canvas_of(canvas, "canvas");
    const MaskRunsView masks = runs_view(runs, starts, "masks");
    const auto taps = flat<std::uint16_t>(weights, "weights", "uint16 with shape (K,)");
    const auto lights = flat<std::uint8_t>(light, "light", "uint8 with shape (T, 256, 4)");
    const auto keeps = flat<std::uint8_t>(keep, "keep", "uint8 with shape (T, 256, 4)");
    const py::gil_scoped_release release;
    paint_objects(target, masks, by_columns, taps, {places, tables, lights, keeps});
}

using SpriteParts = std::tuple<py::array, py::array, std::int64_t, std::int64_t>;

void paste_sprites_(py::array canvas, const std::vector<SpriteParts>& sprites) {
    const Canvas target = canvas_of(canvas, "canvas");
    std::vector<Sprite> laid;
    laid.reserve(sprites.size());
    for (const auto& [light, keep, left, top] : sprites) {
        const auto lights = flat<std::uint8_t>(light, "light", "uint8 with shape (h, w, 3)");
        const auto keeps = flat<std::uint8_t>(keep, "keep", "uint8 with light's shape");
        if (light.ndim() != 3 || light.shape(2) != 3) {
            refuse("light", "uint8 with shape (h, w, 3)", light);
        }
        if (keep.ndim() != 3 || !std::equal(light.shape(), light.shape() + 3, keep.shape())) {
            refuse("keep", "uint8 with light's shape", keep);
        }
        laid.push_back({lights.data(), keeps.data(), light.shape(0), light.shape(1), left, top});
    }
    const py::gil_scoped_release release;
    paste_sprites(target, laid);
}

}  // namespace

void bind_overlay(py::module_& module) {
    using namespace pybind11::literals;
    module.def("paint_regions", &paint_regions_, "image"_a, "map"_a, "ids"_a, "values"_a, "keep"_a, "light"_a,
               "painted"_a, "reach"_a, "weights"_a, "out"_a);
    module.def("paint_objects", &paint_objects_, "canvas"_a, "runs"_a, "starts"_a, "by_columns"_a, "weights"_a,
               "places"_a, "tables"_a, "light"_a, "keep"_a);
    module.def("paste_sprites", &paste_sprites_, "canvas"_a, "sprites"_a);
}

}  // namespace segrt
