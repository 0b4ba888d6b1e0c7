// From a picture to a network input that wants floats: resize, reorder, normalise in one pass.
#pragma once

#include <array>
#include <cstdint>

#include "host_picture.h"
#include "views.h"

namespace segrt {

// Where channel c of pixel (y, x) goes: data[c * channel_stride + y * row_stride + x * pixel_stride].
struct FloatTarget {
    float* data = nullptr;
    Index height = 0, width = 0, channel_stride = 0, row_stride = 0, pixel_stride = 0;  // in floats
};

struct Normalization {
    std::array<float, 3> factor{1, 1, 1}, offset{};  // of the target's channels: value * factor + offset
    bool swap_rb = false;                            // target channel c comes from picture channel 2 - c
};

void resize_normalize(const Picture& picture, const Normalization& normalization, int threads, FloatTarget target);

}  // namespace segrt
