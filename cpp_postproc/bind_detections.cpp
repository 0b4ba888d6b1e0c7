// Bindings of the suppression of detections.
#include <span>
#include <stdexcept>

#include "bind_arrays.h"
#include "detections.h"

namespace segrt {
namespace {

// Boxes (N, 4), scores, class ids and anchors, and how many values are not finite.
py::tuple decode_yolo_(const py::array& predictions, float score_threshold, float iou_threshold, Index max_detections,
                       Index coefficients, bool agnostic) {
    const FloatTable table = float_table(predictions, "predictions", "(4 + classes + coefficients, anchors)");
    const YoloOptions options{score_threshold, iou_threshold, max_detections, coefficients, agnostic};
    std::vector<Detection> detections;
    std::int64_t nonfinite = 0;
    {
        const py::gil_scoped_release release;
        nonfinite = decode_yolo(table, options, detections);
    }
    const auto count = static_cast<Index>(detections.size());
    FloatArray boxes({count, Index{4}});
    FloatArray scores(count);
    IntArray class_ids(count);
    IntArray anchors(count);
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

FloatArray matrix_nms_(const py::array& masks, const std::vector<float>& scores, const ClassIds& class_ids,
                       const std::string& kernel, float sigma, int threads) {
    const MaskStack stack = mask_stack(masks, "masks");
    if (kernel != "gaussian" && kernel != "linear") {
        throw std::invalid_argument("kernel must be gaussian or linear, but got " + kernel);
    }
    const DecayKernel decay = kernel == "gaussian" ? DecayKernel::gaussian : DecayKernel::linear;
    const int count = checked_threads(threads);
    FloatArray decayed(static_cast<Index>(scores.size()));
    const std::span<float> values(decayed.mutable_data(), scores.size());
    {
        const py::gil_scoped_release release;
        matrix_nms(stack, scores, class_ids, decay, sigma, count, values);
    }
    return decayed;
}

}  // namespace

void bind_detections(py::module_& module) {
    using namespace pybind11::literals;
    module.def("decode_yolo", &decode_yolo_, "predictions"_a, "score_threshold"_a, "iou_threshold"_a,
               "max_detections"_a, "coefficients"_a, "agnostic"_a);
    module.def("matrix_nms", &matrix_nms_, "masks"_a, "scores"_a, "class_ids"_a, "kernel"_a, "sigma"_a, "threads"_a);
}

}  // namespace segrt
