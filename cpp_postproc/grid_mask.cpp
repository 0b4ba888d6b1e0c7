#include "grid_mask.h"

#include <algorithm>

#include "processed.h"
#include "rle.h"
#include "scratch.h"

namespace segrt {
namespace {

// starts[r]: the first target row that lies on or below grid row r; starts[rows] is the number of target rows.
std::span<std::int32_t> row_starts(ScratchFrame& frame, const Axis& rows) {
    const auto starts = frame.take<std::int32_t>(rows.source_length + 1);
    std::int32_t y = 0;
    for (std::size_t r = 0; r < starts.size(); ++r) {
        while (y < rows.length && rows.low[y] < static_cast<std::int32_t>(r)) {
            ++y;
        }
        starts[r] = y;
    }
    starts.back() = static_cast<std::int32_t>(rows.length);
    return starts;
}

// Adds the target pixels of one column between its first change and its last; `column` is the column's grid.
void add_column(const GridMask& mask, const float* column, std::span<const std::int32_t> changes, float* enlarged,
                MeanProbability& mean) {
    const Index first = changes.front();
    const Index last = changes.size() % 2 == 1 ? mask.rows.length : Index{changes.back()};
    const Index padded = (last - first + kBlock - 1) / kBlock * kBlock;
    kernels().enlarge_row(column, axis_from(mask.rows, first, last - first), enlarged, padded);
    Index cells = 0;
    mean.sum += static_cast<double>(kernels().sum_probabilities(enlarged, last - first, &cells));
    mean.cells += cells;
}

}  // namespace

void encode_grid_mask(const GridMask& mask, Index height, Index width, std::vector<std::uint32_t>& counts,
                      MeanProbability* mean) {
    RunWriter runs(counts);
    if (!mask.empty()) {
        ScratchFrame frame;
        const Kernels& loops = kernels();
        const Index grid_rows = mask.rows.source_length, grid_columns = mask.columns.source_length;
        const auto starts = row_starts(frame, mask.rows);
        const auto active = frame.take<std::uint8_t>(grid_columns);
        loops.active_columns(mask, active.data());
        const auto column = frame.take<float>(grid_rows + kGridPadding);
        const auto sides = frame.take<std::uint8_t>(grid_rows + kGridPadding);
        const auto changes = frame.take<std::int32_t>(mask.rows.length + 1);
        float* enlarged = mean == nullptr ? nullptr : frame.take<float>(mask.rows.length + kBlock).data();
        const bool to_the_bottom = mask.top + mask.rows.length == height;
        bool open = false;  // the mask reached the bottom of the column before
        for (Index x = 0; x < mask.columns.length; ++x) {
            const std::int64_t start = (mask.left + x) * height;
            const auto low = static_cast<std::size_t>(mask.columns.low[x]);
            const auto high = static_cast<std::size_t>(mask.columns.high[x]);
            const bool looked_at = (active[low] | active[high]) != 0;
            const Index count =
                looked_at ? loops.column_changes(mask, x, starts.data(), column.data(), sides.data(), changes.data())
                          : 0;
            if (open && !(count > 0 && changes[0] == 0 && mask.top == 0)) {
                runs.set(start, false);
            }
            if (mean != nullptr && count > 0) {
                add_column(mask, column.data(), changes.first(static_cast<std::size_t>(count)), enlarged, *mean);
            }
            bool value = false;
            for (Index i = 0; i < count; ++i) {
                value = !value;
                runs.set(start + mask.top + changes[static_cast<std::size_t>(i)], value);
            }
            open = value && to_the_bottom;
            if (value && !to_the_bottom) {
                runs.set(start + mask.top + mask.rows.length, false);
            }
        }
        runs.set((mask.left + mask.columns.length) * height, false);
    }
    runs.finish(height * width);
}

void paint_grid_mask(const GridMask& mask, Map<std::uint8_t> picture) {
    if (mask.empty()) {
        return;
    }
    ScratchFrame frame;
    const Kernels& loops = kernels();
    const Index grid_width = mask.columns.source_length;
    const Index width = (mask.columns.length + kBlock - 1) / kBlock * kBlock;
    const Index first = mask.rows.low[0], last = mask.rows.high[mask.rows.length - 1];
    float* enlarged = frame.take<float>((last - first + 1) * width).data();
    for (Index r = first; r <= last; ++r) {
        loops.enlarge_row(mask.grid + r * grid_width, mask.columns, enlarged + (r - first) * width, width);
    }
    for (Index y = 0; y < mask.rows.length; ++y) {
        loops.cut_row(enlarged + (mask.rows.low[y] - first) * width, mask.rows.low_weight[y],
                      enlarged + (mask.rows.high[y] - first) * width, mask.rows.high_weight[y], mask.threshold,
                      picture.row(mask.top + y) + mask.left, mask.columns.length);
    }
}

}  // namespace segrt
