// Masks as bits: what the rules' kernels write, and mask_runs.cu makes COCO's codes of.
#pragma once

#include "device.h"

namespace segrt {
namespace {

constexpr std::int32_t kWordRows = 32;

// Pixels [left, right) x [top, bottom); empty where right <= left or bottom <= top.
struct PixelRect {
    std::int32_t left, top, right, bottom;

    [[nodiscard]] SEGRT_SHARED bool empty() const { return right <= left || bottom <= top; }
};

// Bit i of word (mask, row of words r, column x) is pixel (32 r + i, x). Words that touch no pixel of the mask's
// rectangle are never written nor read; bits outside of the rectangle are 0.
struct MaskBits {
    std::uint32_t* words;
    PixelRect* reach;  // of each mask
    std::int32_t height, width;

    [[nodiscard]] SEGRT_SHARED std::int32_t rows_of_words() const { return (height + kWordRows - 1) / kWordRows; }

    // The first word of a row of words.
    [[nodiscard]] SEGRT_SHARED std::uint32_t* row(std::int32_t mask, std::int32_t word_row) const {
        return words + (static_cast<std::int64_t>(mask) * rows_of_words() + word_row) * width;
    }
};

// Bits [begin, end), limited to the word.
SEGRT_SHARED std::uint32_t bits_between(std::int32_t begin, std::int32_t end) {
    const std::int32_t from = begin < 0 ? 0 : begin, to = end > kWordRows ? kWordRows : end;
    if (from >= to) {
        return 0;
    }
    return (to == kWordRows ? ~0U : (1U << to) - 1U) & ~((1U << from) - 1U);
}

}  // namespace
}  // namespace segrt
