// The pixels of merge_queries.cpp and merge_detr.cpp on the GPU: which kept query ranks first at each, and what each
// claims. What becomes of it is chosen on the host, from tallies. Each rule is a file of its own: a driver translates
// what a file holds, and a program needs one rule.
#pragma once

#include "kept_queries.h"
#include "label_regions.h"

namespace segrt {
namespace {

// Mask logits (queries, height, width), and the tables of the first resize where the rule has one.
template <class T>
struct Masks {
    const T* data;
    std::int32_t height, width;
    const Tap* rows;
    const Tap* columns;

    [[nodiscard]] SEGRT_SHARED HeadGrid<T, true> probabilities() const { return {data, height, width}; }
    [[nodiscard]] SEGRT_SHARED HeadGrid<T, false> logits() const { return {data, height, width}; }
    [[nodiscard]] SEGRT_SHARED EnlargedGrid<T, true> enlarged_probabilities() const {
        return {logits(), rows, columns};
    }
    [[nodiscard]] SEGRT_SHARED EnlargedGrid<T, false> enlarged_logits() const { return {logits(), rows, columns}; }
};

// A pixel gets the position of a query among the kept; with none kept nothing is written.
template <Ranking ranking, class Grid>
SEGRT_SHARED void label_kept(const Grid& grid, const KeptQuery* kept, std::int32_t count, const TargetTaps& target,
                             RegionTally* tallies, const LabelMap& labels) {
    if (count == 0) {
        return;
    }
    constexpr std::int32_t kStep = sizeof(KeptQuery) / sizeof(float);
    const RegionJob<Grid> job{grid, {&kept->query, kStep}, count, &kept->score, kStep, target, tallies};
    label_regions<ranking>(job, labels);
}

}  // namespace
}  // namespace segrt

// Grid (ceil(width / 32), ceil(height / 32)), block (32, 4).
#define SEGRT_MERGE(name, ranking, grid, T)                                                                    \
    extern "C" __global__ void __launch_bounds__(segrt::kLabelThreads, segrt::kLabelBlocks)                    \
        name(const T* data, std::int32_t height, std::int32_t width, const segrt::Tap* rows,                   \
             const segrt::Tap* columns, const segrt::KeptQuery* kept, const segrt::KeptCounts* counts,         \
             segrt::TargetTaps target, segrt::RegionTally* tallies, segrt::LabelMap labels) {                  \
        const segrt::Masks<T> masks{data, height, width, rows, columns};                                       \
        segrt::label_kept<segrt::Ranking::ranking>(masks.grid(), kept, counts->kept, target, tallies, labels); \
    }                                                                                                          \
    SEGRT_KERNEL(name)
