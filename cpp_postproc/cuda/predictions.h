// A table of predictions for anchors, and what is found in it.
#pragma once

#include "detections.h"

namespace segrt {
namespace {

// What the values of an anchor are: a box, then class scores; a box, an objectness, then class scores; or a box, a
// score and a class id, duplicates suppressed already. Coefficients follow.
enum class Rows { yolo, yolov5, detections };

// The predictions: value r of anchor a is number r * row_step + a * anchor_step.
struct Predictions {
    Floats values;
    std::int64_t row_step, anchor_step;
    std::int32_t anchors, length, classes;
    Rows rows;
    float score_threshold;
    float likely;  // the objectness that an anchor must have more of

    [[nodiscard]] SEGRT_SHARED float at(std::int32_t row, std::int32_t anchor) const {
        return values.at(row * row_step + anchor * anchor_step);
    }

    [[nodiscard]] SEGRT_SHARED bool takes_part(std::int32_t anchor) const {
        return rows != Rows::yolov5 || at(4, anchor) > likely;
    }

    [[nodiscard]] SEGRT_SHARED float class_score(std::int32_t c, std::int32_t anchor) const {
        return rows == Rows::yolov5 ? at(5 + c, anchor) * at(4, anchor) : at(4 + c, anchor);
    }

    // The box, by its edges.
    [[nodiscard]] SEGRT_SHARED Box box(std::int32_t anchor) const {
        if (rows == Rows::detections) {
            return {at(0, anchor), at(1, anchor), at(2, anchor), at(3, anchor)};
        }
        const float x = limited(at(0, anchor)), y = limited(at(1, anchor));
        const float half_width = limited(at(2, anchor)) / 2, half_height = limited(at(3, anchor)) / 2;
        return {x - half_width, y - half_height, x + half_width, y + half_height};
    }
};

// One detection, in the order of the result.
struct Found {
    Box box;
    Box moved;  // into the picture
    float score;
    std::int32_t anchor;
    std::int64_t class_id;
};

enum { kBadTable, kBadMasks };

}  // namespace
}  // namespace segrt
