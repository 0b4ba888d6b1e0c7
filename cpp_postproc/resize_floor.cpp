#include "resize_floor.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// Target position i lies between the source positions low[i] and low[i] + 1, of which the first may be -1 and the
// second the length.
struct Between {
    std::span<std::int32_t> low;
    std::span<double> low_weight, high_weight;

    // In the order of scipy's operations, for whole numbers must miss the level below them, or not, as they do there.
    Between(ScratchFrame& frame, Index source, Index target)
        : low(frame.take<std::int32_t>(target)),
          low_weight(frame.take<double>(target)),
          high_weight(frame.take<double>(target)) {
        const double scale = static_cast<double>(source) / static_cast<double>(target);
        for (std::size_t i = 0; i < low.size(); ++i) {
            const double position = (static_cast<double>(i) + 0.5) * scale - 0.5;
            const double before = std::floor(position);
            low[i] = static_cast<std::int32_t>(before);
            low_weight[i] = 1.0 - (position - before);
            high_weight[i] = 1.0 - low_weight[i];
        }
    }
};

// Writes row `y` of the picture times `weight` behind the black pixel at the row's beginning; beyond the picture,
// black.
void weigh_row(const Picture& picture, Index y, double weight, std::span<double> row) {
    if (y < 0 || y >= picture.height) {
        std::fill(row.begin(), row.end(), 0.0);
        return;
    }
    const std::uint8_t* values = picture.data + y * picture.row_stride;
    double* out = row.data() + 3;
    for (Index i = 0; i < 3 * picture.width; ++i) {
        out[i] = static_cast<double>(values[i]) * weight;
    }
}

struct Range {
    double lowest = 255, highest = 0;
};

Range range_of(const Picture& picture) {
    std::uint8_t lowest = 255, highest = 0;
    for (Index y = 0; y < picture.height; ++y) {
        const std::uint8_t* row = picture.data + y * picture.row_stride;
        for (Index i = 0; i < 3 * picture.width; ++i) {
            lowest = std::min(lowest, row[i]);
            highest = std::max(highest, row[i]);
        }
    }
    return {static_cast<double>(lowest), static_cast<double>(highest)};
}

}  // namespace

void resize_floor(const Picture& picture, Index height, Index width, int threads, std::uint8_t* out) {
    if (picture.height < 1 || picture.width < 1 || height < 1 || width < 1) {
        throw std::invalid_argument("image and size must not be empty");
    }
    ScratchFrame frame;
    const Between rows(frame, picture.height, height), columns(frame, picture.width, width);
    const Range range = range_of(picture);
    parallel_rows(threads, height, [&](Index begin, Index end, int) {
        ScratchFrame local;
        const std::span<double> upper = local.filled<double>(3 * (picture.width + 2), 0.0);
        const std::span<double> lower = local.filled<double>(3 * (picture.width + 2), 0.0);
        for (Index y = begin; y < end; ++y) {
            const auto row = static_cast<std::size_t>(y);
            weigh_row(picture, rows.low[row], rows.low_weight[row], upper);
            weigh_row(picture, rows.low[row] + 1, rows.high_weight[row], lower);
            std::uint8_t* target = out + 3 * y * width;
            for (std::size_t x = 0; x < columns.low.size(); ++x) {
                const double left = columns.low_weight[x], right = columns.high_weight[x];
                const Index first = 3 * (static_cast<Index>(columns.low[x]) + 1);
                const double* above = upper.data() + first;
                const double* below = lower.data() + first;
                for (Index c = 0; c < 3; ++c) {
                    const double value =
                        above[c] * left + above[c + 3] * right + below[c] * left + below[c + 3] * right;
                    *target++ = static_cast<std::uint8_t>(std::clamp(value, range.lowest, range.highest));
                }
            }
        }
    });
}

}  // namespace segrt
