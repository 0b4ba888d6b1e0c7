// Grids of a head as kernels see them: as the network wrote them, or enlarged once before.
#pragma once

#include "heads.h"
#include "tap.h"

namespace segrt {
namespace {

// Channel k of a stack of images is image `images[k * step]`, or image k where there is no such list.
struct Channels {
    const std::int32_t* images;
    std::int32_t step;

    [[nodiscard]] SEGRT_SHARED std::int32_t image(std::int32_t k) const {
        return images == nullptr ? k : __ldg(images + static_cast<std::int64_t>(k) * step);
    }
};

// data: (images, height, width), contiguous; with `probabilities` a cell is its sigmoid.
template <class T, bool probabilities>
struct HeadGrid {
    static constexpr int kLoadsAtOnce = 4;  // worth waiting for together

    const T* data;
    std::int32_t height, width;

    [[nodiscard]] SEGRT_SHARED float cell(std::int32_t image, std::int32_t y, std::int32_t x) const {
        const float value = read(load(data + (static_cast<std::int64_t>(image) * height + y) * width + x));
        return probabilities ? sigmoid_float(value) : value;
    }
};

// The grid that has a row for each of `rows` and a column for each of `columns`, interpolated from the head: the "first
// resize" of the peers. The core reads it again, which limits what rounding has brought beyond kLargest.
template <class T, bool probabilities>
struct EnlargedGrid {
    static constexpr int kLoadsAtOnce = 1;  // a cell loads four values already

    HeadGrid<T, false> head;
    const Tap* rows;
    const Tap* columns;

    [[nodiscard]] SEGRT_SHARED float cell(std::int32_t image, std::int32_t y, std::int32_t x) const {
        const Tap row = rows[y], column = columns[x];
        const float upper = lerp(head.cell(image, row.low, column.low), column.low_weight,
                                 head.cell(image, row.low, column.high), column.high_weight);
        const float lower = lerp(head.cell(image, row.high, column.low), column.low_weight,
                                 head.cell(image, row.high, column.high), column.high_weight);
        const float value = limited(lerp(upper, row.low_weight, lower, row.high_weight));
        return probabilities ? sigmoid_float(value) : value;
    }
};

// Target pixels by the cells that they lie between.
struct TargetTaps {
    const Tap* rows;
    const Tap* columns;
    std::int32_t height, width;
};

}  // namespace
}  // namespace segrt
