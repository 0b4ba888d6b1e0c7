// prototypes.cpp on the GPU: masks as sums of prototypes, enlarged and cut at their boxes.
#include "box_edges.h"
#include "mask_view.h"
#include "predictions.h"

namespace segrt {
namespace {

// Where boxes are cut.
struct BoxCut {
    std::int32_t in_grid;  // whether before the grid is enlarged: its cells outside are 0
    float first_row, row_ratio, first_column, column_ratio;  // from picture pixels to cells
};

// Cells outside of the rectangle are 0.
struct SumGrid {
    const float* sums;
    std::int32_t width;
    PixelRect cells;

    [[nodiscard]] SEGRT_SHARED float at(std::int32_t row, std::int32_t column) const {
        const bool inside = row >= cells.top && row < cells.bottom && column >= cells.left && column < cells.right;
        return inside ? __ldg(sums + static_cast<std::int64_t>(row) * width + column) : 0.0F;
    }
};

SEGRT_SHARED std::int32_t sources_begin(const AxisMap& axis, std::int32_t target) {
    return axis.at(target).low;
}

SEGRT_SHARED std::int32_t sources_end(const AxisMap& axis, std::int32_t last_target) {
    return axis.at(last_target).high + 1;
}

// The cells that the pixels are interpolated from.
SEGRT_SHARED PixelRect cells_beneath(const View& view, PixelRect pixels) {
    if (pixels.empty()) {
        return {0, 0, 0, 0};
    }
    PixelRect cells = {sources_begin(view.columns, pixels.left), sources_begin(view.rows, pixels.top),
                       sources_end(view.columns, pixels.right - 1), sources_end(view.rows, pixels.bottom - 1)};
    if (view.stepwise != 0) {
        cells = {sources_begin(view.first_columns, cells.left), sources_begin(view.first_rows, cells.top),
                 sources_end(view.first_columns, cells.right - 1), sources_end(view.first_rows, cells.bottom - 1)};
    }
    return cells;
}

}  // namespace
}  // namespace segrt

// Grid (blocks), block (256). Whether a value of the prototypes is not finite.
extern "C" __global__ void check_prototypes(segrt::Floats prototypes, std::int32_t count,
                                            segrt::DetectionState* state) {
    using namespace segrt;
    bool finite = true;
    for (auto i = static_cast<std::int64_t>(blockIdx.x * blockDim.x + threadIdx.x); i < count;
         i += static_cast<std::int64_t>(gridDim.x) * blockDim.x) {
        finite = finite && is_finite(prototypes.at(i));
    }
    if (!finite) {
        state->bad[kBadMasks] = 1;
    }
}
SEGRT_KERNEL(check_prototypes)

// Grid (ceil(detections / 256)), block (256). Where masks lie in the picture, and which cells they need.
extern "C" __global__ void place_boxes(segrt::BoxMap map, segrt::View view, segrt::BoxCut cut, segrt::Found* found,
                                       segrt::PixelRect* reach, segrt::PixelRect* cells, segrt::DetectionState* state) {
    using namespace segrt;
    const auto i = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= state->kept) {
        return;
    }
    const Box box = map.moved(found[i].box);
    found[i].moved = box;
    if (!(is_finite(box.left) && is_finite(box.top) && is_finite(box.right) && is_finite(box.bottom))) {
        state->bad[kBadMasks] = 1;
        reach[i] = cells[i] = {0, 0, 0, 0};
        return;
    }
    const Box edges = {limited(box.left), limited(box.top), limited(box.right), limited(box.bottom)};
    if (cut.in_grid != 0) {
        const std::int32_t height = view.rows.source_length, width = view.columns.source_length;
        cells[i] = {whole_from(grid_edge(edges.left, cut.first_column, cut.column_ratio), width),
                    whole_from(grid_edge(edges.top, cut.first_row, cut.row_ratio), height),
                    whole_from(grid_edge(edges.right, cut.first_column, cut.column_ratio), width),
                    whole_from(grid_edge(edges.bottom, cut.first_row, cut.row_ratio), height)};
        reach[i] = targets_of(view.rows, view.columns, cells[i]);
    } else {
        reach[i] = {whole_from(edges.left, map.width), whole_from(edges.top, map.height),
                    whole_from(edges.right, map.width), whole_from(edges.bottom, map.height)};
        cells[i] = cells_beneath(view, reach[i]);
    }
}
SEGRT_KERNEL(place_boxes)

// Grid (ceil(cells of a grid / 256), detections), block (256), shared memory for so many coefficients at a time. The
// sums at the cells that a mask needs: prototype after prototype, each step fused.
extern "C" __global__ void sum_prototypes(segrt::Floats prototypes, std::int32_t count, std::int32_t height,
                                          std::int32_t width, segrt::Predictions table, const segrt::Found* found,
                                          const segrt::PixelRect* rects, float* sums, segrt::DetectionState* state) {
    using namespace segrt;
    constexpr std::int32_t held = 256;
    __shared__ float weights[held];
    const auto mask = static_cast<std::int32_t>(blockIdx.y), thread = static_cast<std::int32_t>(threadIdx.x);
    if (mask >= state->kept) {
        return;
    }
    const PixelRect cells = rects[mask];
    const std::int32_t wide = cells.right - cells.left;
    const std::int32_t all = cells.empty() ? 0 : wide * (cells.bottom - cells.top);
    const std::int32_t nth = static_cast<std::int32_t>(blockIdx.x) * held + thread;
    if (static_cast<std::int32_t>(blockIdx.x) * held >= max(all, 1)) {
        return;
    }
    const std::int64_t plane = static_cast<std::int64_t>(height) * width;
    const std::int64_t cell =
        nth < all ? static_cast<std::int64_t>(cells.top + nth / wide) * width + cells.left + nth % wide : 0;
    const std::int32_t first_row = table.length - count;
    float sum = 0;
    for (std::int32_t begin = 0; begin < count; begin += held) {
        const std::int32_t here = min(count - begin, held);
        __syncthreads();
        if (thread < here) {
            const float weight = table.at(first_row + begin + thread, found[mask].anchor);
            weights[thread] = limited(weight);
            if (!is_finite(weight)) {
                state->bad[kBadMasks] = 1;
            }
        }
        __syncthreads();
        for (std::int32_t i = 0; i < here && nth < all; ++i) {
            sum = fused(weights[i], limited(prototypes.at((begin + i) * plane + cell)), sum);
        }
    }
    if (nth < all) {
        sums[mask * plane + cell] = sum;
    }
}
SEGRT_KERNEL(sum_prototypes)

// Grid (ceil(width / 256), rows of words, detections), block (32, 8).
extern "C" __global__ void cut_sums(const float* sums, segrt::View view, const segrt::PixelRect* cells,
                                    const std::int32_t* count, segrt::MaskBits bits) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.z);
    if (mask >= *count) {
        return;
    }
    const std::int64_t height = view.grid_rows().source_length, width = view.grid_columns().source_length;
    const SumGrid grid{sums + mask * height * width, static_cast<std::int32_t>(width), cells[mask]};
    if (view.stepwise != 0) {
        // As the core, whose grids lie column after column.
        cut_mask(two_steps<First::down>(grid, view), 0, 0, 0.0F, bits, mask);
    } else {
        cut_mask(one_step(grid, view), 0, 0, 0.0F, bits, mask);
    }
}
SEGRT_KERNEL(cut_sums)
