// confident_queries of class_scores.cpp on the GPU: a warp scores a query, and the block that is done last, whichever
// it is, puts those that are kept into their order.
#include "class_softmax.h"
#include "kept_queries.h"
#include "label_regions.h"

namespace segrt {
namespace {

constexpr std::int32_t kScoringWarps = 8;

// One warp, one query: its most probable class (the first of equals), a score of 0 where it is not kept. Returns how
// many of this lane's logits are not finite.
template <class T>
SEGRT_SHARED std::int32_t score_query(const T* logits, std::int32_t columns, float threshold, std::int32_t query,
                                      KeptQuery& scored) {
    const auto lane = static_cast<std::int32_t>(threadIdx.x);
    const ClassRow<T> row(logits + static_cast<std::int64_t>(query) * columns, columns, lane);
    float best = -1;
    std::int32_t at = kNowhere;
    for (std::int32_t c = lane; c < columns; c += kLanes) {
        const float probability = row.probability(c);
        if (probability > best) {
            best = probability;
            at = c;
        }
    }
    for (int step = kLanes / 2; step > 0; step /= 2) {
        const float other = __shfl_xor_sync(kAllLanes, best, step);
        const std::int32_t there = __shfl_xor_sync(kAllLanes, at, step);
        if (other > best || (other == best && there < at)) {
            best = other;
            at = there;
        }
    }
    if (lane == 0) {
        scored = {query, at, at != columns - 1 && best > threshold ? best : 0.0F};
    }
    return row.nonfinite;
}

// How many blocks are done, and how many class logits were not finite; both 0 between frames.
struct KeepProgress {
    std::int32_t blocks, nonfinite;
};

// One warp: writes the kept queries in their order.
SEGRT_SHARED void order_kept(const KeptQuery* scored, std::int32_t queries, KeptQuery* kept, KeptCounts* counts,
                             KeepProgress* progress) {
    const auto lane = static_cast<std::int32_t>(threadIdx.x);
    std::int32_t count = 0;
    for (std::int32_t base = 0; base < queries; base += kLanes) {
        KeptQuery query{0, 0, 0};
        if (base + lane < queries) {
            const volatile KeptQuery& there = scored[base + lane];  // which other blocks wrote
            query = {there.query, there.class_id, there.score};
        }
        const std::uint32_t keeps = __ballot_sync(kAllLanes, query.score > 0);
        if (query.score > 0) {
            kept[count + __popc(keeps & ((1U << lane) - 1))] = query;
        }
        count += __popc(keeps);
    }
    if (lane == 0) {
        *counts = {count, atomicAdd(&progress->nonfinite, 0), 0};
        *progress = {0, 0};
    }
}

// Grid (ceil(queries / kScoringWarps)), block (32, kScoringWarps). logits: (queries, columns), the last column being
// "no object"; scored, kept and tallies: (queries,). Empties all tallies, too.
template <class T>
SEGRT_SHARED void keep_queries(const T* logits, std::int32_t queries, std::int32_t columns, float threshold,
                               KeptQuery* scored, KeptQuery* kept, KeptCounts* counts, RegionTally* tallies,
                               KeepProgress* progress) {
    __shared__ bool is_last;
    const auto lane = static_cast<std::int32_t>(threadIdx.x), warp = static_cast<std::int32_t>(threadIdx.y);
    const auto query = static_cast<std::int32_t>(blockIdx.x) * kScoringWarps + warp;
    if (query < queries) {
        const std::int32_t bad = score_query(logits, columns, threshold, query, scored[query]);
        if (bad > 0) {
            atomicAdd(&progress->nonfinite, bad);
        }
        if (lane == 0) {
            tallies[query] = {0, 0, 0, kNowhere, kNowhere, -1, -1};
        }
    }
    __threadfence();
    __syncthreads();
    if (warp == 0 && lane == 0) {
        is_last = atomicAdd(&progress->blocks, 1) == static_cast<std::int32_t>(gridDim.x) - 1;
    }
    __syncthreads();
    if (is_last && warp == 0) {
        __threadfence();
        order_kept(scored, queries, kept, counts, progress);
    }
}

}  // namespace
}  // namespace segrt

#define SEGRT_KEEP(name, T)                                                                                          \
    extern "C" __global__ void __launch_bounds__(256)                                                                \
        name(const T* logits, std::int32_t queries, std::int32_t columns, float threshold, segrt::KeptQuery* scored, \
             segrt::KeptQuery* kept, segrt::KeptCounts* counts, segrt::RegionTally* tallies,                         \
             segrt::KeepProgress* progress) {                                                                        \
        segrt::keep_queries(logits, queries, columns, threshold, scored, kept, counts, tallies, progress);           \
    }                                                                                                                \
    SEGRT_KERNEL(name)

SEGRT_KEEP(keep_queries_float, float)
SEGRT_KEEP(keep_queries_half, segrt::Half)
