// Bindings of the colours under masks.
#include "bind_mask_runs.h"
#include "color_counts.h"

namespace segrt {
namespace {

// Returns float64 (N, 512).
py::array_t<double> color_counts_(const py::array& image, const py::array& runs, const py::array& starts,
                                  bool by_columns, Index looked_at) {
    if (!py::isinstance<ByteArray>(image) || image.ndim() != 3 || image.shape(2) != 3 ||
        (image.flags() & py::array::c_style) == 0) {
        refuse("image", "uint8 with shape (H, W, 3), contiguous", image);
    }
    const PictureView picture{static_cast<const std::uint8_t*>(image.data()), image.shape(0), image.shape(1),
                              image.strides(0)};
    const MaskRunsView masks = runs_view(runs, starts, "masks");
    py::array_t<double> counts({starts.shape(0) - 1, kColors});
    const std::span<double> all(counts.mutable_data(), static_cast<std::size_t>(counts.size()));
    const py::gil_scoped_release release;
    color_counts(picture, masks, by_columns, looked_at, all);
    return counts;
}

}  // namespace

void bind_color_counts(py::module_& module) {
    using namespace pybind11::literals;
    module.def("color_counts", &color_counts_, "image"_a, "runs"_a, "starts"_a, "by_columns"_a, "looked_at"_a);
}

}  // namespace segrt
