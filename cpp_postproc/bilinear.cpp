#include "bilinear.h"

#include <algorithm>
#include <cmath>

#include "tap.h"

namespace segrt {

namespace {

// Source position of output pixel i, and what follows from it.
struct AxisWriter {
    std::span<std::int32_t> low, high;
    std::span<float> low_weight, high_weight;
    std::int32_t last;

    AxisWriter(ScratchFrame& frame, Index source_length, Index size)
        : low(frame.take<std::int32_t>(size)),
          high(frame.take<std::int32_t>(size)),
          low_weight(frame.take<float>(size)),
          high_weight(frame.take<float>(size)),
          last(static_cast<std::int32_t>(source_length - 1)) {}

    void write(Index i, float position) const {
        const auto at = static_cast<std::size_t>(i);
        const Tap tap = tap_at(position, last);
        low[at] = tap.low;
        high[at] = tap.high;
        low_weight[at] = tap.low_weight;
        high_weight[at] = tap.high_weight;
    }

    [[nodiscard]] Axis axis(Index length) const {
        return {last + 1, length, low.data(), high.data(), low_weight.data(), high_weight.data()};
    }
};

}  // namespace

Axis bilinear_axis(ScratchFrame& frame, Index source_length, Extent extent, Index length, Index padding) {
    const AxisWriter writer(frame, source_length, length + padding);
    const auto begin = static_cast<float>(extent.begin);
    const auto scale = static_cast<float>(extent.end - extent.begin) / static_cast<float>(length);
    for (Index i = 0; i < length + padding; ++i) {
        const float centre = static_cast<float>(std::min(i, length - 1)) + 0.5F;
        writer.write(i, begin + (scale * centre - 0.5F));
    }
    return writer.axis(length);
}

Axis bilinear_axis_part(ScratchFrame& frame, Index source_length, std::int64_t length, std::int64_t first, Index count,
                        Index padding) {
    const AxisWriter writer(frame, source_length, count + padding);
    const float scale = static_cast<float>(source_length) / static_cast<float>(length);
    for (Index i = 0; i < count + padding; ++i) {
        const float centre = static_cast<float>(first + std::min(i, count - 1)) + 0.5F;
        writer.write(i, scale * centre - 0.5F);
    }
    return writer.axis(count);
}

const std::int32_t* nearest_axis(ScratchFrame& frame, Index source_length, Extent extent, Index length) {
    const auto table = frame.take<std::int32_t>(length);
    const double scale = (extent.end - extent.begin) / static_cast<double>(length);
    for (Index i = 0; i < length; ++i) {
        const double position = extent.begin + scale * (static_cast<double>(i) + 0.5);
        const auto pixel = static_cast<std::int64_t>(std::floor(position));
        table[static_cast<std::size_t>(i)] =
            static_cast<std::int32_t>(std::clamp<std::int64_t>(pixel, 0, source_length - 1));
    }
    return table.data();
}

}  // namespace segrt
