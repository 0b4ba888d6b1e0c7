// argmax.cpp with a processed size on the GPU: logits are enlarged to it, what lies outside the window is cut away, and
// they are enlarged again.
#include "label_regions.h"

namespace segrt {
namespace {

// logits: (channels, height, width), contiguous; rows and columns: the tables of the first resize.
template <class T>
SEGRT_SHARED void argmax_enlarged(const T* logits, std::int32_t channels, std::int32_t height, std::int32_t width,
                                  const Tap* rows, const Tap* columns, const TargetTaps& target,
                                  const LabelMap& classes) {
    using Grid = EnlargedGrid<T, false>;
    const RegionJob<Grid> job{
        {{logits, height, width}, rows, columns}, {nullptr, 1}, channels, nullptr, 1, target, nullptr};
    label_regions<Ranking::plain>(job, classes);
}

}  // namespace
}  // namespace segrt

// Grid (ceil(width / 32), ceil(height / 32)), block (32, 4).
#define SEGRT_ARGMAX_ENLARGED(name, T)                                                                                \
    extern "C" __global__ void __launch_bounds__(segrt::kLabelThreads, segrt::kLabelBlocks)                           \
        name(const T* logits, std::int32_t channels, std::int32_t height, std::int32_t width, const segrt::Tap* rows, \
             const segrt::Tap* columns, segrt::TargetTaps target, segrt::LabelMap classes) {                          \
        segrt::argmax_enlarged(logits, channels, height, width, rows, columns, target, classes);                      \
    }                                                                                                                 \
    SEGRT_KERNEL(name)

SEGRT_ARGMAX_ENLARGED(argmax_enlarged_float, float)
SEGRT_ARGMAX_ENLARGED(argmax_enlarged_half, segrt::Half)
