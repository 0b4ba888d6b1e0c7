// What two views of a picture say of single pixels: plain loops over a block of them, which compilers vectorise. All
// tables have them, the readable one, too. See fast_table.h for how this file is compiled.
#pragma once

#include "kernels.h"
#include "softmax.h"

namespace segrt {
namespace {

inline void highest_row(const float* scores, Index stride, Index classes, float* best, std::int32_t* labels,
                        Index count) {
    for (Index x = 0; x < count; ++x) {
        best[x] = scores[x];
        labels[x] = 0;
    }
    for (Index c = 1; c < classes; ++c) {
        const float* row = scores + c * stride;
        const auto number = static_cast<std::int32_t>(c);
        for (Index x = 0; x < count; ++x) {
            const bool above = row[x] > best[x];
            best[x] = above ? row[x] : best[x];
            labels[x] = above ? number : labels[x];
        }
    }
}

// out[x] = the part that each score has in its class's probability, before sums are divided by; added to sum[x].
inline void block_parts(const float* __restrict scores, const float* __restrict most, bool shares,
                        float* __restrict sum, float* __restrict out) {
    if (shares) {
        for (Index x = 0; x < kBlock; ++x) {
            out[x] = scores[x] > 0 ? scores[x] : 0.0F;
            sum[x] += out[x];
        }
        return;
    }
    for (Index x = 0; x < kBlock; ++x) {
        const float part = exp_below(scores[x], most[x]);
        out[x] = part;
        sum[x] += part;
    }
}

// Probabilities of a block, class after class: `scores` by softmax, or as shares of their sum. What each is to be
// multiplied by is in `factors`.
inline void block_probabilities(const float* scores, Index stride, Index classes, bool shares, float* out,
                                float* factors) {
    float most[kBlock], sum[kBlock];
    for (Index x = 0; x < kBlock; ++x) {
        most[x] = scores[x];
        sum[x] = 0;
    }
    for (Index c = 1; c < classes && !shares; ++c) {
        for (Index x = 0; x < kBlock; ++x) {
            const float score = scores[c * stride + x];
            most[x] = score > most[x] ? score : most[x];
        }
    }
    for (Index c = 0; c < classes; ++c) {
        block_parts(scores + c * stride, most, shares, sum, out + c * kBlock);
    }
    for (Index x = 0; x < kBlock; ++x) {
        factors[x] = sum[x] > 0 ? 1 / sum[x] : 0.0F;
    }
}

inline void judge_views(const ViewJudge& judge, const float* whole, const float* tiles, Index stride,
                        const std::int32_t* whole_labels, std::int32_t* labels) {
    float* around = judge.memory;
    float* near = judge.memory + judge.classes * kBlock;
    float around_factor[kBlock], near_factor[kBlock];
    block_probabilities(whole, stride, judge.classes, judge.shares, around, around_factor);
    block_probabilities(tiles, stride, judge.classes, judge.shares, near, near_factor);
    float thing[kBlock], stuff[kBlock];  // twice that of all things together; that of all stuff, as the whole has it
    for (Index x = 0; x < kBlock; ++x) {
        thing[x] = stuff[x] = 0;
    }
    for (Index c = 0; c < judge.classes; ++c) {
        const bool mean = !judge.mixed || judge.things[c] != 0;
        float* __restrict here = around + c * kBlock;
        const float* __restrict there = near + c * kBlock;
        if (mean) {
            for (Index x = 0; x < kBlock; ++x) {
                here[x] = here[x] * around_factor[x] + there[x] * near_factor[x];
                thing[x] += here[x];
            }
        } else {
            for (Index x = 0; x < kBlock; ++x) {
                here[x] *= around_factor[x];
                stuff[x] += here[x];
            }
        }
    }
    for (Index x = 0; x < kBlock; ++x) {
        stuff[x] = stuff[x] > 0 ? (2 - thing[x]) / stuff[x] : 0.0F;
    }
    float most[kBlock];
    std::int32_t best[kBlock];
    for (Index x = 0; x < kBlock; ++x) {
        most[x] = -1;
        best[x] = 0;
    }
    for (Index c = 0; c < judge.classes; ++c) {
        const bool mean = !judge.mixed || judge.things[c] != 0;
        const float* __restrict here = around + c * kBlock;
        const auto number = static_cast<std::int32_t>(c);
        for (Index x = 0; x < kBlock; ++x) {
            const float value = here[x] * (mean ? 1.0F : stuff[x]);
            best[x] = value > most[x] ? number : best[x];
            most[x] = value > most[x] ? value : most[x];
        }
    }
    for (Index x = 0; x < kBlock; ++x) {
        labels[x] = labels[x] == whole_labels[x] ? labels[x] : best[x];
    }
}

}  // namespace
}  // namespace segrt
