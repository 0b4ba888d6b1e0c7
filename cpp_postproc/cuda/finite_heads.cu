// Whether a head holds NaN or infinity: reading it once bounds this.
#include "heads.h"

namespace segrt {
namespace {

constexpr int kColumns = 32, kRows = 8;  // of threads in a block

// Sets *found where a row that `used` names holds NaN or infinity.
template <class T>
SEGRT_SHARED void flag_nonfinite(const T* head, std::int32_t channels, std::int32_t height, std::int32_t width,
                                 const std::uint8_t* used, std::int32_t* found) {
    const std::int64_t rows = static_cast<std::int64_t>(channels) * height;
    bool bad = false;
    for (std::int64_t row = blockIdx.x * kRows + threadIdx.y; row < rows; row += gridDim.x * kRows) {
        if (used[row % height] != 0) {
            for (auto x = static_cast<std::int32_t>(threadIdx.x); x < width; x += kColumns) {
                bad = bad || !is_finite(widened(head[row * width + x]));
            }
        }
    }
    if (bad) {
        *found = 1;  // whoever comes last writes the same
    }
}

}  // namespace
}  // namespace segrt

// head: (channels, height, width); used: of each row. Any grid (x), block (32, 8).
extern "C" __global__ void flag_nonfinite_float(const float* head, std::int32_t channels, std::int32_t height,
                                                std::int32_t width, const std::uint8_t* used, std::int32_t* found) {
    segrt::flag_nonfinite(head, channels, height, width, used, found);
}
SEGRT_KERNEL(flag_nonfinite_float)

extern "C" __global__ void flag_nonfinite_half(const segrt::Half* head, std::int32_t channels, std::int32_t height,
                                               std::int32_t width, const std::uint8_t* used, std::int32_t* found) {
    segrt::flag_nonfinite(head, channels, height, width, used, found);
}
SEGRT_KERNEL(flag_nonfinite_half)
