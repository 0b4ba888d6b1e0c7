// Bindings of instance segmentation.
#include <memory>
#include <stdexcept>

#include "bind_arrays.h"
#include "instances.h"
#include "kept_memory.h"

namespace segrt {
namespace {

ScoreAt score_at_of(const std::string& name) {
    if (name == "grid") {
        return ScoreAt::grid;
    }
    if (name == "processed") {
        return ScoreAt::processed;
    }
    if (name == "picture") {
        return ScoreAt::picture;
    }
    throw std::invalid_argument("score_at must be grid, processed or picture, but got " + name);
}

py::tuple query_instances_(const py::array& class_logits, const py::array& mask_logits, SizeTuple size, Index top_k,
                           float score_threshold, const std::string& activation, bool weigh_by_mask,
                           const std::string& score_at, const std::optional<SizeTuple>& processed_size,
                           const WindowTuple& window, int threads) {
    if (activation != "softmax" && activation != "sigmoid") {
        throw std::invalid_argument("activation must be softmax or sigmoid, but got " + activation);
    }
    if (top_k < 0) {
        throw std::invalid_argument("top_k must be at least 0, but got " + std::to_string(top_k));
    }
    QueryInstanceOptions options{
        .top_k = top_k,
        .score_threshold = score_threshold,
        .activation = activation == "softmax" ? Activation::softmax : Activation::sigmoid,
        .weigh_by_mask = weigh_by_mask,
        .score_at = score_at_of(score_at),
        .processed_size = std::nullopt,
        .window = checked_window(window),
        .threads = checked_threads(threads),
    };
    if (processed_size) {
        options.processed_size = checked_size(*processed_size);
    }
    const FloatTable classes = float_table(class_logits, "class_logits", "(Q, C+1)");
    const FloatStack masks = float_stack(mask_logits, "mask_logits", "(Q, h, w)");
    const Size target = checked_size(size);
    QueryInstances found;
    {
        const py::gil_scoped_release release;
        found = query_instances(classes, masks, target, options);
    }
    const auto count = static_cast<Index>(found.instances.size());
    IntArray class_ids(count);
    FloatArray scores(count);
    FloatArray boxes({count, Index{4}});
    IntArray mask_of(count);
    for (Index i = 0; i < count; ++i) {
        const Instance& instance = found.instances[static_cast<std::size_t>(i)];
        class_ids.mutable_at(i) = instance.class_id;
        scores.mutable_at(i) = instance.score;
        mask_of.mutable_at(i) = instance.mask;
        boxes.mutable_at(i, 0) = instance.left;
        boxes.mutable_at(i, 1) = instance.top;
        boxes.mutable_at(i, 2) = instance.right;
        boxes.mutable_at(i, 3) = instance.bottom;
    }
    return py::make_tuple(class_ids, scores, boxes, mask_of, bytes_list(found.codes), found.nonfinite);
}

PasteRule paste_rule(const std::string& rule) {
    if (rule == "torchvision") {
        return PasteRule::torchvision;
    }
    if (rule == "detectron2") {
        return PasteRule::detectron2;
    }
    throw std::invalid_argument("rule must be torchvision or detectron2, but got " + rule);
}

// A bool array of this shape whose memory is used again once the last view of it is gone, and whether it is all false.
py::tuple lent_pictures_(Index count, SizeTuple size) {
    const Size each = checked_size(size);
    if (count < 0) {
        throw std::invalid_argument("count must be at least 0, but got " + std::to_string(count));
    }
    struct Lent {
        std::byte* data;
        std::size_t bytes;
    };
    const std::size_t bytes =
        static_cast<std::size_t>(count) * static_cast<std::size_t>(each.height) * static_cast<std::size_t>(each.width);
    auto lent = std::make_unique<Lent>(Lent{nullptr, bytes});
    const KeptMemory memory = take_memory(bytes);
    lent->data = memory.data;
    const py::capsule owner(lent.release(), [](void* pointer) {
        const std::unique_ptr<Lent> own(static_cast<Lent*>(pointer));
        give_memory(own->data, own->bytes);
    });
    return py::make_tuple(py::array(py::dtype("bool"), {count, each.height, each.width}, memory.data, owner),
                          memory.zeroed);
}

std::int64_t paste_masks_(const py::array& masks, const py::array& boxes, py::array out, bool zeroed, float threshold,
                          const std::string& rule, int threads) {
    const FloatStack stack = float_stack(masks, "masks", "(N, m, m)");
    const FloatTable table = float_table(boxes, "boxes", "(N, 4)");
    std::uint8_t* pictures = writable_pictures(out, "out", stack.count);
    const Size size = checked_size({out.shape(1), out.shape(2)});
    const PasteRule chosen = paste_rule(rule);
    const int count = checked_threads(threads);
    const py::gil_scoped_release release;
    return paste_masks(stack, table, chosen, threshold, size, count, pictures, zeroed);
}

py::tuple paste_masks_rle_(const py::array& masks, const py::array& boxes, SizeTuple size, float threshold,
                           const std::string& rule, int threads) {
    const FloatStack stack = float_stack(masks, "masks", "(N, m, m)");
    const FloatTable table = float_table(boxes, "boxes", "(N, 4)");
    const Size target = checked_size(size);
    const PasteRule chosen = paste_rule(rule);
    const int count = checked_threads(threads);
    Codes codes;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = paste_masks_rle(stack, table, chosen, threshold, target, count, codes);
    }
    return py::make_tuple(bytes_list(codes), nonfinite);
}

py::tuple whole_masks_rle_(const py::array& masks, SizeTuple size, float threshold, const WindowTuple& window,
                           int threads) {
    const FloatStack stack = float_stack(masks, "masks", "(N, h, w)");
    const Size target = checked_size(size);
    const std::optional<Window> part = checked_window(window);
    const int count = checked_threads(threads);
    Codes codes;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = whole_masks_rle(stack, threshold, target, count, codes, part);
    }
    return py::make_tuple(bytes_list(codes), nonfinite);
}

py::tuple stepwise_masks_rle_(const py::array& masks, SizeTuple size, float threshold, SizeTuple processed,
                              const WindowTuple& window, int threads) {
    const FloatStack stack = float_stack(masks, "masks", "(N, h, w)");
    const Size target = checked_size(size), between = checked_size(processed);
    const StepwiseMasks steps{threshold, between, checked_window(window).value_or(whole_window(between))};
    const int count = checked_threads(threads);
    Codes codes;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = stepwise_masks_rle(stack, steps, target, count, codes);
    }
    return py::make_tuple(bytes_list(codes), nonfinite);
}

py::tuple prototype_masks_rle_(const py::array& prototypes, const py::array& coefficients, const py::array& boxes,
                               SizeTuple size, const WindowTuple& window, const std::optional<SizeTuple>& processed,
                               bool compat, int threads) {
    const FloatStack stack = float_stack(prototypes, "prototypes", "(P, h, w)");
    const FloatTable weights = float_table(coefficients, "coefficients", "(N, P)");
    const FloatTable table = float_table(boxes, "boxes", "(N, 4)");
    const Size target = checked_size(size);
    PrototypeMaskOptions options{
        .window = checked_window(window), .processed = {}, .compat = compat, .threads = checked_threads(threads)};
    if (processed) {
        options.processed = checked_size(*processed);
    }
    Codes codes;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = prototype_masks_rle(stack, weights, table, target, options, codes);
    }
    return py::make_tuple(bytes_list(codes), nonfinite);
}

}  // namespace

void bind_instances(py::module_& module) {
    using namespace pybind11::literals;
    module.def("query_instances", &query_instances_, "class_logits"_a, "mask_logits"_a, "size"_a, "top_k"_a,
               "score_threshold"_a, "activation"_a, "weigh_by_mask"_a, "score_at"_a, "processed_size"_a, "window"_a,
               "threads"_a);
    module.def("lent_pictures", &lent_pictures_, "count"_a, "size"_a);
    module.def("paste_masks", &paste_masks_, "masks"_a, "boxes"_a, "out"_a, "zeroed"_a, "threshold"_a, "rule"_a,
               "threads"_a);
    module.def("paste_masks_rle", &paste_masks_rle_, "masks"_a, "boxes"_a, "size"_a, "threshold"_a, "rule"_a,
               "threads"_a);
    module.def("whole_masks_rle", &whole_masks_rle_, "masks"_a, "size"_a, "threshold"_a, "window"_a, "threads"_a);
    module.def("stepwise_masks_rle", &stepwise_masks_rle_, "masks"_a, "size"_a, "threshold"_a, "processed"_a,
               "window"_a, "threads"_a);
    module.def("prototype_masks_rle", &prototype_masks_rle_, "prototypes"_a, "coefficients"_a, "boxes"_a, "size"_a,
               "window"_a, "processed"_a, "compat"_a, "threads"_a);
}

}  // namespace segrt
