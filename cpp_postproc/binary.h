// Binary segmentation: whether the interpolated score of the object is above a threshold at every target pixel.
#pragma once

#include <cstdint>
#include <optional>

#include "views.h"

namespace segrt {

// What is above the threshold, and what is written for it and for the rest.
struct BinaryCut {
    bool probabilities = false;  // take the sigmoid of the scores before interpolation
    float threshold = 0;         // of the interpolated value
    std::uint8_t object = 1, other = 0;
};

// scores: shape (1, h, w). Returns how many values are not finite.
std::int64_t binary_map(const FloatStack& scores, const BinaryCut& cut, std::optional<Window> window, int threads,
                        Map<std::uint8_t> classes);

}  // namespace segrt
