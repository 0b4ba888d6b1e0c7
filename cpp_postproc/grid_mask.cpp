#include "grid_mask.h"

#include "math.h"
#include "rle.h"
#include "scratch.h"

namespace segrt {
namespace {

// The grid interpolated to one target column: one value per grid row.
void interpolate_column(const GridMask& mask, Index x, float* column) {
    const Index grid_rows = mask.rows.source_length;
    const float* left = mask.columns_of_grid + mask.columns.low[x] * grid_rows;
    const float* right = mask.columns_of_grid + mask.columns.high[x] * grid_rows;
    const float left_weight = mask.columns.low_weight[x], right_weight = mask.columns.high_weight[x];
    for (Index r = 0; r < grid_rows; ++r) {
        column[r] = lerp(left[r], left_weight, right[r], right_weight);
    }
}

float value_at(const GridMask& mask, const float* column, Index y) {
    return lerp(column[mask.rows.low[y]], mask.rows.low_weight[y], column[mask.rows.high[y]],
                mask.rows.high_weight[y]);
}

}  // namespace

void encode_grid_mask(const GridMask& mask, Index height, Index width, std::vector<std::uint32_t>& counts) {
    RunWriter runs(counts);
    if (!mask.empty()) {
        ScratchFrame frame;
        float* column = frame.take<float>(mask.rows.source_length).data();
        for (Index x = 0; x < mask.columns.length; ++x) {
            const std::int64_t start = (mask.left + x) * height;
            interpolate_column(mask, x, column);
            if (mask.top > 0) {
                runs.set(start, false);
            }
            for (Index y = 0; y < mask.rows.length; ++y) {
                runs.set(start + mask.top + y, value_at(mask, column, y) > mask.threshold);
            }
            const Index bottom = mask.top + mask.rows.length;
            if (bottom < height) {
                runs.set(start + bottom, false);
            }
        }
        runs.set((mask.left + mask.columns.length) * height, false);
    }
    // A run that reaches the end of the picture leaves nothing to be counted after it.
    runs.finish(height * width);
}

void paint_grid_mask(const GridMask& mask, Map<std::uint8_t> picture) {
    if (mask.empty()) {
        return;
    }
    ScratchFrame frame;
    float* column = frame.take<float>(mask.rows.source_length).data();
    for (Index x = 0; x < mask.columns.length; ++x) {
        interpolate_column(mask, x, column);
        for (Index y = 0; y < mask.rows.length; ++y) {
            picture.row(mask.top + y)[mask.left + x] = value_at(mask, column, y) > mask.threshold ? 1 : 0;
        }
    }
}

}  // namespace segrt
