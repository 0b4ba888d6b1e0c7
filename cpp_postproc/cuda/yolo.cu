// yolo.cpp on the GPU: from a table of predictions to the detections that stand, best first.
#include "block.h"
#include "box_edges.h"
#include "predictions.h"

namespace segrt {
namespace {

constexpr std::int32_t kChunk = 256;  // candidates that are compared with each other at a time
constexpr std::int32_t kWords = kChunk / 32;

// Whether a kept detection of its class, or of any, overlaps the candidate by more than the threshold.
SEGRT_SHARED bool overlaps(const Found& kept, const Box& box, std::int64_t class_id, float threshold, bool agnostic) {
    return (agnostic || kept.class_id == class_id) && intersection_over_union(kept.box, box) > threshold;
}

}  // namespace
}  // namespace segrt

// Grid (ceil(anchors / 256), rows that are looked at), block (256). Marks the rows that have a value that is not
// finite: boxes and class scores of anchors that take part, objectness, or whatever a table of detections holds.
extern "C" __global__ void check_predictions(segrt::Predictions table, std::int32_t* bad_rows,
                                             segrt::DetectionState* state) {
    using namespace segrt;
    const auto anchor = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    const auto row = static_cast<std::int32_t>(blockIdx.y);
    if (anchor >= table.anchors) {
        return;
    }
    if (table.rows == Rows::yolov5 && row == 0 && !is_finite(table.at(4, anchor))) {
        state->bad[kBadTable] = 1;
    }
    const bool plain = table.rows == Rows::detections || row < 4;
    if (table.takes_part(anchor) && !is_finite(plain ? table.at(row, anchor) : table.class_score(row - 4, anchor))) {
        bad_rows[row] = 1;
        state->bad[kBadTable] = 1;
    }
}
SEGRT_KERNEL(check_predictions)

// Grid (ceil(anchors / 256)), block (256). The keys of the anchors whose best class scores enough, in any order, and
// that class of every anchor.
extern "C" __global__ void choose_anchors(segrt::Predictions table, const std::int32_t* bad_rows,
                                          std::int32_t* class_of, segrt::Key* keys, segrt::DetectionState* state) {
    using namespace segrt;
    const auto anchor = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    if (anchor >= table.anchors || !table.takes_part(anchor)) {
        return;
    }
    float best = -1;
    bool refused = false;
    if (table.rows == Rows::detections) {
        best = table.at(4, anchor);
        for (std::int32_t row = 0; row < table.length; ++row) {
            refused = refused || !is_finite(table.at(row, anchor));
        }
    } else {
        std::int32_t class_id = 0;
        for (std::int32_t row = 0; row < 4 + table.classes; ++row) {
            const float value = limited(row < 4 ? table.at(row, anchor) : table.class_score(row - 4, anchor));
            refused = refused || (bad_rows[row] != 0 && (value >= kLargest || value <= -kLargest));
            if (row >= 4 && value > best) {
                best = value;
                class_id = row - 4;
            }
        }
        class_of[anchor] = class_id;
    }
    if (!refused && best > table.score_threshold) {
        keys[atomicAdd(&state->candidates, 1)] = key_of(__float_as_uint(best), anchor);
    }
}
SEGRT_KERNEL(choose_anchors)

// Grid (ceil(anchors / 256)), block (256). Sorts the candidates. Without suppression the first `most` are kept.
extern "C" __global__ void sort_anchors(segrt::Predictions table, const segrt::Key* keys, std::int32_t most,
                                        segrt::Key* sorted, segrt::Found* found, segrt::DetectionState* state) {
    using namespace segrt;
    const std::int32_t count = state->candidates;
    const auto [own, rank] = own_rank(keys, count);
    if (rank < 0) {
        return;
    }
    sorted[rank] = own;
    if (table.rows == Rows::detections && rank < most) {
        const std::int32_t anchor = index_of(own);
        found[rank] = {table.box(anchor), {}, score_of(own), anchor, integer_of(table.at(5, anchor))};
        if (rank == 0) {
            state->kept = min(count, most);
        }
    }
}
SEGRT_KERNEL(sort_anchors)

// Grid (1), block (256). Goes through the candidates, best first: one that overlaps a kept one of its class, or with
// `agnostic` of any, by more than the threshold is dropped. A chunk is held against what is kept by all threads, then
// against itself by one warp.
extern "C" __global__ void suppress(segrt::Predictions table, const segrt::Key* sorted, const std::int32_t* class_of,
                                    float threshold, std::int32_t agnostic, std::int32_t most, segrt::Found* found,
                                    segrt::DetectionState* state) {
    using namespace segrt;
    __shared__ Found chunk[kChunk];
    __shared__ std::uint32_t dropped[kChunk][kWords];  // by this one
    __shared__ std::uint32_t standing[kWords];
    __shared__ std::int32_t kept;
    const auto thread = static_cast<std::int32_t>(threadIdx.x);
    const std::int32_t count = state->candidates;
    if (thread == 0) {
        kept = 0;
    }
    __syncthreads();
    for (std::int32_t begin = 0; begin < count && kept < most; begin += kChunk) {
        const std::int32_t here = min(count - begin, kChunk);
        bool stands = thread < here;
        if (stands) {
            const Key key = sorted[begin + thread];
            const std::int32_t anchor = index_of(key);
            chunk[thread] = {table.box(anchor), {}, score_of(key), anchor, class_of[anchor]};
            for (std::int32_t i = 0; i < kept && stands; ++i) {
                stands = !overlaps(found[i], chunk[thread].box, chunk[thread].class_id, threshold, agnostic != 0);
            }
        }
        const std::uint32_t standing_here = __ballot_sync(kAllLanes, stands ? 1 : 0);
        if (lane_of_thread() == 0) {
            standing[thread / kLanes] = standing_here;
        }
        __syncthreads();
        for (std::int32_t word = 0; word < kWords; ++word) {
            std::uint32_t bits = 0;
            for (std::int32_t bit = 0; bit < 32 && stands; ++bit) {
                const std::int32_t other = word * 32 + bit;
                const bool drops =
                    other > thread && (standing[word] >> bit & 1U) != 0 &&
                    overlaps(chunk[thread], chunk[other].box, chunk[other].class_id, threshold, agnostic != 0);
                bits |= drops ? 1U << bit : 0U;
            }
            dropped[thread][word] = bits;
        }
        __syncthreads();
        if (thread < kLanes) {
            std::uint32_t left = thread < kWords ? standing[thread] : 0;
            std::int32_t now = kept;
            std::uint32_t some = __ballot_sync(kAllLanes, left != 0 ? 1 : 0);
            while (some != 0 && now < most) {
                const std::int32_t word = __ffs(some) - 1;
                const std::int32_t next = word * 32 + __ffs(__shfl_sync(kAllLanes, left, word)) - 1;
                if (thread == 0) {
                    found[now] = chunk[next];
                }
                ++now;
                if (thread < kWords) {
                    left &= ~dropped[next][thread];
                    left &= thread == word ? ~(1U << (next % 32)) : ~0U;
                }
                some = __ballot_sync(kAllLanes, left != 0 ? 1 : 0);
            }
            __syncwarp();
            if (thread == 0) {
                kept = now;
            }
        }
        __syncthreads();
    }
    if (thread == 0) {
        state->kept = kept;
    }
}
SEGRT_KERNEL(suppress)
