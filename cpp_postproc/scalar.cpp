// The readable versions of the inner loops. Only tests use them, as the reference that every fast version equals.
#include <algorithm>
#include <bit>
#include <vector>

#include "float_math.h"
#include "kernels.h"

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
    const std::uint32_t bits =
        exponent == 31 ? sign | 0x7F800000U | fraction << 13U : sign | (exponent + 112) << 23U | fraction << 13U;
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
    std::int64_t nonfinite = 0;
    for (Index i = 0; i < count; ++i) {
        const float value = read_one(source + i * stride, type);
        nonfinite += std::isfinite(value) ? 0 : 1;
        target[i] = std::isnan(value) ? -kLargest : std::clamp(value, -kLargest, kLargest);
    }
    return nonfinite;
}

void sigmoid(float* values, Index count) {
    for (Index i = 0; i < count; ++i) {
        values[i] = sigmoid_float(values[i]);
    }
}

float interpolate(const float* above, const float* below, const Axis& rows, const Axis& columns, Index y, Index x) {
    const Index left = columns.low[x], right = columns.high[x];
    const float upper = lerp(above[left], columns.low_weight[x], above[right], columns.high_weight[x]);
    const float lower = lerp(below[left], columns.low_weight[x], below[right], columns.high_weight[x]);
    return lerp(upper, rows.low_weight[y], lower, rows.high_weight[y]);
}

struct Value {
    float rank;
    bool claimed;  // the channel claims the pixel by itself
};

Value rank(const LabelJob& job, Index k, float interpolated) {
    switch (job.ranking) {
        case Ranking::weighted: {
            const float value = interpolated * job.weights[k];
            return {value, value >= 0.5F};
        }
        case Ranking::weighted_logit: {
            const float probability = sigmoid_float(interpolated);
            return {job.weights[k] * probability, probability >= 0.5F};
        }
        case Ranking::plain:
            break;
    }
    return {interpolated, true};
}

template <class T>
std::int64_t label(const LabelJob& job, Index begin, Index end, Map<T> labels, Tally* tallies, float*) {
    const Index height = job.source.height, width = job.source.width;
    std::vector<float> grids(static_cast<std::size_t>(job.channels * height * width));
    std::vector<bool> used(static_cast<std::size_t>(height), false);
    for (Index y = begin; y < end; ++y) {
        used[static_cast<std::size_t>(job.rows.low[y])] = true;
        used[static_cast<std::size_t>(job.rows.high[y])] = true;
    }
    std::int64_t nonfinite = 0;
    for (Index k = 0; k < job.channels; ++k) {
        for (Index r = 0; r < height; ++r) {
            if (!used[static_cast<std::size_t>(r)]) {
                continue;
            }
            float* row = grids.data() + (k * height + r) * width;
            const std::int64_t bad =
                read(job.source.row(job.images[k], r), job.source.type, job.source.strides[2], row, width);
            nonfinite += r >= first_own_row(job.rows, begin) ? bad : 0;
            if (job.probabilities) {
                sigmoid(row, width);
            }
        }
    }
    for (Index y = begin; y < end; ++y) {
        for (Index x = 0; x < job.columns.length; ++x) {
            Index winner = 0;
            Value best{};
            for (Index k = 0; k < job.channels; ++k) {
                const float* grid = grids.data() + k * height * width;
                const Value value = rank(job, k,
                                         interpolate(grid + job.rows.low[y] * width, grid + job.rows.high[y] * width,
                                                     job.rows, job.columns, y, x));
                if (job.tally && value.claimed) {
                    ++tallies[k].original;
                }
                if (k == 0 || value.rank > best.rank) {
                    best = value;
                    winner = k;
                }
            }
            const bool visible = job.ranking != Ranking::weighted_logit || best.claimed;
            labels.row(y)[x] = static_cast<T>(visible ? winner : job.channels);
            if (job.tally) {
                Tally& tally = tallies[winner];
                ++tally.labelled;
                if (visible) {
                    tally.visible.add_row(y, x, x, 1);
                }
            }
        }
    }
    return nonfinite;
}

Index label_memory(const LabelJob&) {
    return 0;
}

void resize(const float* plane, const Axis& rows, const Axis& columns, Index begin, Index end, float* out) {
    for (Index y = begin; y < end; ++y) {
        const float* above = plane + rows.low[y] * columns.source_length;
        const float* below = plane + rows.high[y] * columns.source_length;
        for (Index x = 0; x < columns.length; ++x) {
            out[y * columns.length + x] = interpolate(above, below, rows, columns, y, x);
        }
    }
}

void combine(const float* weights, Index weight_stride, const float* rows, Index row_stride, Index count, Index width,
             float* out) {
    for (Index x = 0; x < width; ++x) {
        float value = 0;
        for (Index i = 0; i < count; ++i) {
            value = fused(weights[i * weight_stride], rows[i * row_stride + x], value);
        }
        out[x] = value;
    }
}

template <class T>
void paint(const T* labels, const std::int32_t* id_of_label, std::int32_t* ids, Index count) {
    for (Index i = 0; i < count; ++i) {
        ids[i] = id_of_label[labels[i]];
    }
}

void active_columns(const GridMask& mask, std::uint8_t* active) {
    std::fill_n(active, mask.columns.source_length, std::uint8_t{1});
}

Index column_changes(const GridMask& mask, Index x, const std::int32_t*, float* column, std::uint8_t*,
                     std::int32_t* changes) {
    const Index rows = mask.rows.source_length;
    const float* left = mask.grid + mask.columns.low[x] * rows;
    const float* right = mask.grid + mask.columns.high[x] * rows;
    for (Index r = 0; r < rows; ++r) {
        column[r] = lerp(left[r], mask.columns.low_weight[x], right[r], mask.columns.high_weight[x]);
    }
    Index count = 0;
    bool inside = false;
    for (Index y = 0; y < mask.rows.length; ++y) {
        const float value = lerp(column[mask.rows.low[y]], mask.rows.low_weight[y], column[mask.rows.high[y]],
                                 mask.rows.high_weight[y]);
        if ((value > mask.threshold) != inside) {
            inside = !inside;
            changes[count++] = static_cast<std::int32_t>(y);
        }
    }
    return count;
}

void enlarge_row(const float* row, const Axis& columns, float* out, Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = lerp(row[columns.low[x]], columns.low_weight[x], row[columns.high[x]], columns.high_weight[x]);
    }
}

void blend_pixels(const std::uint8_t* above, float above_weight, const std::uint8_t* below, float below_weight,
                  Index width, float* planes, Index plane_stride) {
    for (Index c = 0; c < 3; ++c) {
        for (Index x = 0; x < width; ++x) {
            planes[c * plane_stride + x] = lerp(above[3 * x + c], above_weight, below[3 * x + c], below_weight);
        }
    }
}

void normalize_row(const float* values, float factor, float offset, float* out, Index stride, Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x * stride] = fused(values[x], factor, offset);
    }
}

void cut_row(const float* upper, float upper_weight, const float* lower, float lower_weight, float threshold,
             std::uint8_t* out, Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = lerp(upper[x], upper_weight, lower[x], lower_weight) > threshold ? 1 : 0;
    }
}

std::int64_t pack_row(const std::uint8_t* row, Index count, std::uint64_t* bits) {
    std::fill_n(bits, (count + 63) / 64, std::uint64_t{0});
    std::int64_t set = 0;
    for (Index x = 0; x < count; ++x) {
        if (row[x] != 0) {
            bits[x / 64] |= std::uint64_t{1} << (x % 64);
            ++set;
        }
    }
    return set;
}

std::int64_t count_common(const std::uint64_t* a, const std::uint64_t* b, Index words) {
    std::int64_t common = 0;
    for (Index i = 0; i < words; ++i) {
        common += std::popcount(a[i] & b[i]);
    }
    return common;
}

void paint_bits(const std::uint64_t* bits, Index words, std::int32_t id, std::int32_t* ids) {
    for (Index x = 0; x < words * 64; ++x) {
        if ((bits[x / 64] >> (x % 64) & 1U) != 0) {
            ids[x] = id;
        }
    }
}

void filter_bytes(const std::uint8_t* first, Index stride, const std::int32_t* weights, Index taps, std::uint8_t* out,
                  Index count) {
    for (Index i = 0; i < count; ++i) {
        std::int64_t sum = std::int64_t{1} << (kWeightBits - 1);
        for (Index k = 0; k < taps; ++k) {
            sum += std::int64_t{weights[k]} * first[k * stride + i];
        }
        out[i] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> kWeightBits, 0, 255));
    }
}

void clear_pictures(std::uint8_t* bytes, Index count) {
    std::fill_n(bytes, count, std::uint8_t{0});
}

}  // namespace

const Kernels kScalarKernels{
    .name = "scalar",
    .read = read,
    .sigmoid = sigmoid,
    .label_memory = label_memory,
    .label8 = label<std::uint8_t>,
    .label16 = label<std::uint16_t>,
    .resize = resize,
    .combine = combine,
    .paint8 = paint<std::uint8_t>,
    .paint16 = paint<std::uint16_t>,
    .active_columns = active_columns,
    .column_changes = column_changes,
    .enlarge_row = enlarge_row,
    .blend_pixels = blend_pixels,
    .normalize_row = normalize_row,
    .cut_row = cut_row,
    .pack_row = pack_row,
    .count_common = count_common,
    .paint_bits = paint_bits,
    .filter_bytes = filter_bytes,
    .clear_pictures = clear_pictures,
};

}  // namespace segrt
