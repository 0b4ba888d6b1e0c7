// The masks of query_instances.cpp on the GPU: where their cells are above 0, cut to bits, and their mean probability.
#include "mask_view.h"

namespace segrt {
namespace {

// Inclusive ranges of cells of which a mean is taken.
struct CellWindow {
    std::int32_t top, bottom, left, right;
};

// A mask's mean probability: the sum, and of how many. A probability above a half, and a sum of such, is a multiple of
// 2^-25: as an integer, the sum does not depend on the order.
struct Mean {
    std::uint64_t sum;
    std::int64_t cells;
};

constexpr float kUnits = 33554432.0F;  // 2^25

// Finds the part of the grid above 0 and what looks at it, and the grid's mean within `window`. Grid (masks), block
// (1024).
template <class T>
SEGRT_SHARED void survey(const T* logits, const std::int32_t* queries, const std::int32_t* count, const View& view,
                         const CellWindow& window, PixelRect* reach, PixelRect* processed, Mean* means,
                         std::int32_t* nonfinite) {
    const auto mask = static_cast<std::int32_t>(blockIdx.x);
    if (mask >= *count) {
        return;
    }
    const AxisMap rows = view.grid_rows(), columns = view.grid_columns();
    const std::int32_t width = columns.source_length, cells = rows.source_length * width;
    const T* grid = logits + static_cast<std::int64_t>(queries[mask]) * cells;
    constexpr std::int32_t far = 0x7FFFFFFF;
    __shared__ PixelRect live;
    __shared__ std::uint64_t sum;
    __shared__ std::int32_t inside, bad;
    if (threadIdx.x == 0) {
        live = {far, far, 0, 0};
        sum = 0;
        inside = 0;
        bad = 0;
    }
    __syncthreads();
    PixelRect own = {far, far, 0, 0};
    std::uint64_t own_sum = 0;
    std::int32_t own_inside = 0, own_bad = 0;
    for (auto i = static_cast<std::int32_t>(threadIdx.x); i < cells; i += static_cast<std::int32_t>(blockDim.x)) {
        const float wide = widened(grid[i]);
        const float logit = limited(wide);
        own_bad |= is_finite(wide) ? 0 : 1;
        if (logit > 0) {
            const std::int32_t y = i / width, x = i % width;
            own = {min(own.left, x), min(own.top, y), max(own.right, x + 1), max(own.bottom, y + 1)};
            if (y >= window.top && y <= window.bottom && x >= window.left && x <= window.right) {
                own_sum += static_cast<std::uint64_t>(sigmoid_float(logit) * kUnits);
                ++own_inside;
            }
        }
    }
    own = {warp_least(own.left), warp_least(own.top), warp_most(own.right), warp_most(own.bottom)};
    own_sum = warp_sum(own_sum);
    own_inside = warp_sum(own_inside);
    own_bad = warp_most(own_bad);
    if (lane_of_thread() == 0) {
        atomicMin(&live.left, own.left);
        atomicMin(&live.top, own.top);
        atomicMax(&live.right, own.right);
        atomicMax(&live.bottom, own.bottom);
        atomicAdd(&sum, own_sum);
        atomicAdd(&inside, own_inside);
        atomicMax(&bad, own_bad);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        means[mask] = {sum, inside};
        PixelRect shown = targets_of(rows, columns, live);
        if (view.stepwise != 0) {
            processed[mask] = live.empty() ? PixelRect{0, 0, 0, 0}
                                           : PixelRect{max(shown.left - 1, 0), max(shown.top - 1, 0),
                                                       min(max(shown.right, shown.left) + 1, columns.length),
                                                       min(max(shown.bottom, shown.top) + 1, rows.length)};
            shown = targets_of(view.rows, view.columns, shown);
        }
        reach[mask] = shown;
        if (bad != 0) {
            *nonfinite = 1;
        }
    }
}

template <class T>
SEGRT_SHARED HeadGrid<T> grid_of(const T* logits, std::int32_t query, const View& view) {
    const std::int64_t height = view.grid_rows().source_length, width = view.grid_columns().source_length;
    return {logits + query * height * width, static_cast<std::int32_t>(width)};
}

template <class T>
SEGRT_SHARED void cut(const T* logits, const std::int32_t* queries, const std::int32_t* count, const View& view,
                      const MaskBits& bits) {
    const auto mask = static_cast<std::int32_t>(blockIdx.z);
    if (mask >= *count) {
        return;
    }
    const HeadGrid<T> grid = grid_of(logits, queries[mask], view);
    if (view.stepwise != 0) {
        cut_mask(two_steps<First::across>(grid, view), 0, 0, 0.0F, bits, mask);
    } else {
        cut_mask(one_step(grid, view), 0, 0, 0.0F, bits, mask);
    }
}

constexpr std::int32_t kSums = 16;  // of sum_probabilities in kernels.h: a column's lanes

// Adds the probabilities above a half of rows [top, bottom) of one target column; kSums neighbouring lanes call it
// together. The order of sums is that of sum_probabilities.
template <class Mask>
SEGRT_SHARED void add_column(const Mask& mask, std::int32_t x, std::int32_t top, std::int32_t bottom, Mean& mean) {
    const auto column = mask.column(x);
    float sum = 0;
    std::int32_t cells = 0;
    for (std::int32_t y = top + lane_of_thread() % kSums; y < bottom; y += kSums) {
        const Tap row = mask.rows.at(y);
        const float value =
            lerp(mask.value(row.low, column), row.low_weight, mask.value(row.high, column), row.high_weight);
        if (value > 0) {
            sum += sigmoid_float(value);
            ++cells;
        }
    }
    float total = 0;
    std::int32_t all = 0;
    for (std::int32_t lane = 0; lane < kSums; ++lane) {
        total += __shfl_sync(kAllLanes, sum, lane, kSums);
        all += __shfl_sync(kAllLanes, cells, lane, kSums);
    }
    if (lane_of_thread() % kSums == 0 && all > 0) {
        atomicAdd(&mean.sum, static_cast<std::uint64_t>(total * kUnits));
        atomicAdd(reinterpret_cast<std::uint64_t*>(&mean.cells), static_cast<std::uint64_t>(all));
    }
}

// The mean over the cells of the size in between whose centre lies in `window`. Grid (ceil(columns / 16), masks), block
// (256).
template <class T>
SEGRT_SHARED void processed_mean(const T* logits, const std::int32_t* queries, const std::int32_t* count,
                                 const View& view, const CellWindow& window, const PixelRect* processed, Mean* means) {
    const auto mask = static_cast<std::int32_t>(blockIdx.y);
    if (mask >= *count) {
        return;
    }
    const PixelRect live = processed[mask];
    const auto x = static_cast<std::int32_t>((blockIdx.x * blockDim.x + threadIdx.x) / kSums);
    const bool within = x >= max(live.left, window.left) && x < min(live.right, window.right + 1);
    const std::int32_t top = max(live.top, window.top), bottom = within ? min(live.bottom, window.bottom + 1) : top;
    const OneStep<HeadGrid<T>> shown{grid_of(logits, queries[mask], view), view.first_rows, view.first_columns};
    add_column(shown, min(x, view.first_columns.length - 1), top, bottom, means[mask]);
}

// The mean over the picture's pixels. Grid (ceil(columns / 16), masks), block (256).
template <class T>
SEGRT_SHARED void picture_mean(const T* logits, const std::int32_t* queries, const std::int32_t* count,
                               const View& view, const MaskBits& bits, Mean* means) {
    const auto mask = static_cast<std::int32_t>(blockIdx.y);
    if (mask >= *count) {
        return;
    }
    const PixelRect reach = bits.reach[mask];
    auto x = static_cast<std::int32_t>((blockIdx.x * blockDim.x + threadIdx.x) / kSums);
    const bool within = !reach.empty() && x >= reach.left && x < reach.right;
    x = min(x, bits.width - 1);
    std::int32_t top = bits.height, bottom = 0;
    const std::int32_t end = within ? (reach.bottom - 1) / kWordRows + 1 : 0;
    for (std::int32_t word_row = reach.top / kWordRows + lane_of_thread() % kSums; word_row < end; word_row += kSums) {
        const std::uint32_t word = bits.row(mask, word_row)[x];
        if (word != 0) {
            top = min(top, word_row * kWordRows + __ffs(word) - 1);
            bottom = max(bottom, word_row * kWordRows + kWordRows - __clz(word));
        }
    }
    for (std::int32_t distance = kSums / 2; distance > 0; distance /= 2) {
        top = min(top, __shfl_xor_sync(kAllLanes, top, distance));
        bottom = max(bottom, __shfl_xor_sync(kAllLanes, bottom, distance));
    }
    const HeadGrid<T> grid = grid_of(logits, queries[mask], view);
    if (view.stepwise != 0) {
        add_column(two_steps<First::across>(grid, view), x, top, bottom, means[mask]);
    } else {
        add_column(one_step(grid, view), x, top, bottom, means[mask]);
    }
}

}  // namespace
}  // namespace segrt

extern "C" __global__ void survey_masks_float(const float* logits, const std::int32_t* queries,
                                              const std::int32_t* count, segrt::View view, segrt::CellWindow window,
                                              segrt::PixelRect* reach, segrt::PixelRect* processed, segrt::Mean* means,
                                              std::int32_t* nonfinite) {
    segrt::survey(logits, queries, count, view, window, reach, processed, means, nonfinite);
}
SEGRT_KERNEL(survey_masks_float)

extern "C" __global__ void survey_masks_half(const segrt::Half* logits, const std::int32_t* queries,
                                             const std::int32_t* count, segrt::View view, segrt::CellWindow window,
                                             segrt::PixelRect* reach, segrt::PixelRect* processed, segrt::Mean* means,
                                             std::int32_t* nonfinite) {
    segrt::survey(logits, queries, count, view, window, reach, processed, means, nonfinite);
}
SEGRT_KERNEL(survey_masks_half)

extern "C" __global__ void cut_masks_float(const float* logits, const std::int32_t* queries, const std::int32_t* count,
                                           segrt::View view, segrt::MaskBits bits) {
    segrt::cut(logits, queries, count, view, bits);
}
SEGRT_KERNEL(cut_masks_float)

extern "C" __global__ void cut_masks_half(const segrt::Half* logits, const std::int32_t* queries,
                                          const std::int32_t* count, segrt::View view, segrt::MaskBits bits) {
    segrt::cut(logits, queries, count, view, bits);
}
SEGRT_KERNEL(cut_masks_half)

extern "C" __global__ void processed_means_float(const float* logits, const std::int32_t* queries,
                                                 const std::int32_t* count, segrt::View view, segrt::CellWindow window,
                                                 const segrt::PixelRect* processed, segrt::Mean* means) {
    segrt::processed_mean(logits, queries, count, view, window, processed, means);
}
SEGRT_KERNEL(processed_means_float)

extern "C" __global__ void processed_means_half(const segrt::Half* logits, const std::int32_t* queries,
                                                const std::int32_t* count, segrt::View view, segrt::CellWindow window,
                                                const segrt::PixelRect* processed, segrt::Mean* means) {
    segrt::processed_mean(logits, queries, count, view, window, processed, means);
}
SEGRT_KERNEL(processed_means_half)

extern "C" __global__ void picture_means_float(const float* logits, const std::int32_t* queries,
                                               const std::int32_t* count, segrt::View view, segrt::MaskBits bits,
                                               segrt::Mean* means) {
    segrt::picture_mean(logits, queries, count, view, bits, means);
}
SEGRT_KERNEL(picture_means_float)

extern "C" __global__ void picture_means_half(const segrt::Half* logits, const std::int32_t* queries,
                                              const std::int32_t* count, segrt::View view, segrt::MaskBits bits,
                                              segrt::Mean* means) {
    segrt::picture_mean(logits, queries, count, view, bits, means);
}
SEGRT_KERNEL(picture_means_half)
