// Inner loops over single rows. See fast_table.h for how this file is compiled.
#pragma once

#include "float_math.h"
#include "kernels.h"
#include "kernels/combine_tile.h"
#include "kernels/halves.h"
#include "mask_decay.h"
#include "softmax.h"

namespace segrt {
namespace {

inline float smaller(float a, float b) {
    return a < b ? a : b;
}
inline float larger(float a, float b) {
    return a > b ? a : b;
}

// From `source` (which may be `values`); returns how many are not finite.
inline std::int64_t limit_row(const std::byte* source, float* values, Index count) {
    std::int32_t nonfinite = 0;
    for (Index i = 0; i < count; ++i) {
        float value;
        std::memcpy(&value, source + i * Index{sizeof value}, sizeof value);
        std::uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        nonfinite += (bits & 0x7F800000U) == 0x7F800000U ? 1 : 0;
        // A comparison with NaN is false, so that NaN takes the lower limit.
        values[i] = smaller(value > -kLargest ? value : -kLargest, kLargest);
    }
    return nonfinite;
}

inline std::int64_t read_row(const std::byte* source, FloatType type, Index stride, float* target, Index count) {
    if (count <= 0) {
        return 0;
    }
    if (type == FloatType::float32) {
        if (stride == Index{sizeof(float)}) {
            return limit_row(source, target, count);
        }
        for (Index i = 0; i < count; ++i) {
            std::memcpy(target + i, source + i * stride, sizeof(float));
        }
    } else if (stride == Index{sizeof(std::uint16_t)} && reinterpret_cast<std::uintptr_t>(source) % 2 == 0) {
        halves_to_floats(reinterpret_cast<const std::uint16_t*>(source), target, count);
    } else {
        for (Index i = 0; i < count; ++i) {
            std::uint16_t half;
            std::memcpy(&half, source + i * stride, sizeof half);
            target[i] = half_to_float(half);
        }
    }
    return limit_row(reinterpret_cast<const std::byte*>(target), target, count);
}

inline void sigmoid_row(float* values, Index count) {
    for (Index i = 0; i < count; ++i) {
        values[i] = sigmoid_float(values[i]);
    }
}

inline void resize_rows(const float* plane, const Axis& rows, const Axis& columns, Index begin, Index end, float* out) {
    for (Index y = begin; y < end; ++y) {
        const float* above = plane + rows.low[y] * columns.source_length;
        const float* below = plane + rows.high[y] * columns.source_length;
        const float above_weight = rows.low_weight[y], below_weight = rows.high_weight[y];
        float* row = out + y * columns.length;
        for (Index x = 0; x < columns.length; ++x) {
            const std::int32_t left = columns.low[x], right = columns.high[x];
            const float left_weight = columns.low_weight[x], right_weight = columns.high_weight[x];
            const float upper = lerp(above[left], left_weight, above[right], right_weight);
            const float lower = lerp(below[left], left_weight, below[right], right_weight);
            row[x] = lerp(upper, above_weight, lower, below_weight);
        }
    }
}

inline void combine_rows(const float* weights, Index weight_stride, const float* rows, Index row_stride, Index count,
                         Index width, float* out) {
    constexpr Index kStep = 64;
    for (Index x = 0; x < width; x += kStep) {
        const Index step = x + kStep < width ? kStep : width - x;
        float sums[kStep] = {};
        for (Index i = 0; i < count; ++i) {
            const float weight = weights[i * weight_stride];
            const float* row = rows + i * row_stride + x;
            if (step == kStep) {
                for (Index j = 0; j < kStep; ++j) {
                    sums[j] = fused(weight, row[j], sums[j]);
                }
            } else {
                for (Index j = 0; j < step; ++j) {
                    sums[j] = fused(weight, row[j], sums[j]);
                }
            }
        }
        std::memcpy(out + x, sums, static_cast<std::size_t>(step) * sizeof(float));
    }
}

inline void combine_classes(const float* weights, Index weight_stride, Index classes, const float* rows,
                            Index row_stride, Index count, Index width, float* out, Index out_stride) {
    const Index tiled_classes = classes / kTileClasses * kTileClasses;
    const Index tiled_width = width / kTile * kTile;
    // Tile by tile: what a tile reads of the rows stays in the first cache for all classes.
    for (Index x = 0; x < tiled_width; x += kTile) {
        for (Index c = 0; c < tiled_classes; c += kTileClasses) {
            combine_tile(weights + c, weight_stride, rows + x, row_stride, count, out + c * out_stride + x, out_stride);
        }
        for (Index c = tiled_classes; c < classes; ++c) {
            combine_rows(weights + c, weight_stride, rows + x, row_stride, count, kTile, out + c * out_stride + x);
        }
    }
    if (tiled_width < width) {
        for (Index c = 0; c < classes; ++c) {
            combine_rows(weights + c, weight_stride, rows + tiled_width, row_stride, count, width - tiled_width,
                         out + c * out_stride + tiled_width);
        }
    }
}

inline void softmax_row(float* logits, Index count) {
    const Index whole = count / kSumLanes * kSumLanes;
    float largest = logits[0];
    float best[kSumLanes];
    for (float& value : best) {
        value = logits[0];
    }
    for (Index i = 0; i < whole; i += kSumLanes) {
        for (Index j = 0; j < kSumLanes; ++j) {
            best[j] = larger(logits[i + j], best[j]);
        }
    }
    for (const float value : best) {
        largest = larger(value, largest);
    }
    for (Index i = whole; i < count; ++i) {
        largest = larger(logits[i], largest);
    }
    float sums[kSumLanes] = {};
    for (Index i = 0; i < whole; i += kSumLanes) {
        for (Index j = 0; j < kSumLanes; ++j) {
            logits[i + j] = exp_below(logits[i + j], largest);
            sums[j] += logits[i + j];
        }
    }
    for (Index i = whole; i < count; ++i) {
        logits[i] = exp_below(logits[i], largest);
        sums[i - whole] += logits[i];
    }
    for (int step = kSumLanes / 2; step > 0; step /= 2) {
        for (int i = 0; i < step; ++i) {
            sums[i] += sums[i + step];
        }
    }
    const float sum = sums[0];
    for (Index i = 0; i < count; ++i) {
        logits[i] /= sum;
    }
}

inline float least_decay(bool gaussian, float sigma, const float* overlaps, const float* worst, Index count) {
    constexpr Index kLanes = 16;
    float least[kLanes];
    for (float& value : least) {
        value = 1;
    }
    const Index whole = count / kLanes * kLanes;
    for (Index i = 0; i < whole; i += kLanes) {
        if (gaussian) {
            for (Index j = 0; j < kLanes; ++j) {
                least[j] = smaller(mask_decay(true, sigma, overlaps[i + j], worst[i + j]), least[j]);
            }
        } else {
            for (Index j = 0; j < kLanes; ++j) {
                least[j] = smaller(mask_decay(false, sigma, overlaps[i + j], worst[i + j]), least[j]);
            }
        }
    }
    for (Index i = whole; i < count; ++i) {
        least[i - whole] = smaller(mask_decay(gaussian, sigma, overlaps[i], worst[i]), least[i - whole]);
    }
    float result = 1;
    for (const float value : least) {
        result = smaller(value, result);
    }
    return result;
}

inline float sum_probabilities(const float* logits, Index count, Index* cells) {
    constexpr Index kLanes = 16;
    float sums[kLanes] = {};
    std::int32_t counts[kLanes] = {};
    for (Index i = 0; i < count; i += kLanes) {
        const Index step = i + kLanes < count ? kLanes : count - i;
        if (step == kLanes) {
            for (Index j = 0; j < kLanes; ++j) {
                const float logit = logits[i + j], probability = sigmoid_float(logit);
                sums[j] += logit > 0 ? probability : 0.0F;
                counts[j] += logit > 0 ? 1 : 0;
            }
        } else {
            for (Index j = 0; j < step; ++j) {
                const float logit = logits[i + j], probability = sigmoid_float(logit);
                sums[j] += logit > 0 ? probability : 0.0F;
                counts[j] += logit > 0 ? 1 : 0;
            }
        }
    }
    float total = 0;
    *cells = 0;
    for (Index j = 0; j < kLanes; ++j) {
        total += sums[j];
        *cells += counts[j];
    }
    return total;
}

inline double add_probabilities(const float* logits, Index count, Index* cells) {
    constexpr Index kLanes = 16;
    double sums[kLanes] = {};
    std::int32_t counts[kLanes] = {};
    const Index whole = count / kLanes * kLanes;
    for (Index i = 0; i < whole; i += kLanes) {
        float probability[kLanes];
        for (Index j = 0; j < kLanes; ++j) {
            const float logit = logits[i + j], value = sigmoid_float(logit);
            probability[j] = logit > 0 ? value : 0.0F;
            counts[j] += logit > 0 ? 1 : 0;
        }
        for (Index j = 0; j < kLanes; ++j) {
            sums[j] += static_cast<double>(probability[j]);
        }
    }
    double total = 0;
    for (Index i = whole; i < count; ++i) {
        if (logits[i] > 0) {
            total += static_cast<double>(sigmoid_float(logits[i]));
            ++*cells;
        }
    }
    for (Index j = 0; j < kLanes; ++j) {
        total += sums[j];
        *cells += counts[j];
    }
    return total;
}

inline void blend_row(const float* upper, float upper_weight, const float* lower, float lower_weight, float* out,
                      Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = lerp(upper[x], upper_weight, lower[x], lower_weight);
    }
}

inline void blend_pixels(const std::uint8_t* above, float above_weight, const std::uint8_t* below, float below_weight,
                         Index width, float* planes, Index plane_stride) {
    float* first = planes;
    float* second = planes + plane_stride;
    float* third = planes + 2 * plane_stride;
    for (Index x = 0; x < width; ++x) {
        first[x] = lerp(above[3 * x], above_weight, below[3 * x], below_weight);
        second[x] = lerp(above[3 * x + 1], above_weight, below[3 * x + 1], below_weight);
        third[x] = lerp(above[3 * x + 2], above_weight, below[3 * x + 2], below_weight);
    }
}

inline void normalize_row(const float* values, float factor, float offset, float* out, Index stride, Index count) {
    if (stride == 1) {
        for (Index x = 0; x < count; ++x) {
            out[x] = fused(values[x], factor, offset);
        }
    } else {
        for (Index x = 0; x < count; ++x) {
            out[x * stride] = fused(values[x], factor, offset);
        }
    }
}

template <class Label>
inline void paint_row(const Label* labels, const std::int32_t* id_of_label, std::int32_t* ids, Index count) {
    constexpr Index kRun = 32;
    Index x = 0;
    for (; x + kRun <= count; x += kRun) {
        // Within a segment, which is nearly everywhere, one look-up serves many pixels.
        const Label first = labels[x];
        Label difference = 0;
        for (Index i = 0; i < kRun; ++i) {
            difference = static_cast<Label>(difference | (labels[x + i] ^ first));
        }
        if (difference == 0) {
            const std::int32_t id = id_of_label[first];
            for (Index i = 0; i < kRun; ++i) {
                ids[x + i] = id;
            }
        } else {
            for (Index i = 0; i < kRun; ++i) {
                ids[x + i] = id_of_label[labels[x + i]];
            }
        }
    }
    for (; x < count; ++x) {
        ids[x] = id_of_label[labels[x]];
    }
}

}  // namespace
}  // namespace segrt
