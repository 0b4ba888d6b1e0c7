// The only file that knows Python: numpy arrays in, views to the core, numpy arrays out. The GIL is released while the
// core works. Friendly messages are runtime/postproc/'s part; what it lets through is refused here again.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <limits>
#include <stdexcept>
#include <string>

#include "antialias.h"
#include "argmax.h"
#include "detections.h"
#include "group_centers.h"
#include "instances.h"
#include "kernels.h"
#include "kernels/features.h"
#include "merge_instances.h"
#include "merge_queries.h"
#include "overlaps.h"
#include "preprocess.h"
#include "query_semantic.h"
#include "rle.h"
#include "thread_pool.h"

namespace py = pybind11;

namespace segrt {
namespace {

using SizeTuple = std::pair<Index, Index>;                                      // height, width
using WindowTuple = std::optional<std::tuple<double, double, double, double>>;  // top, left, bottom, right

[[noreturn]] void refuse(const std::string& name, const std::string& wanted, const py::array& array) {
    throw std::invalid_argument(name + " must be " + wanted + ", but got " +
                                std::string(py::str(static_cast<py::object>(array.dtype()))) + " " +
                                std::string(py::str(array.attr("shape"))));
}

FloatType float_type(const py::array& array, const char* name, const char* shape) {
    if (py::isinstance<py::array_t<float>>(array)) {
        return FloatType::float32;
    }
    const py::dtype dtype = array.dtype();
    if (dtype.kind() == 'f' && dtype.itemsize() == 2 && dtype.byteorder() == '=') {
        return FloatType::float16;
    }
    refuse(name, std::string("float32 or float16 with shape ") + shape, array);
}

FloatStack float_stack(const py::array& array, const char* name, const char* shape) {
    const FloatType type = float_type(array, name, shape);
    if (array.ndim() != 3) {
        refuse(name, std::string("float32 or float16 with shape ") + shape, array);
    }
    return {static_cast<const std::byte*>(array.data()),           type, array.shape(0), array.shape(1), array.shape(2),
            {array.strides(0), array.strides(1), array.strides(2)}};
}

FloatTable float_table(const py::array& array, const char* name, const char* shape) {
    const FloatType type = float_type(array, name, shape);
    if (array.ndim() != 2) {
        refuse(name, std::string("float32 or float16 with shape ") + shape, array);
    }
    return {static_cast<const std::byte*>(array.data()),
            type,
            array.shape(0),
            array.shape(1),
            {array.strides(0), array.strides(1)}};
}

MaskStack mask_stack(const py::array& array, const char* name) {
    const py::dtype dtype = array.dtype();
    if (array.ndim() != 3 || dtype.itemsize() != 1 || (dtype.kind() != 'b' && dtype.kind() != 'u')) {
        refuse(name, "bool or uint8 with shape (N, h, w)", array);
    }
    return {static_cast<const std::uint8_t*>(array.data()),
            array.shape(0),
            array.shape(1),
            array.shape(2),
            {array.strides(0), array.strides(1), array.strides(2)}};
}

template <class T>
Map<T> writable_map(py::array& array, const char* name) {
    if (!py::isinstance<py::array_t<T>>(array) || array.ndim() != 2 || !array.writeable() ||
        (array.shape(1) > 1 && array.strides(1) != array.itemsize()) || array.strides(0) % array.itemsize() != 0) {
        refuse(name, "writable, of the result's type, with shape (H, W) and contiguous rows", array);
    }
    return {static_cast<T*>(array.mutable_data()), array.shape(0), array.shape(1), array.strides(0) / array.itemsize()};
}

Size checked_size(SizeTuple size) {
    const auto [height, width] = size;
    constexpr Index kMost = 1 << 20;
    if (height < 1 || width < 1 || height > kMost || width > kMost ||
        height * width > std::numeric_limits<std::int32_t>::max()) {
        throw std::invalid_argument(
            "size must be (height, width), each at least 1 and together below 2**31 pixels, but got (" +
            std::to_string(height) + ", " + std::to_string(width) + ")");
    }
    return {height, width};
}

int checked_threads(int threads) {
    if (threads < 0 || threads > 256) {
        throw std::invalid_argument("threads must be between 0 and 256, but got " + std::to_string(threads));
    }
    return threads == 0 ? default_threads() : threads;
}

std::optional<Window> checked_window(const WindowTuple& window) {
    if (!window) {
        return std::nullopt;
    }
    const auto [top, left, bottom, right] = *window;
    if (!(top >= 0 && left >= 0 && bottom > top && right > left && bottom < 1e9 && right < 1e9)) {
        throw std::invalid_argument(
            "window must be (top, left, bottom, right) with 0 <= top < bottom and 0 <= left < right");
    }
    return Window{{top, bottom}, {left, right}};
}

ClassMap class_map(const py::array& array, const char* name) {
    const py::dtype dtype = array.dtype();
    const bool whole = (dtype.kind() == 'u' && dtype.itemsize() <= 2) ||
                       (dtype.kind() == 'i' && (dtype.itemsize() == 4 || dtype.itemsize() == 8));
    if (array.ndim() != 2 || !whole) {
        refuse(name, "uint8, uint16, int32 or int64 with shape (H, W)", array);
    }
    return {static_cast<const std::byte*>(array.data()),
            dtype.itemsize(),
            array.shape(0),
            array.shape(1),
            {array.strides(0), array.strides(1)}};
}

py::list segment_list(const std::vector<Segment>& segments) {
    py::list list;
    for (const Segment& s : segments) {
        list.append(py::make_tuple(s.id, s.class_id, s.score, s.area, py::make_tuple(s.left, s.top, s.width, s.height),
                                   s.query));
    }
    return list;
}

py::tuple merge_queries_(const py::array& class_logits, const py::array& mask_logits, py::array out,
                         const std::string& rule, float score_threshold, double overlap_threshold,
                         const std::vector<std::int64_t>& stuff_classes, const std::optional<SizeTuple>& processed_size,
                         const WindowTuple& window, bool compat, int threads) {
    MergeOptions options;
    if (rule == "maskformer") {
        options.rule = MergeRule::maskformer;
    } else if (rule == "mask2former") {
        options.rule = MergeRule::mask2former;
    } else if (rule == "eomt") {
        options.rule = MergeRule::eomt;
    } else if (rule == "detr") {
        options.rule = MergeRule::detr;
    } else {
        throw std::invalid_argument("rule must be maskformer, mask2former, eomt or detr, but got " + rule);
    }
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

py::list merge_semantic_instances_(const py::array& semantic, const py::array& masks, const std::vector<float>& scores,
                                   const std::vector<std::int64_t>& class_ids, py::array out, float score_threshold,
                                   double overlap_threshold, std::int64_t stuff_area_limit, int threads) {
    const ClassMap classes = class_map(semantic, "semantic");
    const MaskStack stack = mask_stack(masks, "masks");
    const InstanceMergeOptions options{score_threshold, overlap_threshold, stuff_area_limit, checked_threads(threads)};
    const auto ids = writable_map<std::int32_t>(out, "out");
    checked_size({ids.height, ids.width});
    std::vector<Segment> segments;
    {
        const py::gil_scoped_release release;
        merge_semantic_instances(classes, stack, scores, class_ids, options, ids, segments);
    }
    return segment_list(segments);
}

py::tuple group_centers_(const py::array& semantic, const py::array& center_heatmap, const py::array& offsets,
                         py::array out, const std::vector<std::int64_t>& thing_classes, float threshold,
                         Index nms_kernel, Index top_k, std::int64_t stuff_area_limit, int threads) {
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

std::int64_t argmax_map_(const py::array& logits, py::array out, const WindowTuple& window, int threads) {
    const FloatStack stack = float_stack(logits, "logits", "(C, h, w)");
    const std::optional<Window> part = checked_window(window);
    const int count = checked_threads(threads);
    checked_size({out.ndim() == 2 ? out.shape(0) : 0, out.ndim() == 2 ? out.shape(1) : 0});
    if (py::isinstance<py::array_t<std::uint8_t>>(out)) {
        const auto map = writable_map<std::uint8_t>(out, "out");
        const py::gil_scoped_release release;
        return argmax_map(stack, part, count, map);
    }
    const auto map = writable_map<std::uint16_t>(out, "out");
    const py::gil_scoped_release release;
    return argmax_map(stack, part, count, map);
}

std::int64_t query_semantic_(const py::array& class_logits, const py::array& mask_logits, py::array out,
                             const WindowTuple& window, int threads) {
    const FloatTable classes = float_table(class_logits, "class_logits", "(Q, C+1)");
    const FloatStack masks = float_stack(mask_logits, "mask_logits", "(Q, h, w)");
    const std::optional<Window> part = checked_window(window);
    const int count = checked_threads(threads);
    checked_size({out.ndim() == 2 ? out.shape(0) : 0, out.ndim() == 2 ? out.shape(1) : 0});
    if (py::isinstance<py::array_t<std::uint8_t>>(out)) {
        const auto map = writable_map<std::uint8_t>(out, "out");
        const py::gil_scoped_release release;
        return query_semantic(classes, masks, part, count, map);
    }
    const auto map = writable_map<std::uint16_t>(out, "out");
    const py::gil_scoped_release release;
    return query_semantic(classes, masks, part, count, map);
}

py::list bytes_list(const std::vector<std::string>& codes) {
    py::list list;
    for (const std::string& code : codes) {
        list.append(py::bytes(code));
    }
    return list;
}

py::tuple query_instances_(const py::array& class_logits, const py::array& mask_logits, SizeTuple size, Index top_k,
                           float score_threshold, const std::string& activation, bool weigh_by_mask,
                           const WindowTuple& window, int threads) {
    if (activation != "softmax" && activation != "sigmoid") {
        throw std::invalid_argument("activation must be softmax or sigmoid, but got " + activation);
    }
    if (top_k < 0) {
        throw std::invalid_argument("top_k must be at least 0, but got " + std::to_string(top_k));
    }
    const QueryInstanceOptions options{
        .top_k = top_k,
        .score_threshold = score_threshold,
        .activation = activation == "softmax" ? Activation::softmax : Activation::sigmoid,
        .weigh_by_mask = weigh_by_mask,
        .window = checked_window(window),
        .threads = checked_threads(threads),
    };
    const FloatTable classes = float_table(class_logits, "class_logits", "(Q, C+1)");
    const FloatStack masks = float_stack(mask_logits, "mask_logits", "(Q, h, w)");
    const Size target = checked_size(size);
    QueryInstances found;
    {
        const py::gil_scoped_release release;
        found = query_instances(classes, masks, target, options);
    }
    const auto count = static_cast<Index>(found.instances.size());
    py::array_t<std::int64_t> class_ids(count);
    py::array_t<float> scores(count);
    py::array_t<float> boxes({count, Index{4}});
    py::array_t<std::int64_t> mask_of(count);
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

std::int64_t paste_masks_(const py::array& masks, const py::array& boxes, py::array out, bool zeroed, float threshold,
                          const std::string& rule, int threads) {
    const FloatStack stack = float_stack(masks, "masks", "(N, m, m)");
    const FloatTable table = float_table(boxes, "boxes", "(N, 4)");
    if (out.ndim() != 3 || out.dtype().itemsize() != 1 || !(out.flags() & py::array::c_style) || !out.writeable() ||
        out.shape(0) != stack.count) {
        refuse("out", "writable bool with shape (N, H, W), contiguous", out);
    }
    const Size size = checked_size({out.shape(1), out.shape(2)});
    const PasteRule chosen = paste_rule(rule);
    const int count = checked_threads(threads);
    auto* pictures = static_cast<std::uint8_t*>(out.mutable_data());
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
    std::vector<std::string> codes;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = paste_masks_rle(stack, table, chosen, threshold, target, count, codes);
    }
    return py::make_tuple(bytes_list(codes), nonfinite);
}

py::tuple prototype_masks_rle_(const py::array& prototypes, const py::array& coefficients, const py::array& boxes,
                               SizeTuple size, const WindowTuple& window, int threads) {
    const FloatStack stack = float_stack(prototypes, "prototypes", "(P, h, w)");
    const FloatTable weights = float_table(coefficients, "coefficients", "(N, P)");
    const FloatTable table = float_table(boxes, "boxes", "(N, 4)");
    const Size target = checked_size(size);
    const std::optional<Window> part = checked_window(window);
    const int count = checked_threads(threads);
    std::vector<std::string> codes;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = prototype_masks_rle(stack, weights, table, target, count, codes, part);
    }
    return py::make_tuple(bytes_list(codes), nonfinite);
}

// Boxes (N, 4), scores, class ids and anchors, and how many values are not finite.
py::tuple decode_yolo_(const py::array& predictions, float score_threshold, float iou_threshold, Index max_detections,
                       Index coefficients) {
    const FloatTable table = float_table(predictions, "predictions", "(4 + classes + coefficients, anchors)");
    const YoloOptions options{score_threshold, iou_threshold, max_detections, coefficients};
    std::vector<Detection> detections;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = decode_yolo(table, options, detections);
    }
    const auto count = static_cast<Index>(detections.size());
    py::array_t<float> boxes({count, Index{4}});
    py::array_t<float> scores(count);
    py::array_t<std::int64_t> class_ids(count);
    py::array_t<std::int64_t> anchors(count);
    for (Index i = 0; i < count; ++i) {
        const Detection& detection = detections[static_cast<std::size_t>(i)];
        boxes.mutable_at(i, 0) = detection.left;
        boxes.mutable_at(i, 1) = detection.top;
        boxes.mutable_at(i, 2) = detection.right;
        boxes.mutable_at(i, 3) = detection.bottom;
        scores.mutable_at(i) = detection.score;
        class_ids.mutable_at(i) = detection.class_id;
        anchors.mutable_at(i) = detection.anchor;
    }
    return py::make_tuple(boxes, scores, class_ids, anchors, nonfinite);
}

py::array_t<float> matrix_nms_(const py::array& masks, const std::vector<float>& scores,
                               const std::vector<std::int64_t>& class_ids, const std::string& kernel, float sigma,
                               int threads) {
    const MaskStack stack = mask_stack(masks, "masks");
    if (kernel != "gaussian" && kernel != "linear") {
        throw std::invalid_argument("kernel must be gaussian or linear, but got " + kernel);
    }
    const DecayKernel decay = kernel == "gaussian" ? DecayKernel::gaussian : DecayKernel::linear;
    const int count = checked_threads(threads);
    py::array_t<float> decayed(static_cast<Index>(scores.size()));
    const std::span<float> values(decayed.mutable_data(), scores.size());
    {
        const py::gil_scoped_release release;
        matrix_nms(stack, scores, class_ids, decay, sigma, count, values);
    }
    return decayed;
}

py::list encode_masks(const py::array& masks, int threads) {
    const MaskStack stack = mask_stack(masks, "masks");
    if (stack.count > 0) {
        checked_size({stack.height, stack.width});
    }
    const int count = checked_threads(threads);
    std::vector<std::string> codes(static_cast<std::size_t>(stack.count));
    {
        const py::gil_scoped_release release;
        parallel_for(count, stack.count, 1, [&](Index begin, Index end, int) {
            thread_local std::vector<std::uint32_t> counts;
            for (Index i = begin; i < end; ++i) {
                encode_mask(stack, i, counts);
                codes[static_cast<std::size_t>(i)] = pack_counts(counts);
            }
        });
    }
    return bytes_list(codes);
}

void decode_masks(const std::vector<std::string>& codes, py::array out, int threads) {
    if (out.ndim() != 3 || out.dtype().itemsize() != 1 || !(out.flags() & py::array::c_style) || !out.writeable() ||
        out.shape(0) != static_cast<Index>(codes.size())) {
        refuse("out", "writable bool with shape (N, H, W), contiguous", out);
    }
    if (codes.empty()) {
        return;
    }
    const Size size = checked_size({out.shape(1), out.shape(2)});
    const int count = checked_threads(threads);
    auto* pictures = static_cast<std::uint8_t*>(out.mutable_data());
    const py::gil_scoped_release release;
    parallel_for(count, static_cast<Index>(codes.size()), 1, [&](Index begin, Index end, int) {
        thread_local std::vector<std::uint32_t> counts;
        for (Index i = begin; i < end; ++i) {
            unpack_counts(codes[static_cast<std::size_t>(i)], size.height, size.width, counts);
            decode_mask(counts, {pictures + i * size.height * size.width, size.height, size.width, size.width});
        }
    });
}

// Areas, and boxes as left, top, right, bottom, from codes that share a size.
py::tuple measure_codes(const std::vector<std::string>& codes, SizeTuple size) {
    const Size target = checked_size(size);
    const auto count = static_cast<Index>(codes.size());
    py::array_t<std::int64_t> areas(count);
    py::array_t<std::int64_t> boxes({count, Index{4}});
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

Picture checked_picture(const py::array& image) {
    if (!py::isinstance<py::array_t<std::uint8_t>>(image) || image.ndim() != 3 || image.shape(2) != 3 ||
        image.strides(2) != 1 || (image.shape(1) > 1 && image.strides(1) != 3)) {
        refuse("image", "uint8 with shape (H, W, 3) and contiguous rows", image);
    }
    checked_size({image.shape(0), image.shape(1)});
    return {static_cast<const std::uint8_t*>(image.data()), image.shape(0), image.shape(1), image.strides(0)};
}

void resize_antialias_(const py::array& image, py::array_t<std::uint8_t> out, bool cubic, int threads) {
    const Picture picture = checked_picture(image);
    if (out.ndim() != 3 || out.shape(2) != 3 || !out.writeable() || (out.flags() & py::array::c_style) == 0) {
        refuse("out", "writable contiguous uint8 with shape (h, w, 3)", out);
    }
    checked_size({out.shape(0), out.shape(1)});
    const int count = checked_threads(threads);
    std::uint8_t* target = out.mutable_data();
    const Index height = out.shape(0), width = out.shape(1);
    const py::gil_scoped_release release;
    resize_antialias(picture, cubic ? Filter::bicubic : Filter::bilinear, height, width, count, target);
}

void resize_normalize_(const py::array& image, py::array out, Index channel_axis, std::array<float, 3> factor,
                       std::array<float, 3> offset, bool swap_rb, int threads) {
    const Picture picture = checked_picture(image);
    if (!py::isinstance<py::array_t<float>>(out) || out.ndim() != 3 || !out.writeable() ||
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

ClassMap color_map(const py::array& array, const char* name) {
    if (!py::isinstance<py::array_t<std::uint8_t>>(array) || array.ndim() != 3 ||
        (array.shape(2) != 3 && array.shape(2) != 4) || array.strides(2) != 1) {
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

py::array_t<std::int64_t> count_overlaps_(const py::array& first, const py::array& second,
                                          const std::vector<std::int32_t>& first_ids,
                                          const std::vector<std::int32_t>& second_ids) {
    const ClassMap one = id_map(first, "first");
    const ClassMap other = id_map(second, "second");
    py::array_t<std::int64_t> counts({first_ids.size() + 1, second_ids.size() + 1});
    const std::span<std::int64_t> values(counts.mutable_data(), static_cast<std::size_t>(counts.size()));
    {
        const py::gil_scoped_release release;
        count_overlaps(one, other, first_ids, second_ids, values);
    }
    return counts;
}

py::array_t<std::int64_t> count_ids_(const py::array& map, const std::vector<std::int32_t>& ids) {
    const ClassMap view = id_map(map, "map");
    py::array_t<std::int64_t> counts(static_cast<Index>(ids.size() + 1));
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

// The instruction sets that a table is compiled for, as compilers' -m flags name them.
std::vector<std::string> kernels_features(const std::string& name) {
    const Kernels* table = find_kernels(name.c_str());
    if (table == nullptr) {
        throw std::invalid_argument("this build has no kernels named " + name);
    }
    std::vector<std::string> names;
    for (const NamedFeature& named : kFeatures) {
        if ((table->needs & named.feature) != 0) {
            names.emplace_back(named.name);
        }
    }
    return names;
}

}  // namespace
}  // namespace segrt

PYBIND11_MODULE(_postproc, module) {
    using namespace segrt;
    using namespace pybind11::literals;
    module.doc() = "The C++ post-processing of segrt. Use it through segrt.runtime.postproc.";
    module.def("choose_kernels", [](const std::string& name) { choose_kernels(name.c_str()); }, "name"_a);
    module.def("kernels_name", [] { return kernels().name; });
    module.def("kernels_features", &kernels_features, "name"_a);
    module.def("default_threads", &default_threads);
    module.def("merge_queries", &merge_queries_, "class_logits"_a, "mask_logits"_a, "out"_a, "rule"_a,
               "score_threshold"_a, "overlap_threshold"_a, "stuff_classes"_a, "processed_size"_a, "window"_a,
               "compat"_a, "threads"_a);
    module.def("argmax_map", &argmax_map_, "logits"_a, "out"_a, "window"_a, "threads"_a);
    module.def("query_instances", &query_instances_, "class_logits"_a, "mask_logits"_a, "size"_a, "top_k"_a,
               "score_threshold"_a, "activation"_a, "weigh_by_mask"_a, "window"_a, "threads"_a);
    module.def("paste_masks", &paste_masks_, "masks"_a, "boxes"_a, "out"_a, "zeroed"_a, "threshold"_a, "rule"_a,
               "threads"_a);
    module.def("paste_masks_rle", &paste_masks_rle_, "masks"_a, "boxes"_a, "size"_a, "threshold"_a, "rule"_a,
               "threads"_a);
    module.def("merge_semantic_instances", &merge_semantic_instances_, "semantic"_a, "masks"_a, "scores"_a,
               "class_ids"_a, "out"_a, "score_threshold"_a, "overlap_threshold"_a, "stuff_area_limit"_a, "threads"_a);
    module.def("group_centers", &group_centers_, "semantic"_a, "center_heatmap"_a, "offsets"_a, "out"_a,
               "thing_classes"_a, "threshold"_a, "nms_kernel"_a, "top_k"_a, "stuff_area_limit"_a, "threads"_a);
    module.def("query_semantic", &query_semantic_, "class_logits"_a, "mask_logits"_a, "out"_a, "window"_a, "threads"_a);
    module.def("prototype_masks_rle", &prototype_masks_rle_, "prototypes"_a, "coefficients"_a, "boxes"_a, "size"_a,
               "window"_a, "threads"_a);
    module.def("decode_yolo", &decode_yolo_, "predictions"_a, "score_threshold"_a, "iou_threshold"_a,
               "max_detections"_a, "coefficients"_a);
    module.def("matrix_nms", &matrix_nms_, "masks"_a, "scores"_a, "class_ids"_a, "kernel"_a, "sigma"_a, "threads"_a);
    module.def("encode_masks", &encode_masks, "masks"_a, "threads"_a);
    module.def("decode_masks", &decode_masks, "codes"_a, "out"_a, "threads"_a);
    module.def("count_overlaps", &count_overlaps_, "first"_a, "second"_a, "first_ids"_a, "second_ids"_a);
    module.def("count_ids", &count_ids_, "map"_a, "ids"_a);
    module.def("ids_of_colors", &ids_of_colors_, "image"_a, "out"_a);
    module.def("measure_codes", &measure_codes, "codes"_a, "size"_a);
    module.def("resize_antialias", &resize_antialias_, "image"_a, py::arg("out").noconvert(), "cubic"_a, "threads"_a);
    module.def("resize_normalize", &resize_normalize_, "image"_a, "out"_a, "channel_axis"_a, "factor"_a, "offset"_a,
               "swap_rb"_a, "threads"_a);
}
