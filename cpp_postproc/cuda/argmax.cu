// argmax.cpp on the GPU: the class of the highest interpolated logit at every target pixel.
#include "label_regions.h"

namespace segrt {
namespace {

// logits: (channels, height, width), contiguous.
template <class T>
SEGRT_SHARED void argmax(const T* logits, std::int32_t channels, std::int32_t height, std::int32_t width,
                         const TargetTaps& target, const LabelMap& classes) {
    using Grid = HeadGrid<T, false>;
    const RegionJob<Grid> job{{logits, height, width}, {nullptr, 1}, channels, nullptr, 1, target, nullptr};
    label_regions<Ranking::plain>(job, classes);
}

}  // namespace
}  // namespace segrt

// Grid (ceil(width / 32), ceil(height / 32)), block (32, 4).
#define SEGRT_ARGMAX(name, T)                                                                 \
    extern "C" __global__ void __launch_bounds__(segrt::kLabelThreads, segrt::kLabelBlocks)   \
        name(const T* logits, std::int32_t channels, std::int32_t height, std::int32_t width, \
             segrt::TargetTaps target, segrt::LabelMap classes) {                             \
        segrt::argmax(logits, channels, height, width, target, classes);                      \
    }                                                                                         \
    SEGRT_KERNEL(name)

SEGRT_ARGMAX(argmax_float, float)
SEGRT_ARGMAX(argmax_half, segrt::Half)
