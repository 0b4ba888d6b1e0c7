// centers.cpp on the GPU: the heat at every pixel, which pixels are centres, and in the end those that count, in order.
#include "block.h"
#include "by_way.h"

namespace segrt {
namespace {

constexpr int kColumns = 32, kRows = 8;  // of threads in a block that looks at pixels
constexpr int kThreads = 256;            // of the block that chooses
constexpr int kBins = 256;

template <class T>
SEGRT_SHARED void heat_of_pixels(const T* head, const ByWay& way, std::int32_t height, std::int32_t width,
                                 float* heat) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * kColumns + threadIdx.x);
    const auto y = static_cast<std::int32_t>(blockIdx.y * kRows + threadIdx.y);
    if (x < width && y < height) {
        heat[static_cast<std::int64_t>(y) * width + x] = limited(PixelTaps(way, y, x).value(head));
    }
}

SEGRT_SHARED bool is_peak(const float* heat, std::int32_t height, std::int32_t width, std::int32_t y, std::int32_t x,
                          std::int32_t radius, float value) {
    const std::int32_t top = max(y - radius, 0), bottom = min(y + radius, height - 1);
    const std::int32_t left = max(x - radius, 0), right = min(x + radius, width - 1);
    for (std::int32_t v = top; v <= bottom; ++v) {
        const float* row = heat + static_cast<std::int64_t>(v) * width;
        for (std::int32_t u = left; u <= right; ++u) {
            if (__ldg(row + u) > value) {
                return false;
            }
        }
    }
    return true;
}

// Positive floats are ordered as their bits are.
SEGRT_SHARED std::uint32_t key_of(const float* heat, std::int32_t pixel) {
    return __float_as_uint(heat[pixel]);
}

// The bits of the `rank`-th largest heat among the peaks, rank 1 being the largest: eight bits at a time, from the top.
SEGRT_SHARED std::uint32_t find_ranked(const float* heat, const std::int32_t* peaks, std::int32_t count,
                                       std::int32_t rank) {
    __shared__ std::int32_t bins[kBins];
    __shared__ std::uint32_t chosen;
    __shared__ std::int32_t still;
    const auto thread = static_cast<std::int32_t>(threadIdx.x);
    std::uint32_t prefix = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        bins[thread] = 0;
        __syncthreads();
        for (std::int32_t i = thread; i < count; i += kThreads) {
            const std::uint32_t key = key_of(heat, peaks[i]);
            if (shift == 24 || key >> (shift + 8) == prefix) {
                atomicAdd(&bins[key >> shift & 0xFFU], 1);
            }
        }
        __syncthreads();
        const std::int32_t bin = kBins - 1 - thread, own = bins[bin];  // from the largest heat down
        const std::int32_t before = block_place(own).before;
        if (before < rank && rank <= before + own) {
            chosen = prefix << 8U | static_cast<std::uint32_t>(bin);
            still = rank - before;
        }
        __syncthreads();
        prefix = chosen;
        rank = still;
        __syncthreads();
    }
    return prefix;
}

}  // namespace
}  // namespace segrt

// heat: (height, width). Grid (ceil(width / 32), ceil(height / 8)), block (32, 8), as in find_peaks.
extern "C" __global__ void heat_of_pixels_float(const float* head, segrt::ByWay way, std::int32_t height,
                                                std::int32_t width, float* heat) {
    segrt::heat_of_pixels(head, way, height, width, heat);
}
SEGRT_KERNEL(heat_of_pixels_float)

extern "C" __global__ void heat_of_pixels_half(const segrt::Half* head, segrt::ByWay way, std::int32_t height,
                                               std::int32_t width, float* heat) {
    segrt::heat_of_pixels(head, way, height, width, heat);
}
SEGRT_KERNEL(heat_of_pixels_half)

// Adds the pixels that are peaks to `peaks`, in any order. Few pixels are above the threshold, and most of those have a
// larger neighbour close by: reading the heat once bounds this.
extern "C" __global__ void find_peaks(const float* heat, std::int32_t height, std::int32_t width, float threshold,
                                      std::int32_t radius, std::int32_t* peaks, std::int32_t* count) {
    using namespace segrt;
    const auto x = static_cast<std::int32_t>(blockIdx.x * kColumns + threadIdx.x);
    const auto y = static_cast<std::int32_t>(blockIdx.y * kRows + threadIdx.y);
    const std::int32_t pixel = y * width + x;
    bool peak = false;
    if (x < width && y < height) {
        const float value = heat[pixel];
        peak = value > threshold && is_peak(heat, height, width, y, x, radius, value);
    }
    const std::uint32_t peaks_of_warp = __ballot_sync(kAllLanes, peak);
    if (peaks_of_warp == 0) {
        return;
    }
    std::int32_t first = 0;
    if (threadIdx.x == 0) {
        first = atomicAdd(count, __popc(peaks_of_warp));
    }
    first = __shfl_sync(kAllLanes, first, 0);
    if (peak) {
        peaks[first + __popc(peaks_of_warp & ((1U << threadIdx.x) - 1U))] = pixel;
    }
}
SEGRT_KERNEL(find_peaks)

// Of `top_k` peaks or more, those above the top_k-th value remain. centers: y, x and heat of at most `most` centres, in
// the order of their pixels, each `most` floats; `kept` is memory for as many pixels. One block of 256 threads.
extern "C" __global__ void choose_centers(const float* heat, std::int32_t width, const std::int32_t* peaks,
                                          const std::int32_t* peak_count, std::int32_t top_k, std::int32_t most,
                                          std::int32_t* kept, float* centers, std::int32_t* center_count) {
    using namespace segrt;
    __shared__ std::int32_t kept_count;
    const auto thread = static_cast<std::int32_t>(threadIdx.x);
    const std::int32_t count = *peak_count;
    const std::uint32_t limit = count >= top_k ? find_ranked(heat, peaks, count, top_k) : 0;
    if (thread == 0) {
        kept_count = 0;
    }
    __syncthreads();
    for (std::int32_t i = thread; i < count; i += kThreads) {
        if (key_of(heat, peaks[i]) > limit) {
            kept[atomicAdd(&kept_count, 1)] = peaks[i];
        }
    }
    __syncthreads();
    for (std::int32_t i = thread; i < kept_count; i += kThreads) {
        const std::int32_t pixel = kept[i];
        std::int32_t before = 0;
        for (std::int32_t k = 0; k < kept_count; ++k) {
            before += kept[k] < pixel ? 1 : 0;
        }
        centers[before] = static_cast<float>(pixel / width);
        centers[most + before] = static_cast<float>(pixel % width);
        centers[2 * most + before] = heat[pixel];
    }
    if (thread == 0) {
        *center_count = kept_count;
    }
}
SEGRT_KERNEL(choose_centers)
