#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include "box_edges.h"
#include "detections.h"
#include "kernels.h"
#include "scratch.h"

namespace segrt {
namespace {

// Best class of every anchor, class after class, as the predictions lie in memory.
struct BestClasses {
    std::span<float> score;
    std::span<std::int32_t> class_id;
};

BestClasses best_classes(ScratchFrame& frame, const FloatTable& predictions, Index classes,
                         std::span<std::uint8_t> refused, std::int64_t& nonfinite) {
    const Index anchors = predictions.columns;
    const BestClasses best{frame.filled<float>(anchors, -1.0F), frame.filled<std::int32_t>(anchors, 0)};
    const auto row = frame.take<float>(anchors);
    for (Index c = 0; c < classes; ++c) {
        const std::int64_t bad =
            kernels().read(predictions.row(4 + c), predictions.type, predictions.strides[1], row.data(), anchors);
        nonfinite += bad;
        for (std::size_t i = 0; bad != 0 && i < row.size(); ++i) {
            refused[i] = row[i] >= kLargest || row[i] <= -kLargest ? 1 : refused[i];
        }
        for (std::size_t i = 0; i < row.size(); ++i) {
            const bool better = row[i] > best.score[i];
            best.score[i] = better ? row[i] : best.score[i];
            best.class_id[i] = better ? static_cast<std::int32_t>(c) : best.class_id[i];
        }
    }
    return best;
}

}  // namespace

std::int64_t decode_yolo(const FloatTable& predictions, const YoloOptions& options,
                         std::vector<Detection>& detections) {
    const Index classes = predictions.rows - 4 - options.coefficients;
    if (classes < 1 || options.coefficients < 0) {
        throw std::invalid_argument(
            "predictions must have shape (4 + classes + coefficients, anchors) with at least one "
            "class, but have " +
            std::to_string(predictions.rows) + " rows for " + std::to_string(options.coefficients) + " coefficients");
    }
    if (predictions.columns > std::numeric_limits<std::int32_t>::max() || options.max_detections < 0) {
        throw std::invalid_argument("max_detections must be at least 0 and anchors below 2**31");
    }
    detections.clear();
    ScratchFrame frame;
    const Index anchors = predictions.columns;
    const auto refused = frame.filled<std::uint8_t>(anchors, 0);
    std::int64_t nonfinite = 0;
    const BestClasses best = best_classes(frame, predictions, classes, refused, nonfinite);
    std::span<float> box[4];
    for (Index edge = 0; edge < 4; ++edge) {
        box[edge] = frame.take<float>(anchors);
        const std::int64_t bad =
            kernels().read(predictions.row(edge), predictions.type, predictions.strides[1], box[edge].data(), anchors);
        nonfinite += bad;
        for (std::size_t i = 0; bad != 0 && i < refused.size(); ++i) {
            refused[i] = box[edge][i] >= kLargest || box[edge][i] <= -kLargest ? 1 : refused[i];
        }
    }
    const auto candidates = frame.take<Detection>(anchors);
    std::size_t count = 0;
    for (std::size_t i = 0; i < refused.size(); ++i) {
        if (refused[i] == 0 && best.score[i] > options.score_threshold) {
            const float half_width = box[2][i] / 2, half_height = box[3][i] / 2;
            candidates[count++] = {.left = box[0][i] - half_width,
                                   .top = box[1][i] - half_height,
                                   .right = box[0][i] + half_width,
                                   .bottom = box[1][i] + half_height,
                                   .score = best.score[i],
                                   .class_id = best.class_id[i],
                                   .anchor = static_cast<std::int32_t>(i)};
        }
    }
    const auto sorted = candidates.first(count);
    std::sort(sorted.begin(), sorted.end(), [](const Detection& a, const Detection& b) {
        return a.score != b.score ? a.score > b.score : a.anchor < b.anchor;
    });
    for (const Detection& candidate : sorted) {
        if (static_cast<Index>(detections.size()) >= options.max_detections) {
            break;
        }
        const bool overlaps = std::any_of(detections.begin(), detections.end(), [&](const Detection& kept) {
            return (options.agnostic || kept.class_id == candidate.class_id) &&
                   intersection_over_union(kept, candidate) > options.iou_threshold;
        });
        if (!overlaps) {
            detections.push_back(candidate);
        }
    }
    return nonfinite;
}

}  // namespace segrt
