// Bindings of semantic segmentation.
#include "argmax.h"
#include "binary.h"
#include "bind_arrays.h"
#include "query_semantic.h"

namespace segrt {
namespace {

// Calls function(map) with `out` as a map of the type that it has, uint8 or uint16; without the GIL.
template <class F>
std::int64_t with_class_map(py::array& out, F&& function) {
    checked_size({out.ndim() == 2 ? out.shape(0) : 0, out.ndim() == 2 ? out.shape(1) : 0});
    if (py::isinstance<ByteArray>(out)) {
        const auto map = writable_map<std::uint8_t>(out, "out");
        const py::gil_scoped_release release;
        return function(map);
    }
    const auto map = writable_map<std::uint16_t>(out, "out");
    const py::gil_scoped_release release;
    return function(map);
}

std::optional<Size> checked_processed(const std::optional<SizeTuple>& size) {
    return size ? std::optional<Size>(checked_size(*size)) : std::nullopt;
}

std::int64_t argmax_map_(const py::array& logits, py::array out, const WindowTuple& window,
                         const std::optional<SizeTuple>& processed_size, int threads) {
    const FloatStack stack = float_stack(logits, "logits", "(C, h, w)");
    const std::optional<Window> part = checked_window(window);
    const std::optional<Size> processed = checked_processed(processed_size);
    const int count = checked_threads(threads);
    return with_class_map(out, [&](auto map) { return argmax_map(stack, part, processed, count, map); });
}

std::int64_t query_semantic_(const py::array& class_logits, const py::array& mask_logits, py::array out,
                             const WindowTuple& window, const std::optional<SizeTuple>& processed_size, int threads) {
    const FloatTable classes = float_table(class_logits, "class_logits", "(Q, C+1)");
    const FloatStack masks = float_stack(mask_logits, "mask_logits", "(Q, h, w)");
    const std::optional<Window> part = checked_window(window);
    const std::optional<Size> processed = checked_processed(processed_size);
    const int count = checked_threads(threads);
    return with_class_map(out, [&](auto map) { return query_semantic(classes, masks, part, processed, count, map); });
}

std::int64_t binary_map_(const py::array& scores, py::array out, float threshold, bool probabilities,
                         std::uint8_t above, std::uint8_t below, const WindowTuple& window, int threads) {
    const FloatStack stack = float_stack(scores, "scores", "(1, h, w)");
    const std::optional<Window> part = checked_window(window);
    const int count = checked_threads(threads);
    checked_size({out.ndim() == 2 ? out.shape(0) : 0, out.ndim() == 2 ? out.shape(1) : 0});
    const auto map = writable_map<std::uint8_t>(out, "out");
    const BinaryCut cut{.probabilities = probabilities, .threshold = threshold, .object = above, .other = below};
    const py::gil_scoped_release release;
    return binary_map(stack, cut, part, count, map);
}

}  // namespace

void bind_semantic(py::module_& module) {
    using namespace pybind11::literals;
    module.def("argmax_map", &argmax_map_, "logits"_a, "out"_a, "window"_a, "processed_size"_a, "threads"_a);
    module.def("binary_map", &binary_map_, "scores"_a, "out"_a, "threshold"_a, "probabilities"_a, "above"_a, "below"_a,
               "window"_a, "threads"_a);
    module.def("query_semantic", &query_semantic_, "class_logits"_a, "mask_logits"_a, "out"_a, "window"_a,
               "processed_size"_a, "threads"_a);
}

}  // namespace segrt
