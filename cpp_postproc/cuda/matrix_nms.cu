// Rule matrix_nms on the GPU: grid cells with a mask each, rescored, lowered by their overlaps, and enlarged.
#include "block.h"
#include "detections.h"
#include "mask_decay.h"
#include "mask_view.h"

namespace segrt {
namespace {

// What one frame counts; all 0 when it begins.
struct MatrixState {
    std::int32_t candidates;  // cells that score enough
    std::int32_t large;       // of these, masks that are large enough
    std::int32_t ranked;      // of these, those that take part in the suppression
    std::int32_t lowered;     // of these, those whose score still is enough
    std::int32_t shown;       // of these, those in the result
    std::int32_t bad[3];      // whether heads have values that are not finite
};

enum { kBadCellScores, kBadLeastAreas, kBadProbabilities };

// The probabilities (h, w) of all cells.
struct Probabilities {
    Floats values;
    std::int32_t height, width;
    float threshold;

    [[nodiscard]] SEGRT_SHARED std::int64_t first(std::int32_t cell) const {
        return static_cast<std::int64_t>(cell) * height * width;
    }

    [[nodiscard]] SEGRT_SHARED std::int32_t words() const { return (width + 31) / 32; }
};

// What is known of each cell's mask.
struct CellTables {
    std::int32_t* area;
    PixelRect* live;
};

}  // namespace
}  // namespace segrt

// Grid (ceil(count / 256)), block (256). The cells that score enough, in any order.
extern "C" __global__ void choose_cells(segrt::Floats scores, segrt::Floats least_areas, std::int32_t count,
                                        float threshold, std::int32_t* chosen, segrt::MatrixState* state) {
    using namespace segrt;
    const auto i = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= count) {
        return;
    }
    if (!is_finite(scores.at(i))) {
        state->bad[kBadCellScores] = 1;
    }
    if (!is_finite(least_areas.at(i))) {
        state->bad[kBadLeastAreas] = 1;
    }
    if (scores.at(i) > threshold) {
        chosen[atomicAdd(&state->candidates, 1)] = i;
    }
}
SEGRT_KERNEL(choose_cells)

// Grid (ceil(count / 8)), block (32, 8): a warp measures a mask. Lane l adds cells l, l + 32 and so on.
extern "C" __global__ void measure_cells(segrt::Floats scores, segrt::Floats least_areas,
                                         segrt::Probabilities probabilities, const std::int32_t* chosen,
                                         segrt::CellTables tables, segrt::Key* keys, segrt::MatrixState* state) {
    using namespace segrt;
    constexpr std::int32_t far = 0x7FFFFFFF;
    const auto nth = static_cast<std::int32_t>(blockIdx.x * blockDim.y + threadIdx.y);
    if (nth >= state->candidates) {
        return;
    }
    const std::int32_t cell = chosen[nth], width = probabilities.width, all = probabilities.height * width;
    const std::int64_t first = probabilities.first(cell);
    double sum = 0;
    std::int32_t area = 0, bad = 0;
    PixelRect live = {far, far, 0, 0};
    for (std::int32_t i = lane_of_thread(); i < all; i += kLanes) {
        const float value = probabilities.values.at(first + i);
        bad |= is_finite(value) ? 0 : 1;
        if (value > probabilities.threshold) {
            sum += static_cast<double>(value);
            ++area;
            const std::int32_t y = i / width, x = i % width;
            live = {min(live.left, x), min(live.top, y), max(live.right, x + 1), max(live.bottom, y + 1)};
        }
    }
    sum = warp_sum(sum);
    area = warp_sum(area);
    bad = warp_most(bad);
    live = {warp_least(live.left), warp_least(live.top), warp_most(live.right), warp_most(live.bottom)};
    if (lane_of_thread() != 0) {
        return;
    }
    if (bad != 0) {
        state->bad[kBadProbabilities] = 1;
    }
    tables.area[cell] = area;
    tables.live[cell] = live;
    if (area > 0 && static_cast<float>(area) > least_areas.at(cell)) {
        const float mean = static_cast<float>(sum / static_cast<double>(area));
        keys[atomicAdd(&state->large, 1)] = key_of(__float_as_uint(scores.at(cell) * mean), cell);
    }
}
SEGRT_KERNEL(measure_cells)

// Grid (ceil(count / 256)), block (256). The `most` best, in order.
extern "C" __global__ void rank_cells(const segrt::Key* keys, std::int32_t most, segrt::Key* ranked,
                                      segrt::MatrixState* state) {
    using namespace segrt;
    const std::int32_t count = state->large;
    const auto [own, rank] = own_rank(keys, count);
    if (rank >= 0 && rank < most) {
        ranked[rank] = own;
    }
    if (rank == 0) {
        state->ranked = min(count, most);
    }
}
SEGRT_KERNEL(rank_cells)

// Grid (ceil(rows / 8), masks), block (32, 8): a warp packs a row of a mask, 32 cells to a word.
extern "C" __global__ void pack_cells(segrt::Probabilities probabilities, const segrt::Key* ranked, std::uint32_t* bits,
                                      const segrt::MatrixState* state) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.y);
    const auto y = static_cast<std::int32_t>(blockIdx.x * blockDim.y + threadIdx.y);
    if (mask >= state->ranked || y >= probabilities.height) {
        return;
    }
    const std::int32_t width = probabilities.width, words = probabilities.words();
    const std::int64_t row = probabilities.first(index_of(ranked[mask])) + static_cast<std::int64_t>(y) * width;
    std::uint32_t* out = bits + (static_cast<std::int64_t>(mask) * probabilities.height + y) * words;
    for (std::int32_t word = 0; word < words; ++word) {
        const std::int32_t x = word * 32 + lane_of_thread();
        const bool inside = x < width && probabilities.values.at(row + x) > probabilities.threshold;
        const std::uint32_t packed = __ballot_sync(kAllLanes, inside ? 1 : 0);
        if (lane_of_thread() == 0) {
            out[word] = packed;
        }
    }
}
SEGRT_KERNEL(pack_cells)

// Grid (ceil(masks / 8), masks), block (32, 8): a warp compares mask j with a better one, i < j. overlaps[j * most + i]
// is 0 for masks of different classes. Bounded by reading the bits of all pairs, which lie in the cache.
extern "C" __global__ void compare_cells(segrt::Integers class_ids, segrt::CellTables tables, const segrt::Key* ranked,
                                         const std::uint32_t* bits, std::int32_t words, std::int32_t most,
                                         float* overlaps, const segrt::MatrixState* state) {
    using namespace segrt;
    const auto i = static_cast<std::int32_t>(blockIdx.x * blockDim.y + threadIdx.y);
    const auto j = static_cast<std::int32_t>(blockIdx.y);
    if (j >= state->ranked || i >= j) {
        return;
    }
    const std::int32_t better = index_of(ranked[i]), worse = index_of(ranked[j]);
    float overlap = 0;
    if (class_ids.at(better) == class_ids.at(worse)) {
        const std::uint32_t* a = bits + static_cast<std::int64_t>(i) * words;
        const std::uint32_t* b = bits + static_cast<std::int64_t>(j) * words;
        std::int32_t both = 0;
        for (std::int32_t word = lane_of_thread(); word < words; word += kLanes) {
            both += __popc(__ldg(a + word) & __ldg(b + word));
        }
        both = warp_sum(both);
        overlap = share_in_both(both, static_cast<std::int64_t>(tables.area[better]) + tables.area[worse] - both);
    }
    if (lane_of_thread() == 0) {
        overlaps[static_cast<std::int64_t>(j) * most + i] = overlap;
    }
}
SEGRT_KERNEL(compare_cells)

// Grid (ceil(masks / 8)), block (32, 8): a warp finds the largest overlap of a mask with better ones.
extern "C" __global__ void find_worst(const float* overlaps, std::int32_t most, float* worst,
                                      const segrt::MatrixState* state) {
    using namespace segrt;
    const auto j = static_cast<std::int32_t>(blockIdx.x * blockDim.y + threadIdx.y);
    if (j >= state->ranked) {
        return;
    }
    float largest = 0;
    for (std::int32_t i = lane_of_thread(); i < j; i += kLanes) {
        largest = max(largest, overlaps[static_cast<std::int64_t>(j) * most + i]);
    }
    largest = warp_most(largest);
    if (lane_of_thread() == 0) {
        worst[j] = largest;
    }
}
SEGRT_KERNEL(find_worst)

// Grid (ceil(masks / 8)), block (32, 8): a warp lowers the score of a mask; scores of `least` or more stay.
extern "C" __global__ void lower_scores(const segrt::Key* ranked, const float* overlaps, const float* worst,
                                        std::int32_t most, std::int32_t gaussian, float sigma, float least,
                                        segrt::Key* lowered, segrt::MatrixState* state) {
    using namespace segrt;
    const auto j = static_cast<std::int32_t>(blockIdx.x * blockDim.y + threadIdx.y);
    if (j >= state->ranked) {
        return;
    }
    float factor = 1;
    for (std::int32_t i = lane_of_thread(); i < j; i += kLanes) {
        const float overlap = overlaps[static_cast<std::int64_t>(j) * most + i];
        const float decay = mask_decay(gaussian != 0, sigma, overlap, worst[i]);
        factor = decay < factor ? decay : factor;  // what is no number lowers nothing
    }
    factor = warp_least(factor);
    const float score = score_of(ranked[j]) * factor;
    if (lane_of_thread() == 0 && score >= least) {
        lowered[atomicAdd(&state->lowered, 1)] = key_of(__float_as_uint(score + 0.0F), j);
    }
}
SEGRT_KERNEL(lower_scores)

// Grid (ceil(masks / 256)), block (256). The `most` best of what is left, in order: their keys, cells and reaches.
extern "C" __global__ void show_cells(const segrt::Key* lowered, const segrt::Key* ranked, segrt::CellTables tables,
                                      segrt::View view, std::int32_t most, segrt::Key* shown, std::int32_t* cells,
                                      segrt::PixelRect* reach, segrt::MatrixState* state) {
    using namespace segrt;
    const std::int32_t count = state->lowered;
    const auto [own, rank] = own_rank(lowered, count);
    if (rank >= 0 && rank < most) {
        const std::int32_t cell = index_of(ranked[index_of(own)]);
        shown[rank] = own;
        cells[rank] = cell;
        const PixelRect between = targets_of(view.first_rows, view.first_columns, tables.live[cell]);
        reach[rank] = targets_of(view.rows, view.columns, between);
    }
    if (rank == 0) {
        state->shown = min(count, most);
    }
}
SEGRT_KERNEL(show_cells)

// Grid (ceil(width / 256), rows of words, masks), block (32, 8).
extern "C" __global__ void cut_cells(segrt::Probabilities probabilities, segrt::View view, const std::int32_t* cells,
                                     const std::int32_t* count, segrt::MaskBits bits) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.z);
    if (mask >= *count) {
        return;
    }
    const PlainGrid grid{probabilities.values, probabilities.first(cells[mask]), probabilities.width};
    cut_mask(two_steps<First::across>(grid, view), 0, 0, probabilities.threshold, bits, mask);
}
SEGRT_KERNEL(cut_cells)
