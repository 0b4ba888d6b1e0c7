// best_pairs of query_instances.cpp on the GPU: the (query, class) pairs of highest probability, and their queries.
#include "block.h"
#include "heads.h"
#include "rank.h"
#include "softmax.h"

namespace segrt {
namespace {

// What one frame counts; all 0 when it begins.
struct PairState {
    std::int32_t pairs;             // how many are kept
    std::int32_t queries;           // how many queries they have
    std::int32_t nonfinite_scores;  // whether a class logit is not finite
    std::int32_t nonfinite_masks;   // whether a mask logit of the kept queries is not
};

// A warp makes the scores of one query: scores[query * classes + class] are the bits of a probability above the
// threshold, else 0. Block (32, 8).
template <bool exclusive, class T>
SEGRT_SHARED void score(const T* logits, std::int32_t queries, std::int32_t columns, float threshold,
                        std::uint32_t* scores, PairState* state) {
    const auto query = static_cast<std::int32_t>(blockIdx.x * blockDim.y + threadIdx.y);
    if (query >= queries) {
        return;
    }
    const T* row = logits + static_cast<std::int64_t>(query) * columns;
    const std::int32_t classes = exclusive ? columns - 1 : columns;
    std::uint32_t* out = scores + static_cast<std::int64_t>(query) * classes;
    float largest = -kLargest, sum = 0;
    bool finite = true;
    for (std::int32_t c = lane_of_thread(); c < columns; c += kLanes) {
        finite = finite && is_finite(widened(row[c]));
        largest = max(largest, read(row[c]));
    }
    if (exclusive) {
        largest = warp_most(largest);
        for (std::int32_t c = lane_of_thread(); c < columns; c += kSumLanes) {
            sum += exp_below(read(row[c]), largest);
        }
        sum = warp_sum(sum);
    }
    for (std::int32_t c = lane_of_thread(); c < classes; c += kLanes) {
        const float logit = read(row[c]);
        const float probability = exclusive ? exp_below(logit, largest) / sum : sigmoid_float(logit);
        out[c] = probability > threshold ? __float_as_uint(probability) : 0U;
    }
    if (__any_sync(kAllLanes, finite ? 0 : 1) != 0 && lane_of_thread() == 0) {
        state->nonfinite_scores = 1;
    }
}

constexpr std::int32_t kBins = 256;

// The bin, from the highest down, in which the `wanted`th key lies; `wanted` becomes its number within the bin. The
// first warp calls it together.
SEGRT_SHARED std::int32_t find_bin(const std::int32_t* bins, std::int32_t& wanted) {
    constexpr std::int32_t each = kBins / kLanes;
    const std::int32_t top = kBins - 1 - lane_of_thread() * each;
    std::int32_t own = 0;
    for (std::int32_t i = 0; i < each; ++i) {
        own += bins[top - i];
    }
    const std::int32_t before = warp_running_sum(own) - own;
    const bool here = before < wanted && wanted <= before + own;
    std::int32_t bin = top, rest = wanted - before;
    while (here && bins[bin] < rest) {
        rest -= bins[bin--];
    }
    const std::int32_t lane = __ffs(__ballot_sync(kAllLanes, here ? 1 : 0)) - 1;
    wanted = __shfl_sync(kAllLanes, rest, lane);
    return __shfl_sync(kAllLanes, bin, lane);
}

// The least key that is kept where more than `wanted` of the scores are not 0, byte after byte from the highest on.
// All threads of the block call it together.
SEGRT_SHARED Key least_kept(const std::uint32_t* scores, std::int32_t count, std::int32_t wanted) {
    __shared__ std::int32_t bins[kBins];
    __shared__ Key found;
    __shared__ std::int32_t rest;
    __shared__ bool exact;
    const auto thread = static_cast<std::int32_t>(threadIdx.x), threads = static_cast<std::int32_t>(blockDim.x);
    if (thread == 0) {
        found = 0;
        rest = wanted;
        exact = false;
    }
    for (std::int32_t shift = 56; shift >= 0; shift -= 8) {
        for (std::int32_t i = thread; i < kBins; i += threads) {
            bins[i] = 0;
        }
        __syncthreads();
        for (std::int32_t i = thread; i < count; i += threads) {
            const Key key = key_of(scores[i], i);
            if (scores[i] != 0 && (shift == 56 || key >> (shift + 8) == found >> (shift + 8))) {
                atomicAdd(&bins[key >> shift & 0xFFU], 1);
            }
        }
        __syncthreads();
        if (thread < kLanes) {
            std::int32_t within = rest;
            const std::int32_t bin = find_bin(bins, within);
            __syncwarp();
            if (thread == 0) {
                found |= static_cast<Key>(bin) << shift;
                rest = within;
                exact = bins[bin] == within;
            }
        }
        __syncthreads();
        if (exact) {
            break;
        }
    }
    return found;
}

}  // namespace
}  // namespace segrt

// Grid (ceil(queries / 8)), block (32, 8).
extern "C" __global__ void softmax_scores_float(const float* logits, std::int32_t queries, std::int32_t columns,
                                                float threshold, std::uint32_t* scores, segrt::PairState* state) {
    segrt::score<true>(logits, queries, columns, threshold, scores, state);
}
SEGRT_KERNEL(softmax_scores_float)

extern "C" __global__ void softmax_scores_half(const segrt::Half* logits, std::int32_t queries, std::int32_t columns,
                                               float threshold, std::uint32_t* scores, segrt::PairState* state) {
    segrt::score<true>(logits, queries, columns, threshold, scores, state);
}
SEGRT_KERNEL(softmax_scores_half)

extern "C" __global__ void sigmoid_scores_float(const float* logits, std::int32_t queries, std::int32_t columns,
                                                float threshold, std::uint32_t* scores, segrt::PairState* state) {
    segrt::score<false>(logits, queries, columns, threshold, scores, state);
}
SEGRT_KERNEL(sigmoid_scores_float)

extern "C" __global__ void sigmoid_scores_half(const segrt::Half* logits, std::int32_t queries, std::int32_t columns,
                                               float threshold, std::uint32_t* scores, segrt::PairState* state) {
    segrt::score<false>(logits, queries, columns, threshold, scores, state);
}
SEGRT_KERNEL(sigmoid_scores_half)

// Grid (1), block (1024). The keys of the `wanted` best of `count` scores that are not 0, in any order.
extern "C" __global__ void __launch_bounds__(1024)
    choose_pairs(const std::uint32_t* scores, std::int32_t count, std::int32_t wanted, segrt::Key* keys,
                 segrt::PairState* state) {
    using namespace segrt;
    const auto thread = static_cast<std::int32_t>(threadIdx.x), threads = static_cast<std::int32_t>(blockDim.x);
    std::int32_t some = 0;
    for (std::int32_t i = thread; i < count; i += threads) {
        some += scores[i] != 0 ? 1 : 0;
    }
    const std::int32_t all = block_place(some).all;
    const Key least = all > wanted ? least_kept(scores, count, wanted) : 0;
    std::int32_t kept = 0;
    for (std::int32_t begin = 0; begin < count; begin += threads) {
        const std::int32_t i = begin + thread;
        const bool keep = i < count && scores[i] != 0 && key_of(scores[i], i) >= least;
        const Place place = block_place(keep ? 1 : 0);
        if (keep) {
            keys[kept + place.before] = key_of(scores[i], i);
        }
        kept += place.all;
    }
    if (thread == 0) {
        state->pairs = kept;
    }
}
SEGRT_KERNEL(choose_pairs)

// Grid (ceil(wanted / 256)), block (256). Sorts the keys, and lists each query once, in any order.
extern "C" __global__ void sort_pairs(const segrt::Key* keys, std::int32_t classes, segrt::Key* sorted,
                                      std::int32_t* queries, std::int32_t* taken, segrt::PairState* state) {
    using namespace segrt;
    const std::int32_t count = state->pairs;
    const auto [own, rank] = own_rank(keys, count);
    if (rank < 0) {
        return;
    }
    sorted[rank] = own;
    const std::int32_t query = index_of(own) / classes;
    if (atomicExch(&taken[query], 1) == 0) {
        queries[atomicAdd(&state->queries, 1)] = query;
    }
}
SEGRT_KERNEL(sort_pairs)
