// Rule paste_masks on the GPU: detections by score, their masks pasted into their boxes as paste.cpp does it, or
// enlarged as whole_masks.cpp does.
#include "detections.h"
#include "mask_view.h"
#include "paste_span.h"

namespace segrt {
namespace {

// A mask with a border of cells that are 0.
struct BorderedGrid {
    Floats masks;
    std::int64_t first;
    std::int32_t height, width;

    [[nodiscard]] SEGRT_SHARED float at(std::int32_t row, std::int32_t column) const {
        const bool inside = row > 0 && column > 0 && row <= height && column <= width;
        return inside ? limited(masks.at(first + static_cast<std::int64_t>(row - 1) * width + column - 1)) : 0.0F;
    }
};

// One detection, in the order of the result.
struct Pasted {
    Box box;
    AxisMap rows, columns;  // of its reach
    std::int32_t index;     // in the heads
    std::int64_t class_id;
};

enum { kBadBoxes, kBadScores, kBadMasks };

SEGRT_SHARED AxisMap axis_of(const PasteSpan& span, std::int32_t cells) {
    return {0.0F, static_cast<float>(cells) / static_cast<float>(span.size), cells,
            static_cast<std::int32_t>(span.count), static_cast<std::int32_t>(span.skipped)};
}

}  // namespace
}  // namespace segrt

// Grid (ceil(count / 256)), block (256). The keys of the detections that score enough, in any order.
extern "C" __global__ void choose_detections(segrt::Floats boxes, segrt::Floats scores, std::int32_t count,
                                             float threshold, segrt::Key* keys, segrt::DetectionState* state) {
    using namespace segrt;
    const auto i = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= count) {
        return;
    }
    const float score = scores.at(i);
    bool finite = true;
    for (std::int32_t edge = 0; edge < 4; ++edge) {
        finite = finite && is_finite(boxes.at(4 * static_cast<std::int64_t>(i) + edge));
    }
    if (!finite) {
        state->bad[kBadBoxes] = 1;
    }
    if (!is_finite(score)) {
        state->bad[kBadScores] = 1;
    } else if (finite && score >= threshold) {
        // A negative 0 ranks as 0.
        keys[atomicAdd(&state->kept, 1)] = key_of(__float_as_uint(score + 0.0F), i);
    }
}
SEGRT_KERNEL(choose_detections)

// Grid (ceil(count / 256)), block (256). Puts the detections in order and finds where their masks lie. `cells` are a
// mask's rows and columns; they lie in boxes, or with `whole` in the whole picture.
extern "C" __global__ void place_detections(segrt::Floats boxes, segrt::Integers class_ids, segrt::BoxMap map,
                                            std::int32_t cell_rows, std::int32_t cell_columns, std::int32_t whole,
                                            const segrt::Key* keys, const segrt::DetectionState* state,
                                            segrt::Key* sorted, segrt::Pasted* pasted, segrt::PixelRect* reach) {
    using namespace segrt;
    const std::int32_t count = state->kept;
    const auto [own, rank] = own_rank(keys, count);
    if (rank < 0) {
        return;
    }
    const std::int32_t index = index_of(own);
    const std::int64_t edges = 4 * static_cast<std::int64_t>(index);
    const Box box =
        map.clipped(map.moved({boxes.at(edges), boxes.at(edges + 1), boxes.at(edges + 2), boxes.at(edges + 3)}));
    const PasteSpan down = torchvision_paste(cell_rows, box.top, box.bottom, map.height);
    const PasteSpan across = torchvision_paste(cell_columns, box.left, box.right, map.width);
    sorted[rank] = own;
    pasted[rank] = {box, axis_of(down, cell_rows + 2), axis_of(across, cell_columns + 2), index, class_ids.at(index)};
    const auto left = static_cast<std::int32_t>(across.first), top = static_cast<std::int32_t>(down.first);
    reach[rank] = whole != 0 ? PixelRect{0, 0, map.width, map.height}
                             : PixelRect{left, top, left + static_cast<std::int32_t>(across.count),
                                         top + static_cast<std::int32_t>(down.count)};
}
SEGRT_KERNEL(place_detections)

// Grid (detections), block (up to 1024). Whether a value of the masks that are used is not finite.
extern "C" __global__ void check_masks(segrt::Floats masks, std::int32_t cells, const segrt::Pasted* pasted,
                                       segrt::DetectionState* state) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.x);
    if (mask >= state->kept) {
        return;
    }
    const std::int64_t first = static_cast<std::int64_t>(pasted[mask].index) * cells;
    bool finite = true;
    for (auto i = static_cast<std::int32_t>(threadIdx.x); i < cells; i += static_cast<std::int32_t>(blockDim.x)) {
        finite = finite && is_finite(masks.at(first + i));
    }
    if (!finite) {
        state->bad[kBadMasks] = 1;
    }
}
SEGRT_KERNEL(check_masks)

// Grid (ceil(width / 256), rows of words, detections), block (32, 8).
extern "C" __global__ void cut_pasted(segrt::Floats masks, std::int32_t cell_rows, std::int32_t cell_columns,
                                      float threshold, const segrt::Pasted* pasted, const std::int32_t* count,
                                      segrt::MaskBits bits) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.z);
    if (mask >= *count) {
        return;
    }
    const Pasted& own = pasted[mask];
    const std::int64_t first = static_cast<std::int64_t>(own.index) * cell_rows * cell_columns;
    const OneStep<BorderedGrid> shown{{masks, first, cell_rows, cell_columns}, own.rows, own.columns};
    cut_mask(shown, bits.reach[mask].top, bits.reach[mask].left, threshold, bits, mask);
}
SEGRT_KERNEL(cut_pasted)

// Grid (ceil(width / 256), rows of words, detections), block (32, 8).
extern "C" __global__ void cut_whole(segrt::Floats masks, segrt::View view, float threshold,
                                     const segrt::Pasted* pasted, const std::int32_t* count, segrt::MaskBits bits) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.z);
    if (mask >= *count) {
        return;
    }
    const std::int64_t height = view.rows.source_length, width = view.columns.source_length;
    const PlainGrid grid{masks, pasted[mask].index * height * width, static_cast<std::int32_t>(width)};
    cut_mask(one_step(grid, view), 0, 0, threshold, bits, mask);
}
SEGRT_KERNEL(cut_whole)
