// From raw detections to those that stand: YOLO's boxes with class-wise suppression, SOLO's matrix suppression.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "views.h"

namespace segrt {

struct YoloOptions {
    float score_threshold = 0.25F;
    float iou_threshold = 0.45F;
    Index max_detections = 300;
    Index coefficients = 0;  // rows at the end of the predictions that are mask coefficients
    bool agnostic = false;   // anchors compete with those of every class, not of their own alone
};

struct Detection {
    float left = 0, top = 0, right = 0, bottom = 0;
    float score = 0;
    std::int32_t class_id = 0;
    std::int32_t anchor = 0;  // column of the predictions
};

// predictions: shape (4 + classes + coefficients, anchors): centre x, centre y, width, height, class scores. Anchors
// whose best class score is above the threshold compete within their class, or with `agnostic` all together: by
// descending score, one that overlaps a kept one by more than iou_threshold is dropped. Anchors with a value that is
// not finite are dropped. Returns how many box and score values are not finite.
std::int64_t decode_yolo(const FloatTable& predictions, const YoloOptions& options, std::vector<Detection>& detections);

enum class DecayKernel { gaussian, linear };

// SOLOv2: every score is lowered by the overlaps of its mask with better ones of its class, each compensated by how
// much those are overlapped themselves. Nothing is dropped or sorted; equal scores rank in input order.
void matrix_nms(const MaskStack& masks, std::span<const float> scores, std::span<const std::int64_t> class_ids,
                DecayKernel kernel, float sigma, int threads, std::span<float> decayed);

}  // namespace segrt
