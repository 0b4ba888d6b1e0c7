// argmax.cpp on the GPU where the logits may go by way of a processed size: the class of the highest interpolated
// logit.
#include "by_way.h"

namespace segrt {
namespace {

constexpr int kColumns = 32, kRows = 8;  // of threads in a block

// The class of the highest logit. Nearly all of the cells that a warp reads lie in few lines of the cache; arithmetic
// bounds this.
template <class T>
SEGRT_SHARED void classes_of_pixels(const T* logits, std::int32_t channels, const ByWay& way, std::int32_t height,
                                    std::int32_t width, std::uint16_t* classes) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * kColumns + threadIdx.x);
    const auto y = static_cast<std::int32_t>(blockIdx.y * kRows + threadIdx.y);
    if (x >= width || y >= height) {
        return;
    }
    const PixelTaps taps(way, y, x);
    const std::int64_t cells = way.cells();
    float best = -2 * kLargest;
    std::int32_t winner = 0;
    for (std::int32_t c = 0; c < channels; ++c, logits += cells) {
        const float value = taps.value(logits);
        if (value > best) {
            best = value;
            winner = c;
        }
    }
    classes[static_cast<std::int64_t>(y) * width + x] = static_cast<std::uint16_t>(winner);
}

}  // namespace
}  // namespace segrt

// classes: (height, width). Grid (ceil(width / 32), ceil(height / 8)), block (32, 8).
extern "C" __global__ void classes_of_pixels_float(const float* logits, std::int32_t channels, segrt::ByWay way,
                                                   std::int32_t height, std::int32_t width, std::uint16_t* classes) {
    segrt::classes_of_pixels(logits, channels, way, height, width, classes);
}
SEGRT_KERNEL(classes_of_pixels_float)

extern "C" __global__ void classes_of_pixels_half(const segrt::Half* logits, std::int32_t channels, segrt::ByWay way,
                                                  std::int32_t height, std::int32_t width, std::uint16_t* classes) {
    segrt::classes_of_pixels(logits, channels, way, height, width, classes);
}
SEGRT_KERNEL(classes_of_pixels_half)
