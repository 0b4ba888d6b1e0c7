// Antialiased resizing of pictures, bit for bit as Pillow's `Image.resize` (src/libImaging/Resample.c), x first.
#pragma once

#include <cstdint>
#include <span>

#include "preprocess.h"
#include "views.h"

namespace segrt {

enum class Filter { bilinear, bicubic };

// The source positions [first, first + count) of each target position and their weights, `kWeightBits` of fraction.
struct FilterTaps {
    std::span<std::int32_t> first, count, weights;  // weights: [target][most]
    Index most = 0;

    [[nodiscard]] const std::int32_t* weights_of(Index target) const { return weights.data() + target * most; }
};

// How many taps a target position has at most.
Index most_taps(Filter filter, Index source, Index target);

// Fills the tables, which are as long as the target: `precompute_coeffs` and `normalize_coeffs_8bpc` of Resample.c. The
// filter widens with the shrinking factor.
void make_taps(Filter filter, Index source, const FilterTaps& taps);

// `out`: uint8, shape (height, width, 3), row by row without gaps.
void resize_antialias(const Picture& picture, Filter filter, Index height, Index width, int threads, std::uint8_t* out);

}  // namespace segrt
