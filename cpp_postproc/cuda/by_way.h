// A head brought to the source by way of the network's size: resize_by_way.cpp on the GPU. What lies between is
// computed where it is needed, and nowhere stored.
#pragma once

#include "axis.h"
#include "heads.h"

namespace segrt {
namespace {

struct ByWay {
    AxisMap rows, columns;              // of the head's grid, on the size between, as far as the picture reaches there
    AxisMap later_rows, later_columns;  // of that, on the source
    std::int32_t once;                  // whether there is no second resize
    std::int32_t unused;

    [[nodiscard]] SEGRT_SHARED std::int64_t cells() const {
        return static_cast<std::int64_t>(rows.source_length) * columns.source_length;
    }
};

template <class T>
SEGRT_SHARED float interpolated(const T* plane, std::int32_t width, const Tap& row, const Tap& column) {
    const T* above = plane + static_cast<std::int64_t>(row.low) * width;
    const T* below = plane + static_cast<std::int64_t>(row.high) * width;
    const float upper = lerp(read(above[column.low]), column.low_weight, read(above[column.high]), column.high_weight);
    const float lower = lerp(read(below[column.low]), column.low_weight, read(below[column.high]), column.high_weight);
    return lerp(upper, row.low_weight, lower, row.high_weight);
}

// Between which cells one pixel of the source lies, for all channels of a head.
class PixelTaps {
public:
    SEGRT_SHARED PixelTaps(const ByWay& way, std::int32_t y, std::int32_t x)
        : width_(way.columns.source_length), once_(way.once != 0) {
        if (once_) {
            rows_[0] = way.rows.at(y);
            columns_[0] = way.columns.at(x);
            return;
        }
        row_ = way.later_rows.at(y);
        column_ = way.later_columns.at(x);
        rows_[0] = way.rows.at(row_.low);
        rows_[1] = way.rows.at(row_.high);
        columns_[0] = way.columns.at(column_.low);
        columns_[1] = way.columns.at(column_.high);
    }

    // Of one channel. The second resize reads what is between as the core's kernels do: limited.
    template <class T>
    [[nodiscard]] SEGRT_SHARED float value(const T* plane) const {
        const float first = between(plane, 0, 0);
        return once_ ? first
                     : later(limited(first), limited(between(plane, 0, 1)), limited(between(plane, 1, 0)),
                             limited(between(plane, 1, 1)));
    }

private:
    template <class T>
    [[nodiscard]] SEGRT_SHARED float between(const T* plane, int row, int column) const {
        return interpolated(plane, width_, rows_[row], columns_[column]);
    }

    [[nodiscard]] SEGRT_SHARED float later(float upper_left, float upper_right, float lower_left,
                                           float lower_right) const {
        const float upper = lerp(upper_left, column_.low_weight, upper_right, column_.high_weight);
        const float lower = lerp(lower_left, column_.low_weight, lower_right, column_.high_weight);
        return lerp(upper, row_.low_weight, lower, row_.high_weight);
    }

    std::int32_t width_;
    bool once_;
    Tap row_{}, column_{}, rows_[2]{}, columns_[2]{};
};

}  // namespace
}  // namespace segrt
