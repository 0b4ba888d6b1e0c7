// confident_queries of class_scores.cpp on the GPU. A hundred queries of a hundred classes are little work: one block
// does it in a few microseconds, and needs no other to order what it keeps.
#include "class_softmax.h"
#include "kept_queries.h"
#include "label_regions.h"

namespace segrt {
namespace {

constexpr std::int32_t kScoringWarps = 32;

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

// Block (32, kScoringWarps), alone. logits: (queries, columns), the last column being "no object"; scored, kept and
// tallies: (queries,). Writes the kept queries in their order and empties all tallies.
template <class T>
SEGRT_SHARED void keep_queries(const T* logits, std::int32_t queries, std::int32_t columns, float threshold,
                               KeptQuery* scored, KeptQuery* kept, KeptCounts* counts, RegionTally* tallies) {
    __shared__ std::int32_t nonfinite;
    const auto lane = static_cast<std::int32_t>(threadIdx.x), warp = static_cast<std::int32_t>(threadIdx.y);
    if (warp == 0 && lane == 0) {
        nonfinite = 0;
    }
    __syncthreads();
    std::int32_t bad = 0;
    for (std::int32_t q = warp; q < queries; q += kScoringWarps) {
        bad += score_query(logits, columns, threshold, q, scored[q]);
    }
    if (bad > 0) {
        atomicAdd(&nonfinite, bad);
    }
    for (std::int32_t q = warp * kLanes + lane; q < queries; q += kScoringWarps * kLanes) {
        tallies[q] = {0, 0, 0, kNowhere, kNowhere, -1, -1};
    }
    __syncthreads();
    if (warp != 0) {
        return;
    }
    std::int32_t count = 0;
    for (std::int32_t base = 0; base < queries; base += kLanes) {
        const KeptQuery query = base + lane < queries ? scored[base + lane] : KeptQuery{0, 0, 0};
        const std::uint32_t keeps = __ballot_sync(kAllLanes, query.score > 0);
        if (query.score > 0) {
            kept[count + __popc(keeps & ((1U << lane) - 1))] = query;
        }
        count += __popc(keeps);
    }
    if (lane == 0) {
        *counts = {count, nonfinite, 0};
    }
}

}  // namespace
}  // namespace segrt

#define SEGRT_KEEP(name, T)                                                                                          \
    extern "C" __global__ void __launch_bounds__(1024)                                                               \
        name(const T* logits, std::int32_t queries, std::int32_t columns, float threshold, segrt::KeptQuery* scored, \
             segrt::KeptQuery* kept, segrt::KeptCounts* counts, segrt::RegionTally* tallies) {                       \
        segrt::keep_queries(logits, queries, columns, threshold, scored, kept, counts, tallies);                     \
    }                                                                                                                \
    SEGRT_KERNEL(name)

SEGRT_KEEP(keep_queries_float, float)
SEGRT_KEEP(keep_queries_half, segrt::Half)
