// Counts NaN and infinity among the values of a head that the core reads: the rows that a target lies between, whole.
// Reading the head bounds it, which brings it into the cache for the kernels that follow.
#include "grids.h"

namespace segrt {
namespace {

// Adds to `found` the values that are not finite in those rows of the channels where used[y] is not 0. A warp takes a
// row of a channel after the other. channel_count: read instead of `channels` where it is not null.
template <class T>
SEGRT_SHARED void count_nonfinite(const T* head, Channels images, std::int32_t channels,
                                  const std::int32_t* channel_count, const std::uint8_t* used, std::int32_t height,
                                  std::int32_t width, std::int32_t* found) {
    const std::int64_t rows = static_cast<std::int64_t>(channel_count == nullptr ? channels : *channel_count) * height;
    const std::int64_t warps = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
    const auto lane = static_cast<std::int32_t>(threadIdx.x);
    for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < rows;
         row += warps) {
        const auto y = static_cast<std::int32_t>(row % height);
        if (__ldg(used + y) == 0) {
            continue;
        }
        const std::int32_t image = images.image(static_cast<std::int32_t>(row / height));
        const T* values = head + (static_cast<std::int64_t>(image) * height + y) * width;
        std::int32_t bad = 0;
        for (std::int32_t x = lane; x < width; x += 32) {
            bad += is_finite(widened(load(values + x))) ? 0 : 1;
        }
        if (bad > 0) {
            atomicAdd(found, bad);
        }
    }
}

}  // namespace
}  // namespace segrt

// Any grid (n, 1), block (32, 8).
#define SEGRT_NONFINITE(name, T)                                                                                      \
    extern "C" __global__ void name(const T* head, segrt::Channels images, std::int32_t channels,                     \
                                    const std::int32_t* channel_count, const std::uint8_t* used, std::int32_t height, \
                                    std::int32_t width, std::int32_t* found) {                                        \
        segrt::count_nonfinite(head, images, channels, channel_count, used, height, width, found);                    \
    }                                                                                                                 \
    SEGRT_KERNEL(name)

SEGRT_NONFINITE(count_nonfinite_float, float)
SEGRT_NONFINITE(count_nonfinite_half, segrt::Half)
