// The readable versions of the inner loops. Only tests use them, as the reference that every fast version equals.
#include <algorithm>
#include <bit>
#include <limits>

#include "kernels.h"
#include "math.h"

namespace segrt {
namespace {

float half_to_float(std::uint16_t half) {
    const std::uint32_t sign = (half & 0x8000U) << 16U;
    const std::uint32_t exponent = (half >> 10U) & 0x1FU;
    const std::uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) {
        const float value = static_cast<float>(fraction) * 0x1p-24F;
        return sign != 0 ? -value : value;
    }
    const std::uint32_t bits = exponent == 31 ? sign | 0x7F800000U | fraction << 13U
                                              : sign | (exponent + 112) << 23U | fraction << 13U;
    return std::bit_cast<float>(bits);
}

float read_one(const std::byte* source, FloatType type) {
    if (type == FloatType::float16) {
        std::uint16_t half;
        std::memcpy(&half, source, sizeof half);
        return half_to_float(half);
    }
    float value;
    std::memcpy(&value, source, sizeof value);
    return value;
}

std::int64_t read(const std::byte* source, FloatType type, Index stride, float* target, Index count) {
    constexpr float kLargest = std::numeric_limits<float>::max();
    std::int64_t nonfinite = 0;
    for (Index i = 0; i < count; ++i) {
        const float value = read_one(source + i * stride, type);
        if (std::isfinite(value)) {
            target[i] = value;
        } else {
            target[i] = value > 0 ? kLargest : -kLargest;
            ++nonfinite;
        }
    }
    return nonfinite;
}

void sigmoid(float* values, Index count) {
    for (Index i = 0; i < count; ++i) {
        values[i] = sigmoid_float(values[i]);
    }
}

float interpolate(const float* plane, const Axis& rows, const Axis& columns, Index y, Index x) {
    const float* above = plane + rows.low[y] * columns.source_length;
    const float* below = plane + rows.high[y] * columns.source_length;
    const Index left = columns.low[x], right = columns.high[x];
    const float upper = lerp(above[left], columns.low_weight[x], above[right], columns.high_weight[x]);
    const float lower = lerp(below[left], columns.low_weight[x], below[right], columns.high_weight[x]);
    return lerp(upper, rows.low_weight[y], lower, rows.high_weight[y]);
}

template <class T>
void label(const LabelJob& job, Index begin, Index end, Map<T> labels, Tally* tallies) {
    for (Index y = begin; y < end; ++y) {
        for (Index x = 0; x < job.columns.length; ++x) {
            Index winner = 0;
            float best = 0;
            bool visible = true;
            for (Index k = 0; k < job.channels; ++k) {
                float value = interpolate(job.planes[k], job.rows, job.columns, y, x);
                bool claimed = false;
                if (job.ranking == Ranking::weighted) {
                    value *= job.weights[k];
                    claimed = value >= 0.5F;
                } else if (job.ranking == Ranking::weighted_logit) {
                    const float probability = sigmoid_float(value);
                    claimed = probability >= 0.5F;
                    value = job.weights[k] * probability;
                }
                if (job.tally && claimed) {
                    ++tallies[k].original;
                }
                if (k == 0 || value > best) {
                    best = value;
                    winner = k;
                    visible = job.ranking != Ranking::weighted_logit || claimed;
                }
            }
            labels.row(y)[x] = static_cast<T>(visible ? winner : job.channels);
            if (job.tally) {
                Tally& tally = tallies[winner];
                ++tally.labelled;
                if (visible) {
                    ++tally.visible;
                    tally.left = std::min(tally.left, static_cast<std::int32_t>(x));
                    tally.right = std::max(tally.right, static_cast<std::int32_t>(x));
                    tally.top = std::min(tally.top, static_cast<std::int32_t>(y));
                    tally.bottom = std::max(tally.bottom, static_cast<std::int32_t>(y));
                }
            }
        }
    }
}

void resize(const float* plane, const Axis& rows, const Axis& columns, Index begin, Index end, float* out) {
    for (Index y = begin; y < end; ++y) {
        for (Index x = 0; x < columns.length; ++x) {
            out[y * columns.length + x] = interpolate(plane, rows, columns, y, x);
        }
    }
}

}  // namespace

void Tally::add(const Tally& other) {
    labelled += other.labelled;
    original += other.original;
    visible += other.visible;
    left = std::min(left, other.left);
    top = std::min(top, other.top);
    right = std::max(right, other.right);
    bottom = std::max(bottom, other.bottom);
}

const Kernels kScalarKernels{
    .name = "scalar",
    .read = read,
    .sigmoid = sigmoid,
    .label8 = label<std::uint8_t>,
    .label16 = label<std::uint16_t>,
    .resize = resize,
};

const Kernels& kernels() { return kScalarKernels; }

}  // namespace segrt
