#include <stdexcept>
#include <string>

#include "column_grid.h"
#include "grid_mask.h"
#include "instances.h"
#include "rle.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {

std::int64_t whole_masks_rle(const FloatStack& masks, float threshold, Size size, int threads,
                             std::vector<std::string>& codes, const std::optional<Window>& window) {
    const Index height = masks.height, width = masks.width;
    if (height < 1 || width < 1) {
        throw std::invalid_argument("masks must have shape (N, h, w) with h and w at least 1");
    }
    ScratchFrame frame;
    const Window shown = window.value_or(whole_window({height, width}));
    const Axis rows = bilinear_axis(frame, height, shown.rows, size.height);
    const Axis columns = bilinear_axis(frame, width, shown.columns, size.width);
    const auto nonfinite = frame.filled<std::int64_t>(threads, 0);
    codes.assign(static_cast<std::size_t>(masks.count), {});
    parallel_for(threads, masks.count, 1, [&](Index begin, Index end, int slot) {
        thread_local std::vector<std::uint32_t> counts;
        ScratchFrame local;
        float* grid = local.take<float>(height * width).data();
        for (Index i = begin; i < end; ++i) {
            nonfinite[static_cast<std::size_t>(slot)] += read_columns(masks, i, grid);
            encode_grid_mask({.grid = grid, .rows = rows, .columns = columns, .threshold = threshold}, size.height,
                             size.width, counts);
            codes[static_cast<std::size_t>(i)] = pack_counts(counts);
        }
    });
    return sum(nonfinite);
}

}  // namespace segrt
