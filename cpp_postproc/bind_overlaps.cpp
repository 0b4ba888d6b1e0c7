// Bindings of the counting under metrics.
#include <span>

#include "bind_arrays.h"
#include "overlaps.h"

namespace segrt {
namespace {

ClassMap color_map(const py::array& array, const char* name) {
    if (!py::isinstance<ByteArray>(array) || array.ndim() != 3 || (array.shape(2) != 3 && array.shape(2) != 4) ||
        array.strides(2) != 1) {
        refuse(name, "uint8 with shape (H, W, 3) or (H, W, 4) and contiguous pixels", array);
    }
    return {static_cast<const std::byte*>(array.data()),
            3,
            array.shape(0),
            array.shape(1),
            {array.strides(0), array.strides(1)}};
}

ClassMap id_map(const py::array& array, const char* name) {
    if (array.ndim() == 3) {
        return color_map(array, name);
    }
    const py::dtype dtype = array.dtype();
    const bool known = (dtype.kind() == 'u' && dtype.itemsize() <= 2) || (dtype.kind() == 'i' && dtype.itemsize() == 4);
    if (array.ndim() != 2 || !known || dtype.byteorder() == '>') {
        refuse(name, "uint8, uint16 or int32 with shape (H, W)", array);
    }
    return {static_cast<const std::byte*>(array.data()),
            dtype.itemsize(),
            array.shape(0),
            array.shape(1),
            {array.strides(0), array.strides(1)}};
}

IntArray count_overlaps_(const py::array& first, const py::array& second, const SegmentIds& first_ids,
                         const SegmentIds& second_ids) {
    const ClassMap one = id_map(first, "first");
    const ClassMap other = id_map(second, "second");
    IntArray counts({first_ids.size() + 1, second_ids.size() + 1});
    const std::span<std::int64_t> values(counts.mutable_data(), static_cast<std::size_t>(counts.size()));
    {
        const py::gil_scoped_release release;
        count_overlaps(one, other, first_ids, second_ids, values);
    }
    return counts;
}

IntArray count_ids_(const py::array& map, const SegmentIds& ids) {
    const ClassMap view = id_map(map, "map");
    IntArray counts(static_cast<Index>(ids.size() + 1));
    const std::span<std::int64_t> values(counts.mutable_data(), ids.size() + 1);
    {
        const py::gil_scoped_release release;
        count_ids(view, ids, values);
    }
    return counts;
}

void ids_of_colors_(const py::array& image, py::array out) {
    const ClassMap colors = color_map(image, "image");
    const auto ids = writable_map<std::int32_t>(out, "out");
    if (ids.height != colors.height || ids.width != colors.width) {
        refuse("out", "of the image's (H, W)", out);
    }
    const py::gil_scoped_release release;
    ids_of_colors(colors, ids);
}

}  // namespace

void bind_overlaps(py::module_& module) {
    using namespace pybind11::literals;
    module.def("count_overlaps", &count_overlaps_, "first"_a, "second"_a, "first_ids"_a, "second_ids"_a);
    module.def("count_ids", &count_ids_, "map"_a, "ids"_a);
    module.def("ids_of_colors", &ids_of_colors_, "image"_a, "out"_a);
}

}  // namespace segrt
