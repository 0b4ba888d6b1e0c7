// Bindings of semantic segmentation.
#include "argmax.h"
#include "binary.h"
#include "bind_arrays.h"
#include "blend.h"
#include "query_semantic.h"

#include <algorithm>
#include <iterator>
#include <span>

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

using Weights = std::optional<FloatArray>;
using ViewTuple = std::tuple<py::array, WindowTuple, Weights, Weights>;  // scores, window, weights of rows and columns

std::span<const float> weights_of(const Weights& weights, const char* name) {
    if (!weights) {
        return {};
    }
    if (weights->ndim() != 1 || (weights->shape(0) > 1 && weights->strides(0) != weights->itemsize())) {
        refuse(name, "contiguous, of shape (n,)", *weights);
    }
    return {weights->data(), static_cast<std::size_t>(weights->shape(0))};
}

ScoreView score_view(const ViewTuple& given) {
    const auto& [scores, window, rows, columns] = given;
    const FloatStack stack = float_stack(scores, "scores", "(C, h, w)");
    return {stack, checked_window(window).value_or(whole_window({stack.height, stack.width})),
            weights_of(rows, "row_weights"), weights_of(columns, "column_weights")};
}

void blend_map_(const std::vector<ViewTuple>& tiles, const std::optional<ViewTuple>& whole, const ByteArray& things,
                bool shares, py::array out, int threads) {
    std::vector<ScoreView> views;
    std::transform(tiles.begin(), tiles.end(), std::back_inserter(views), score_view);
    std::optional<TwoViews> both;
    if (whole) {
        if (things.ndim() != 1 || (things.shape(0) > 1 && things.strides(0) != 1)) {
            refuse("things", "contiguous, of shape (C,)", things);
        }
        both = TwoViews{score_view(*whole), {things.data(), static_cast<std::size_t>(things.shape(0))}, shares};
    }
    const int count = checked_threads(threads);
    with_class_map(out, [&](auto map) {
        blend_map(views, both, count, map);
        return std::int64_t{0};
    });
}

}  // namespace

void bind_semantic(py::module_& module) {
    using namespace pybind11::literals;
    module.def("argmax_map", &argmax_map_, "logits"_a, "out"_a, "window"_a, "processed_size"_a, "threads"_a);
    module.def("binary_map", &binary_map_, "scores"_a, "out"_a, "threshold"_a, "probabilities"_a, "above"_a, "below"_a,
               "window"_a, "threads"_a);
    module.def("blend_map", &blend_map_, "tiles"_a, "whole"_a, "things"_a, "shares"_a, "out"_a, "threads"_a);
    module.def("query_semantic", &query_semantic_, "class_logits"_a, "mask_logits"_a, "out"_a, "window"_a,
               "processed_size"_a, "threads"_a);
}

}  // namespace segrt
