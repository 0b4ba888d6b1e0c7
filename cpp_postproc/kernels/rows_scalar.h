// The readable version of rows_fast.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "float_math.h"
#include "kernels.h"
#include "mask_decay.h"
#include "softmax.h"

namespace segrt {
namespace {

inline float half_to_float(std::uint16_t half) {
    const std::uint32_t sign = (half & 0x8000U) << 16U;
    const std::uint32_t exponent = (half >> 10U) & 0x1FU;
    const std::uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) {
        const float value = static_cast<float>(fraction) * 0x1p-24F;
        return sign != 0 ? -value : value;
    }
    const std::uint32_t bits =
        exponent == 31 ? sign | 0x7F800000U | fraction << 13U : sign | (exponent + 112) << 23U | fraction << 13U;
    return std::bit_cast<float>(bits);
}

inline float read_one(const std::byte* source, FloatType type) {
    if (type == FloatType::float16) {
        std::uint16_t half;
        std::memcpy(&half, source, sizeof half);
        return half_to_float(half);
    }
    float value;
    std::memcpy(&value, source, sizeof value);
    return value;
}

inline std::int64_t read(const std::byte* source, FloatType type, Index stride, float* target, Index count) {
    std::int64_t nonfinite = 0;
    for (Index i = 0; i < count; ++i) {
        const float value = read_one(source + i * stride, type);
        nonfinite += std::isfinite(value) ? 0 : 1;
        target[i] = std::isnan(value) ? -kLargest : std::clamp(value, -kLargest, kLargest);
    }
    return nonfinite;
}

inline void sigmoid(float* values, Index count) {
    for (Index i = 0; i < count; ++i) {
        values[i] = sigmoid_float(values[i]);
    }
}

inline float interpolate(const float* above, const float* below, const Axis& rows, const Axis& columns, Index y,
                         Index x) {
    const Index left = columns.low[x], right = columns.high[x];
    const float upper = lerp(above[left], columns.low_weight[x], above[right], columns.high_weight[x]);
    const float lower = lerp(below[left], columns.low_weight[x], below[right], columns.high_weight[x]);
    return lerp(upper, rows.low_weight[y], lower, rows.high_weight[y]);
}

inline void resize(const float* plane, const Axis& rows, const Axis& columns, Index begin, Index end, float* out) {
    for (Index y = begin; y < end; ++y) {
        const float* above = plane + rows.low[y] * columns.source_length;
        const float* below = plane + rows.high[y] * columns.source_length;
        for (Index x = 0; x < columns.length; ++x) {
            out[y * columns.length + x] = interpolate(above, below, rows, columns, y, x);
        }
    }
}

inline void combine(const float* weights, Index weight_stride, const float* rows, Index row_stride, Index count,
                    Index width, float* out) {
    for (Index x = 0; x < width; ++x) {
        float value = 0;
        for (Index i = 0; i < count; ++i) {
            value = fused(weights[i * weight_stride], rows[i * row_stride + x], value);
        }
        out[x] = value;
    }
}

inline void combine_classes(const float* weights, Index weight_stride, Index classes, const float* rows,
                            Index row_stride, Index count, Index width, float* out, Index out_stride) {
    for (Index c = 0; c < classes; ++c) {
        combine(weights + c, weight_stride, rows, row_stride, count, width, out + c * out_stride);
    }
}

inline void softmax(float* logits, Index count) {
    float largest = logits[0];
    for (Index i = 1; i < count; ++i) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    float sums[kSumLanes] = {};
    for (Index i = 0; i < count; ++i) {
        logits[i] = exp_below(logits[i], largest);
        sums[i % kSumLanes] += logits[i];
    }
    for (int step = kSumLanes / 2; step > 0; step /= 2) {
        for (int i = 0; i < step; ++i) {
            sums[i] += sums[i + step];
        }
    }
    for (Index i = 0; i < count; ++i) {
        logits[i] /= sums[0];
    }
}

inline float least_decay(bool gaussian, float sigma, const float* overlaps, const float* worst, Index count) {
    float least = 1;
    for (Index i = 0; i < count; ++i) {
        const float decay = mask_decay(gaussian, sigma, overlaps[i], worst[i]);
        least = decay < least ? decay : least;
    }
    return least;
}

inline float sum_probabilities(const float* logits, Index count, Index* cells) {
    float sums[16] = {};
    *cells = 0;
    for (Index i = 0; i < count; ++i) {
        if (logits[i] > 0) {
            sums[i % 16] += sigmoid_float(logits[i]);
            ++*cells;
        }
    }
    float total = 0;
    for (const float sum : sums) {
        total += sum;
    }
    return total;
}

inline double add_probabilities(const float* logits, Index count, Index* cells) {
    double sum = 0;
    for (Index i = 0; i < count; ++i) {
        if (logits[i] > 0) {
            sum += static_cast<double>(sigmoid_float(logits[i]));
            ++*cells;
        }
    }
    return sum;
}

inline void turn(const float* rows, Index row_stride, Index height, Index width, float* out, Index out_stride) {
    for (Index y = 0; y < height; ++y) {
        for (Index x = 0; x < width; ++x) {
            out[x * out_stride + y] = rows[y * row_stride + x];
        }
    }
}

inline void blend_row(const float* upper, float upper_weight, const float* lower, float lower_weight, float* out,
                      Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = lerp(upper[x], upper_weight, lower[x], lower_weight);
    }
}

template <class T>
inline void paint(const T* labels, const std::int32_t* id_of_label, std::int32_t* ids, Index count) {
    for (Index i = 0; i < count; ++i) {
        ids[i] = id_of_label[labels[i]];
    }
}

inline void blend_pixels(const std::uint8_t* above, float above_weight, const std::uint8_t* below, float below_weight,
                         Index width, float* planes, Index plane_stride) {
    for (Index c = 0; c < 3; ++c) {
        for (Index x = 0; x < width; ++x) {
            planes[c * plane_stride + x] = lerp(above[3 * x + c], above_weight, below[3 * x + c], below_weight);
        }
    }
}

inline void normalize_row(const float* values, float factor, float offset, float* out, Index stride, Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x * stride] = fused(values[x], factor, offset);
    }
}

}  // namespace
}  // namespace segrt
