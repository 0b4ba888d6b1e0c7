// Where torchvision pastes the mask of a box: paste_masks_in_image.
#pragma once

#include "float_math.h"

namespace segrt {
namespace {

// Edges beyond this are as good as infinite: float32 no longer tells pixels apart, nor would integers hold them.
constexpr float kFarthest = 1e15F;

// Pixels [first, first + count) of a picture axis show the entries from `skipped` on of an axis of `size` pixels; count
// is 0 where nothing is shown.
struct PasteSpan {
    std::int64_t first, count, skipped, size;
};

// The mask is padded by one cell on each side, the box enlarged alike and cut to whole pixels, both ends included
// (expand_boxes, paste_mask_in_image).
SEGRT_SHARED PasteSpan torchvision_paste(std::int64_t cells, float low, float high, std::int64_t length) {
    const float scale = static_cast<float>(static_cast<double>(cells + 2) / static_cast<double>(cells));
    const float half = (high - low) * 0.5F * scale;
    const float centre = (high + low) * 0.5F;
    const float begin = centre - half, end = centre + half;
    if (!(begin < kFarthest && begin > -kFarthest && end < kFarthest && end > -kFarthest)) {
        return {0, 0, 0, 1};
    }
    const auto first_pixel = static_cast<std::int64_t>(begin), last_pixel = static_cast<std::int64_t>(end);
    const std::int64_t wanted = last_pixel - first_pixel + 1, size = wanted < 1 ? 1 : wanted;
    const std::int64_t from = first_pixel < 0 ? 0 : first_pixel;
    const std::int64_t to = last_pixel + 1 < length ? last_pixel + 1 : length;
    return {from, from < to ? to - from : 0, from - first_pixel, size};
}

}  // namespace
}  // namespace segrt
