// binary.cpp on the GPU: whether the interpolated score of the object is above a threshold; and the masks that networks
// have cut themselves. A thread decides a column of 8 pixels, so that it interpolates across once for rows that share
// their source rows; what it writes bounds it.
#include "grids.h"

namespace segrt {
namespace {

constexpr std::int32_t kCutRows = 8;

struct BinaryCut {
    float threshold;
    std::int32_t object, other;  // what is written above it, and elsewhere
};

// A score of a head of bytes.
struct Byte {
    std::uint8_t value;
};

SEGRT_SHARED float load(const Byte* byte) {
    return static_cast<float>(__ldg(&byte->value));
}

template <class Grid>
SEGRT_SHARED void cut_scores(const Grid& grid, const TargetTaps& target, const BinaryCut& cut, std::uint8_t* classes) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    const auto top = static_cast<std::int32_t>(blockIdx.y * blockDim.y + threadIdx.y) * kCutRows;
    if (x >= target.width || top >= target.height) {
        return;
    }
    const Tap column = target.columns[x];
    const std::int32_t bottom = min(top + kCutRows, target.height);
    std::int32_t held = -1;
    float upper = 0, lower = 0;
    for (std::int32_t y = top; y < bottom; ++y) {
        const Tap row = target.rows[y];
        if (row.low != held) {
            held = row.low;
            upper = lerp(grid.cell(0, row.low, column.low), column.low_weight, grid.cell(0, row.low, column.high),
                         column.high_weight);
            lower = lerp(grid.cell(0, row.high, column.low), column.low_weight, grid.cell(0, row.high, column.high),
                         column.high_weight);
        }
        const bool above = lerp(upper, row.low_weight, lower, row.high_weight) > cut.threshold;
        classes[static_cast<std::int64_t>(y) * target.width + x] =
            static_cast<std::uint8_t>(above ? cut.object : cut.other);
    }
}

// mask: (.., width) of values that are 0 or not, by nearest neighbour.
template <class T>
SEGRT_SHARED void take_mask(const T* mask, std::int32_t width, const std::int32_t* rows, const std::int32_t* columns,
                            std::int32_t target_height, std::int32_t target_width, const BinaryCut& cut,
                            std::uint8_t* classes) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    const auto y = static_cast<std::int32_t>(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= target_width || y >= target_height) {
        return;
    }
    const bool inside = widened(load(mask + static_cast<std::int64_t>(rows[y]) * width + columns[x])) != 0;
    classes[static_cast<std::int64_t>(y) * target_width + x] =
        static_cast<std::uint8_t>(inside ? cut.object : cut.other);
}

}  // namespace
}  // namespace segrt

// Grid (ceil(width / 32), ceil(height / 64)), block (32, 8).
#define SEGRT_CUT(name, T, probabilities)                                                                    \
    extern "C" __global__ void name(const T* scores, std::int32_t height, std::int32_t width,                \
                                    segrt::TargetTaps target, segrt::BinaryCut cut, std::uint8_t* classes) { \
        segrt::cut_scores(segrt::HeadGrid<T, probabilities>{scores, height, width}, target, cut, classes);   \
    }                                                                                                        \
    SEGRT_KERNEL(name)

// Grid (ceil(width / 32), ceil(height / 8)), block (32, 8).
#define SEGRT_MASK(name, T)                                                                                   \
    extern "C" __global__ void name(const T* mask, std::int32_t width, const std::int32_t* rows,              \
                                    const std::int32_t* columns, std::int32_t target_height,                  \
                                    std::int32_t target_width, segrt::BinaryCut cut, std::uint8_t* classes) { \
        segrt::take_mask(mask, width, rows, columns, target_height, target_width, cut, classes);              \
    }                                                                                                         \
    SEGRT_KERNEL(name)

SEGRT_CUT(cut_scores_float, float, false)
SEGRT_CUT(cut_scores_half, segrt::Half, false)
SEGRT_CUT(cut_scores_byte, segrt::Byte, false)
SEGRT_CUT(cut_probabilities_float, float, true)
SEGRT_CUT(cut_probabilities_half, segrt::Half, true)
SEGRT_MASK(take_mask_float, float)
SEGRT_MASK(take_mask_half, segrt::Half)
SEGRT_MASK(take_mask_byte, segrt::Byte)
