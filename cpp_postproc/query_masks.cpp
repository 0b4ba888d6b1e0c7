#include "query_masks.h"

#include <algorithm>
#include <numeric>

#include "kernels.h"
#include "processed.h"
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
    const Processed part = processed_part(frame, grid, masks.window, processed);

    const Index pixels = part.rows.length * part.columns.length;
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
            kernels().resize(plane, part.rows, part.columns, 0, part.rows.length, resized + k * pixels);
        }
    });
    nonfinite += sum(bad);

    constexpr Index kFloat = sizeof(float);
    const auto images = frame.take<std::int32_t>(count);
    std::iota(images.begin(), images.end(), 0);
    return {{.data = reinterpret_cast<const std::byte*>(resized),
             .type = FloatType::float32,
             .count = count,
             .height = part.rows.length,
             .width = part.columns.length,
             .strides = {pixels * kFloat, part.columns.length * kFloat, kFloat}},
            images,
            part.window};
}

}  // namespace segrt
