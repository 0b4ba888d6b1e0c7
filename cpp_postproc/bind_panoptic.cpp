// Bindings of panoptic segmentation.
#include <stdexcept>
#include <variant>

#include "bind_arrays.h"
#include "group_centers.h"
#include "labelled_queries.h"
#include "merge_instances.h"
#include "merge_queries.h"
#include "resize_by_way.h"

namespace segrt {
namespace {

py::list segment_list(const std::vector<Segment>& segments) {
    py::list list;
    for (const Segment& s : segments) {
        list.append(py::make_tuple(s.id, s.class_id, s.score, s.area, py::make_tuple(s.left, s.top, s.width, s.height),
                                   s.query));
    }
    return list;
}

MergeRule merge_rule(const std::string& rule) {
    if (rule == "maskformer") {
        return MergeRule::maskformer;
    }
    if (rule == "mask2former") {
        return MergeRule::mask2former;
    }
    if (rule == "eomt") {
        return MergeRule::eomt;
    }
    if (rule == "detr") {
        return MergeRule::detr;
    }
    throw std::invalid_argument("rule must be maskformer, mask2former, eomt or detr, but got " + rule);
}

py::tuple merge_queries_(const py::array& class_logits, const py::array& mask_logits, py::array out,
                         const std::string& rule, float score_threshold, double overlap_threshold,
                         const ClassIds& stuff_classes, const std::optional<SizeTuple>& processed_size,
                         const WindowTuple& window, bool compat, int threads) {
    MergeOptions options;
    options.rule = merge_rule(rule);
    options.score_threshold = score_threshold;
    options.overlap_threshold = overlap_threshold;
    options.stuff_classes = stuff_classes;
    if (processed_size) {
        options.processed_size = checked_size(*processed_size);
    }
    options.window = checked_window(window);
    options.compat = compat;
    options.threads = checked_threads(threads);
    const FloatTable classes = float_table(class_logits, "class_logits", "(Q, C+1)");
    const FloatStack masks = float_stack(mask_logits, "mask_logits", "(Q, h, w)");
    const Map<std::int32_t> ids = writable_map<std::int32_t>(out, "out");
    checked_size({ids.height, ids.width});
    std::vector<Segment> segments;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = merge_queries(classes, masks, options, ids, segments);
    }
    return py::make_tuple(segment_list(segments), nonfinite);
}

// What merges find out about kept queries, row by row: query and class; labelled, original and visible pixels, and
// where the visible ones lie (left, top, right, bottom, inclusive).
using CountTable = py::array_t<std::int32_t, py::array::c_style>;

void copy_kept(const CountTable& kept, const FloatArray& scores, const CountTable& tallies,
               std::vector<ScoredQuery>& queries, std::vector<Tally>& found) {
    if (kept.ndim() != 2 || kept.shape(1) != 2) {
        refuse("kept", "int32 with shape (N, 2)", kept);
    }
    const Index count = kept.shape(0);
    if (scores.ndim() != 1 || scores.shape(0) != count) {
        refuse("scores", "float32 with shape (N,)", scores);
    }
    if (tallies.ndim() != 2 || tallies.shape(0) != count || tallies.shape(1) != 7) {
        refuse("tallies", "int32 with shape (N, 7)", tallies);
    }
    for (Index k = 0; k < count; ++k) {
        queries.push_back({kept.at(k, 0), kept.at(k, 1), scores.at(k)});
        const auto at = [&](Index i) { return tallies.at(k, i); };
        found.push_back({at(0), at(1), {at(2), at(3), at(4), at(5), at(6)}});
    }
}

py::list choose_segments_(const CountTable& kept, const FloatArray& scores, const CountTable& tallies,
                          const std::string& rule, double overlap_threshold, const ClassIds& stuff_classes) {
    MergeOptions options;
    options.rule = merge_rule(rule);
    options.overlap_threshold = overlap_threshold;
    options.stuff_classes = stuff_classes;
    std::vector<ScoredQuery> queries;
    std::vector<Tally> found;
    copy_kept(kept, scores, tallies, queries, found);
    std::vector<Segment> segments;
    choose_segments(queries, found, options, segments);
    return segment_list(segments);
}

py::tuple choose_detr_segments_(const CountTable& kept, const FloatArray& scores, const CountTable& tallies,
                                const ClassIds& stuff_classes, bool compat, bool first_time) {
    MergeOptions options;
    options.rule = MergeRule::detr;
    options.stuff_classes = stuff_classes;
    options.compat = compat;
    std::vector<ScoredQuery> queries;
    std::vector<Tally> found;
    copy_kept(kept, scores, tallies, queries, found);
    std::vector<Segment> segments;
    const auto left = choose_detr_segments(queries, found, options, first_time, segments);
    return py::make_tuple(left, segment_list(segments));
}

// `masks` are a stack of pictures, or a list of run-length codes.
py::list merge_semantic_instances_(const py::array& semantic, const std::variant<Codes, py::array>& masks,
                                   const std::vector<float>& scores, const ClassIds& class_ids, py::array out,
                                   float score_threshold, double overlap_threshold, std::int64_t stuff_area_limit,
                                   int threads) {
    const ClassMap classes = class_map(semantic, "semantic");
    const InstanceMergeOptions options{score_threshold, overlap_threshold, stuff_area_limit, checked_threads(threads)};
    const auto ids = writable_map<std::int32_t>(out, "out");
    checked_size({ids.height, ids.width});
    std::vector<Segment> segments;
    if (const auto* codes = std::get_if<Codes>(&masks)) {
        const py::gil_scoped_release release;
        merge_semantic_instances(classes, *codes, scores, class_ids, options, ids, segments);
    } else {
        const MaskStack stack = mask_stack(std::get<py::array>(masks), "masks");
        const py::gil_scoped_release release;
        merge_semantic_instances(classes, stack, scores, class_ids, options, ids, segments);
    }
    return segment_list(segments);
}

void resize_by_way_(const py::array& stack, FloatArray out, const SizeTuple& way,
                    std::tuple<Index, Index, Index, Index> cut, int threads) {
    const FloatStack source = float_stack(stack, "stack", "(K, h, w)");
    if (out.ndim() != 3 || out.shape(0) != source.count || !out.writeable() ||
        (out.flags() & py::array::c_style) == 0) {
        refuse("out", "writable contiguous float32 with shape (K, H, W)", out);
    }
    const Size target = checked_size({out.shape(1), out.shape(2)}), between = checked_size(way);
    const auto [top, left, bottom, right] = cut;
    const Cut part{top, left, bottom, right};
    const int count = checked_threads(threads);
    float* pixels = out.mutable_data();
    const py::gil_scoped_release release;
    resize_by_way(source, between, part, target, count, pixels);
}

py::tuple group_centers_(const py::array& semantic, const py::array& center_heatmap, const py::array& offsets,
                         py::array out, const ClassIds& thing_classes, float threshold, Index nms_kernel, Index top_k,
                         std::int64_t stuff_area_limit, int threads) {
    const ClassMap classes = class_map(semantic, "semantic");
    const FloatStack heat = float_stack(center_heatmap, "center_heatmap", "(1, H, W)");
    const FloatStack shifts = float_stack(offsets, "offsets", "(2, H, W)");
    const GroupOptions options{thing_classes, threshold, nms_kernel, top_k, stuff_area_limit, checked_threads(threads)};
    const auto ids = writable_map<std::int32_t>(out, "out");
    checked_size({ids.height, ids.width});
    std::vector<Segment> segments;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = group_centers(classes, heat, shifts, options, ids, segments);
    }
    return py::make_tuple(segment_list(segments), nonfinite);
}

}  // namespace

void bind_panoptic(py::module_& module) {
    using namespace pybind11::literals;
    module.def("merge_queries", &merge_queries_, "class_logits"_a, "mask_logits"_a, "out"_a, "rule"_a,
               "score_threshold"_a, "overlap_threshold"_a, "stuff_classes"_a, "processed_size"_a, "window"_a,
               "compat"_a, "threads"_a);
    module.def("choose_segments", &choose_segments_, "kept"_a, "scores"_a, "tallies"_a, "rule"_a, "overlap_threshold"_a,
               "stuff_classes"_a);
    module.def("choose_detr_segments", &choose_detr_segments_, "kept"_a, "scores"_a, "tallies"_a, "stuff_classes"_a,
               "compat"_a, "first_time"_a);
    module.def("merge_semantic_instances", &merge_semantic_instances_, "semantic"_a, "masks"_a, "scores"_a,
               "class_ids"_a, "out"_a, "score_threshold"_a, "overlap_threshold"_a, "stuff_area_limit"_a, "threads"_a);
    module.def("resize_by_way", &resize_by_way_, "stack"_a, py::arg("out").noconvert(), "way"_a, "cut"_a, "threads"_a);
    module.def("group_centers", &group_centers_, "semantic"_a, "center_heatmap"_a, "offsets"_a, "out"_a,
               "thing_classes"_a, "threshold"_a, "nms_kernel"_a, "top_k"_a, "stuff_area_limit"_a, "threads"_a);
}

}  // namespace segrt
