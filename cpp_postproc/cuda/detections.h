// What the rules that begin with boxes share: values of any of a head's types, and boxes in the picture.
#pragma once

#include "heads.h"
#include "rank.h"

namespace segrt {
namespace {

constexpr std::int64_t kNoInteger = -0x7FFFFFFFFFFFFFFFLL - 1;

// As numpy makes an int64 of it.
SEGRT_SHARED std::int64_t integer_of(float value) {
    return value > -9.2e18F && value < 9.2e18F ? static_cast<std::int64_t>(value) : kNoInteger;
}

enum class NumberType { float32, float16, uint8, int32, int64 };

// Class ids as the network gives them.
struct Integers {
    const void* values;
    NumberType type;

    [[nodiscard]] SEGRT_SHARED std::int64_t at(std::int32_t i) const {
        switch (type) {
            case NumberType::float32:
                return integer_of(static_cast<const float*>(values)[i]);
            case NumberType::float16:
                return integer_of(widened(static_cast<const Half*>(values)[i]));
            case NumberType::uint8:
                return static_cast<const std::uint8_t*>(values)[i];
            case NumberType::int32:
                return static_cast<const std::int32_t*>(values)[i];
            default:
                return static_cast<const std::int64_t*>(values)[i];
        }
    }
};

// float32 or float16, whichever a head has.
struct Floats {
    const void* values;
    NumberType type;

    [[nodiscard]] SEGRT_SHARED float at(std::int64_t i) const {
        return type == NumberType::float16 ? widened(static_cast<const Half*>(values)[i])
                                           : static_cast<const float*>(values)[i];
    }
};

// A mask whose rows are `width` values long, from value `first` on.
struct PlainGrid {
    Floats values;
    std::int64_t first;
    std::int32_t width;

    [[nodiscard]] SEGRT_SHARED float at(std::int32_t row, std::int32_t column) const {
        return limited(values.at(first + static_cast<std::int64_t>(row) * width + column));
    }
};

struct Box {
    float left, top, right, bottom;
};

// From network pixels to the picture's: `boxes_to_source` and `clipped` of the geometry.
struct BoxMap {
    float left, top, across, down;
    std::int32_t height, width;

    [[nodiscard]] SEGRT_SHARED Box moved(const Box& box) const {
        return {(box.left - left) * across, (box.top - top) * down, (box.right - left) * across,
                (box.bottom - top) * down};
    }

    [[nodiscard]] SEGRT_SHARED static float within(float edge, std::int32_t length) {
        const float least = edge > 0 ? edge : 0, most = static_cast<float>(length);
        return least < most ? least : most;
    }

    [[nodiscard]] SEGRT_SHARED Box clipped(const Box& box) const {
        return {within(box.left, width), within(box.top, height), within(box.right, width), within(box.bottom, height)};
    }
};

// What one frame counts; all 0 when it begins.
struct DetectionState {
    std::int32_t candidates;  // detections that score enough
    std::int32_t kept;        // of which masks are made
    std::int32_t bad[4];      // whether heads have values that are not finite
};

}  // namespace
}  // namespace segrt
