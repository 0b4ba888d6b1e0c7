// The readable version of label_fast.h: every channel at every pixel.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "kernels/rows_scalar.h"

namespace segrt {
namespace {

struct Value {
    float rank;
    bool claimed;  // the channel claims the pixel by itself
};

inline Value rank(const LabelJob& job, Index k, float interpolated) {
    switch (job.ranking) {
        case Ranking::weighted: {
            const float value = interpolated * job.weights[k];
            return {value, value >= 0.5F};
        }
        case Ranking::weighted_logit: {
            const float probability = sigmoid_float(interpolated);
            return {job.weights[k] * probability, probability >= 0.5F};
        }
        case Ranking::plain:
            break;
    }
    return {interpolated, true};
}

template <class T>
inline std::int64_t label(const LabelJob& job, Index begin, Index end, Map<T> labels, Tally* tallies,
                          const LabelMemory&) {
    const Index height = job.source.height, width = job.source.width;
    std::vector<float> grids(static_cast<std::size_t>(job.channels * height * width));
    std::vector<bool> used(static_cast<std::size_t>(height), false);
    for (Index y = begin; y < end; ++y) {
        used[static_cast<std::size_t>(job.rows.low[y])] = true;
        used[static_cast<std::size_t>(job.rows.high[y])] = true;
    }
    std::int64_t nonfinite = 0;
    for (Index k = 0; k < job.channels; ++k) {
        for (Index r = 0; r < height; ++r) {
            if (!used[static_cast<std::size_t>(r)]) {
                continue;
            }
            float* row = grids.data() + (k * height + r) * width;
            const std::int64_t bad =
                read(job.source.row(job.images[k], r), job.source.type, job.source.strides[2], row, width);
            nonfinite += r >= first_own_row(job.rows, begin) ? bad : 0;
            if (job.probabilities) {
                sigmoid(row, width);
            }
        }
    }
    for (Index y = begin; y < end; ++y) {
        for (Index x = 0; x < job.columns.length; ++x) {
            Index winner = 0;
            Value best{};
            for (Index k = 0; k < job.channels; ++k) {
                const float* grid = grids.data() + k * height * width;
                const Value value = rank(job, k,
                                         interpolate(grid + job.rows.low[y] * width, grid + job.rows.high[y] * width,
                                                     job.rows, job.columns, y, x));
                if (job.tally && value.claimed) {
                    ++tallies[k].original;
                }
                if (k == 0 || value.rank > best.rank) {
                    best = value;
                    winner = k;
                }
            }
            const bool visible = job.ranking != Ranking::weighted_logit || best.claimed;
            labels.row(y)[x] = static_cast<T>(visible ? winner : job.channels);
            if (job.tally) {
                Tally& tally = tallies[winner];
                ++tally.labelled;
                if (visible) {
                    tally.visible.add_row(y, x, x, 1);
                }
            }
        }
    }
    return nonfinite;
}

}  // namespace
}  // namespace segrt
