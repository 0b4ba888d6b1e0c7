#include "query_masks.h"

#include <algorithm>
#include <numeric>

#include "bilinear.h"
#include "kernels.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// The whole pixels that an extent touches.
struct Cut {
    Index begin, end;

    Cut(Extent extent, Index length)
        : begin(std::clamp(static_cast<Index>(extent.begin), Index{0}, length - 1)),
          end(std::clamp(static_cast<Index>(extent.end + 0.999), begin + 1, length)) {}

    [[nodiscard]] Index length() const { return end - begin; }

    [[nodiscard]] Axis part_of(Axis axis) const {
        axis.low += begin;
        axis.high += begin;
        axis.low_weight += begin;
        axis.high_weight += begin;
        axis.length = length();
        return axis;
    }

    [[nodiscard]] Extent shifted(Extent extent) const {
        return {extent.begin - static_cast<double>(begin), extent.end - static_cast<double>(begin)};
    }
};

}  // namespace

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
    const Cut row_cut(shown_rows, processed.height), column_cut(shown_columns, processed.width);
    const Axis rows = row_cut.part_of(bilinear_axis(frame, grid.height, whole_window(grid).rows, processed.height));
    const Axis columns =
        column_cut.part_of(bilinear_axis(frame, grid.width, whole_window(grid).columns, processed.width));

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
            {row_cut.shifted(shown_rows), column_cut.shifted(shown_columns)}};
}

}  // namespace segrt
