// argmax.cpp on the GPU: the class of the highest interpolated logit at every target pixel.
#include "axis.h"
#include "heads.h"

namespace segrt {
namespace {

constexpr int kColumns = 32, kRows = 8;  // of threads in a block
constexpr int kRowsEach = 4;             // a thread decides so many pixels, kRows apart

// One thread decides pixels of one column. logits: (channels, rows.source_length, columns.source_length), contiguous.
template <class T, class Label>
SEGRT_SHARED void argmax(const T* logits, std::int32_t channels, AxisMap rows, AxisMap columns, Label* classes) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * kColumns + threadIdx.x);
    if (x >= columns.length) {
        return;
    }
    const Tap column = columns.at(x);
    const std::int64_t width = columns.source_length, cells = rows.source_length * width;
    for (int part = 0; part < kRowsEach; ++part) {
        const auto y = static_cast<std::int32_t>((blockIdx.y * kRowsEach + part) * kRows + threadIdx.y);
        if (y >= rows.length) {
            return;
        }
        const Tap row = rows.at(y);
        const T* above = logits + row.low * width;
        const T* below = logits + row.high * width;
        float best = 0;
        std::int32_t winner = 0;
        for (std::int32_t c = 0; c < channels; ++c, above += cells, below += cells) {
            const float upper =
                lerp(read(above[column.low]), column.low_weight, read(above[column.high]), column.high_weight);
            const float lower =
                lerp(read(below[column.low]), column.low_weight, read(below[column.high]), column.high_weight);
            const float value = lerp(upper, row.low_weight, lower, row.high_weight);
            if (c == 0 || value > best) {
                best = value;
                winner = c;
            }
        }
        classes[static_cast<std::int64_t>(y) * columns.length + x] = static_cast<Label>(winner);
    }
}

}  // namespace
}  // namespace segrt

// Grid (ceil(width / 32), ceil(height / 32)), block (32, 8).
extern "C" __global__ void argmax_float_8(const float* logits, std::int32_t channels, segrt::AxisMap rows,
                                          segrt::AxisMap columns, std::uint8_t* classes) {
    segrt::argmax(logits, channels, rows, columns, classes);
}
SEGRT_KERNEL(argmax_float_8)

extern "C" __global__ void argmax_half_8(const segrt::Half* logits, std::int32_t channels, segrt::AxisMap rows,
                                         segrt::AxisMap columns, std::uint8_t* classes) {
    segrt::argmax(logits, channels, rows, columns, classes);
}
SEGRT_KERNEL(argmax_half_8)

extern "C" __global__ void argmax_float_16(const float* logits, std::int32_t channels, segrt::AxisMap rows,
                                           segrt::AxisMap columns, std::uint16_t* classes) {
    segrt::argmax(logits, channels, rows, columns, classes);
}
SEGRT_KERNEL(argmax_float_16)

extern "C" __global__ void argmax_half_16(const segrt::Half* logits, std::int32_t channels, segrt::AxisMap rows,
                                          segrt::AxisMap columns, std::uint16_t* classes) {
    segrt::argmax(logits, channels, rows, columns, classes);
}
SEGRT_KERNEL(argmax_half_16)
