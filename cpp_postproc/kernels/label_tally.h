// Counting and boxing labels block by block. See fast_table.h for how this file is compiled.
#pragma once

#include "kernels.h"

namespace segrt {
namespace {

// Counts of a column of a block fit a byte.
constexpr Index kHighestBand = 128;

struct Block {
    Index x, columns, top, bottom;
    [[nodiscard]] std::int64_t pixels() const { return columns * (bottom - top); }
};

// Not a method of Region, whose one copy in the program must be for every processor.
inline void extend(Region& region, Index left, Index right, Index top, Index bottom) {
    const auto l = static_cast<std::int32_t>(left), r = static_cast<std::int32_t>(right);
    const auto t = static_cast<std::int32_t>(top), b = static_cast<std::int32_t>(bottom);
    region.left = l < region.left ? l : region.left;
    region.right = r > region.right ? r : region.right;
    region.top = t < region.top ? t : region.top;
    region.bottom = b > region.bottom ? b : region.bottom;
}

template <class Label>
inline bool row_has(const Map<Label>& labels, const Block& block, Index y, Label k) {
    const Label* label = labels.row(y) + block.x;
    bool has = false;
    for (Index j = 0; j < block.columns; ++j) {
        has = has || label[j] == k;
    }
    return has;
}

// The exact extent of a label within a block, looked for only where it may be news.
template <class Label>
inline void extend_to(Region& region, const Map<Label>& labels, const Block& block, Label k,
                      const std::uint8_t* in_column) {
    Index left = 0, right = block.columns - 1, top = block.top, bottom = block.bottom - 1;
    while (in_column[left] == 0) {
        ++left;
    }
    while (in_column[right] == 0) {
        --right;
    }
    while (!row_has(labels, block, top, k)) {
        ++top;
    }
    while (!row_has(labels, block, bottom, k)) {
        --bottom;
    }
    extend(region, block.x + left, block.x + right, top, bottom);
}

// Counts the pixels of a label in a block that has just been stored.
template <class Label>
inline void tally_block(Tally& tally, const Map<Label>& labels, const Block& block, Label k) {
    std::uint8_t in_column[kBlock] = {};
    for (Index y = block.top; y < block.bottom; ++y) {
        const Label* label = labels.row(y) + block.x;
        if (block.columns == kBlock) {
            for (Index j = 0; j < kBlock; ++j) {
                in_column[j] = static_cast<std::uint8_t>(in_column[j] + (label[j] == k ? 1 : 0));
            }
        } else {
            for (Index j = 0; j < block.columns; ++j) {
                in_column[j] = static_cast<std::uint8_t>(in_column[j] + (label[j] == k ? 1 : 0));
            }
        }
    }
    std::int32_t pixels = 0;
    for (Index j = 0; j < kBlock; ++j) {
        pixels += in_column[j];
    }
    if (pixels == 0) {
        return;
    }
    tally.labelled += pixels;
    Region& visible = tally.visible;
    visible.area += pixels;
    if (block.x < visible.left || block.x + block.columns - 1 > visible.right || block.top < visible.top ||
        block.bottom - 1 > visible.bottom) {
        extend_to(visible, labels, block, k, in_column);
    }
}

}  // namespace
}  // namespace segrt
