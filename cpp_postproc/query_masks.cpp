#include "query_masks.h"

#include <algorithm>
#include <numeric>

#include "axis_part.h"
#include "bilinear.h"
#include "kernels.h"
#include "thread_pool.h"

namespace segrt {

QueryMasks masks_of(ScratchFrame& frame, std::span<const ScoredQuery> kept, const FloatStack& mask_logits,
                    const Window& window) {
    const auto images = frame.take<std::int32_t>(static_cast<Index>(kept.size()));
    std::transform(kept.begin(), kept.end(), images.begin(), [](const ScoredQuery& query) { return query.query; });
    return {mask_logits, images, window};
}

QueryMasks resized_masks(ScratchFrame& frame, const QueryMasks& masks, Size processed, int threads,
                         std::int64_t& nonfinite) {
    const auto count = static_cast<Index>(masks.images.size());
    const Size grid{masks.stack.height, masks.stack.width};
    const double row_scale = static_cast<double>(processed.height) / static_cast<double>(grid.height);
    const double column_scale = static_cast<double>(processed.width) / static_cast<double>(grid.width);
    const Extent shown_rows{masks.window.rows.begin * row_scale, masks.window.rows.end * row_scale};
    const Extent shown_columns{masks.window.columns.begin * column_scale, masks.window.columns.end * column_scale};
    const Stretch row_cut = touched(shown_rows, processed.height);
    const Stretch column_cut = touched(shown_columns, processed.width);
    const Axis rows = part_of(bilinear_axis(frame, grid.height, whole_window(grid).rows, processed.height), row_cut);
    const Axis columns =
        part_of(bilinear_axis(frame, grid.width, whole_window(grid).columns, processed.width), column_cut);

    const Index pixels = rows.length * columns.length;
    float* resized = frame.take<float>(count * pixels).data();
    float* grids = frame.take<float>(threads * grid.height * grid.width).data();
    const auto bad = frame.filled<std::int64_t>(threads, 0);
    parallel_for(threads, count, 1, [&](Index begin, Index end, int slot) {
        float* plane = grids + slot * grid.height * grid.width;
        for (Index k = begin; k < end; ++k) {
            for (Index y = 0; y < grid.height; ++y) {
                bad[static_cast<std::size_t>(slot)] +=
                    kernels().read(masks.stack.row(masks.images[static_cast<std::size_t>(k)], y), masks.stack.type,
                                   masks.stack.strides[2], plane + y * grid.width, grid.width);
            }
            kernels().resize(plane, rows, columns, 0, rows.length, resized + k * pixels);
        }
    });
    nonfinite += sum(bad);

    constexpr Index kFloat = sizeof(float);
    const auto images = frame.take<std::int32_t>(count);
    std::iota(images.begin(), images.end(), 0);
    return {{.data = reinterpret_cast<const std::byte*>(resized),
             .type = FloatType::float32,
             .count = count,
             .height = rows.length,
             .width = columns.length,
             .strides = {pixels * kFloat, columns.length * kFloat, kFloat}},
            images,
            {shifted(shown_rows, row_cut), shifted(shown_columns, column_cut)}};
}

}  // namespace segrt
