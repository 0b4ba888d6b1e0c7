// The end of merge_queries on the GPU: which of the kept queries are segments, and their ids over the labels. The host
// makes the segments' descriptions from the same counts (labelled_queries.cpp).
#include "kept_queries.h"
#include "label_regions.h"
#include "survival.h"

namespace segrt {
namespace {

constexpr std::int32_t kPaintThreads = 256;
constexpr std::int32_t kWordsEach = 4;  // of a thread, of four labels in a byte each or two in two bytes each
constexpr std::int32_t kByteLabels = 256;

// What is kept in memory of each query: the first query of its segment, itself or the first of its stuff class, or
// kNoSegment.
constexpr std::int32_t kNoSegment = -1;

// One block. DETR's rule has no threshold: all of its queries stand, or labels are made anew.
SEGRT_SHARED void choose_ids(const KeptQuery* kept, std::int32_t count, const RegionTally* tallies,
                             const std::uint8_t* is_stuff, bool all_stand, double overlap_threshold,
                             std::int32_t* stands, std::int32_t* first, std::int32_t* id_of_label) {
    const auto thread = static_cast<std::int32_t>(threadIdx.x);
    for (std::int32_t k = thread; k < count; k += kPaintThreads) {
        const RegionTally& tally = tallies[k];
        stands[k] = all_stand || is_enough_left(tally.labelled, tally.original, tally.area, overlap_threshold) ? 1 : 0;
    }
    __syncthreads();
    for (std::int32_t k = thread; k < count; k += kPaintThreads) {
        std::int32_t own = stands[k] != 0 ? k : kNoSegment;
        for (std::int32_t j = 0; j < own && is_stuff[kept[k].class_id] != 0; ++j) {
            own = stands[j] != 0 && kept[j].class_id == kept[k].class_id ? j : own;
        }
        first[k] = own;
    }
    __syncthreads();
    for (std::int32_t k = thread; k < count; k += kPaintThreads) {
        std::int32_t id = first[k] == kNoSegment ? 0 : 1;
        for (std::int32_t j = 0; j < first[k]; ++j) {
            id += first[j] == j ? 1 : 0;
        }
        id_of_label[k] = id;
    }
}

}  // namespace
}  // namespace segrt

// One block of 256. is_stuff: of each class; stands, first and id_of_label: of each query.
extern "C" __global__ void choose_ids(const segrt::KeptQuery* kept, const segrt::KeptCounts* counts,
                                      const segrt::RegionTally* tallies, const std::uint8_t* is_stuff,
                                      std::int32_t all_stand, double overlap_threshold, std::int32_t* stands,
                                      std::int32_t* first, std::int32_t* id_of_label) {
    segrt::choose_ids(kept, counts->kept, tallies, is_stuff, all_stand != 0, overlap_threshold, stands, first,
                      id_of_label);
}
SEGRT_KERNEL(choose_ids)

// Labels become ids, in their place; what is no kept query's label becomes 0. `words` holds four labels of a byte each.
// Grid (ceil(words / 1024)), block (256).
extern "C" __global__ void paint_bytes(std::uint32_t* words, std::int32_t word_count, const std::int32_t* id_of_label,
                                       const segrt::KeptCounts* counts) {
    using namespace segrt;
    __shared__ std::uint32_t ids[kByteLabels];
    const auto thread = static_cast<std::int32_t>(threadIdx.x);
    ids[thread] = thread < counts->kept ? static_cast<std::uint32_t>(id_of_label[thread]) : 0;
    __syncthreads();
    const std::int32_t begin = static_cast<std::int32_t>(blockIdx.x) * (kPaintThreads * kWordsEach) + thread;
    for (std::int32_t k = 0; k < kWordsEach; ++k) {
        const std::int32_t i = begin + k * kPaintThreads;
        if (i < word_count) {
            const std::uint32_t labels = words[i];
            words[i] = ids[labels & 0xFFU] | ids[labels >> 8 & 0xFFU] << 8 | ids[labels >> 16 & 0xFFU] << 16 |
                       ids[labels >> 24] << 24;
        }
    }
}
SEGRT_KERNEL(paint_bytes)

// The same for two labels of two bytes each in a word.
extern "C" __global__ void paint_shorts(std::uint32_t* words, std::int32_t word_count, const std::int32_t* id_of_label,
                                        const segrt::KeptCounts* counts) {
    using namespace segrt;
    const std::int32_t begin =
        static_cast<std::int32_t>(blockIdx.x) * (kPaintThreads * kWordsEach) + static_cast<std::int32_t>(threadIdx.x);
    const auto kept = static_cast<std::uint32_t>(counts->kept);
    const auto id_of = [&](std::uint32_t label) {
        return label < kept ? static_cast<std::uint32_t>(__ldg(id_of_label + label)) : 0U;
    };
    for (std::int32_t k = 0; k < kWordsEach; ++k) {
        const std::int32_t i = begin + k * kPaintThreads;
        if (i < word_count) {
            const std::uint32_t labels = words[i];
            words[i] = id_of(labels & 0xFFFFU) | id_of(labels >> 16) << 16;
        }
    }
}
SEGRT_KERNEL(paint_shorts)
