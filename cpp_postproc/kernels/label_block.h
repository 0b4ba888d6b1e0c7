// The labels of one block, all alike or pixel by pixel. See fast_table.h for how this file is compiled.
#pragma once

#include <cstring>

#include "float_math.h"
#include "kernels.h"
#include "kernels/interpolate.h"
#include "kernels/label_tally.h"

namespace segrt {
namespace {

// A candidate is a channel with two marks: may win, and must be counted for `original`.
constexpr std::int32_t kMayWin = 1 << 30, kCount = 1 << 29, kChannel = kCount - 1;

template <class Label, Ranking ranking>
class BlockWriter {
public:
    BlockWriter(const LabelJob& job, const LabelMemory& memory, Map<Label> labels, Tally* tallies)
        : job_(job),
          row_stride_(memory.row_stride),
          candidates_(memory.candidates),
          labels_(labels),
          tallies_(tallies) {}

    // One channel wins the whole block; `visible` says whether it shows or leaves the block void.
    void fill(const Block& block, std::int32_t winner, bool visible) {
        const auto label = static_cast<Label>(visible ? winner : static_cast<std::int32_t>(job_.channels));
        for (Index y = block.top; y < block.bottom; ++y) {
            Label* row = labels_.row(y) + block.x;
            if (block.columns == kBlock) {
                for (Index j = 0; j < kBlock; ++j) {
                    row[j] = label;
                }
            } else {
                for (Index j = 0; j < block.columns; ++j) {
                    row[j] = label;
                }
            }
        }
        if (job_.tally) {
            Tally& tally = tallies_[winner];
            tally.labelled += block.pixels();
            if (visible) {
                tally.visible.area += block.pixels();
                extend(tally.visible, block.x, block.x + block.columns - 1, block.top, block.bottom - 1);
            }
        }
    }

    // The first `count` candidates are compared pixel by pixel between two source rows.
    void evaluate(const Block& block, Index count, const float* above, const float* below) {
        for (Index i = 0; i < count; ++i) {
            const Index k = candidates_.channels[i] & kChannel;
            interpolate_block(above + k * row_stride_, block.x, candidates_.upper + i * kBlock);
            interpolate_block(below + k * row_stride_, block.x, candidates_.lower + i * kBlock);
        }
        for (Index y = block.top; y < block.bottom; ++y) {
            evaluate_row(block, count, y);
        }
        if (ranking != Ranking::weighted_logit && job_.tally) {
            for (Index i = 0; i < count; ++i) {
                if ((candidates_.channels[i] & kMayWin) != 0) {
                    const std::int32_t k = candidates_.channels[i] & kChannel;
                    tally_block(tallies_[k], labels_, block, static_cast<Label>(k));
                }
            }
        }
    }

private:
    void interpolate_block(const float* row, Index x, float* out) const {
        const Axis& axis = job_.columns;
        interpolate_row(row, axis.low + x, axis.high + x, axis.low_weight + x, axis.high_weight + x, out, kBlock);
    }

    void evaluate_row(const Block& block, Index count, Index y) {
        constexpr bool kWeighted = ranking != Ranking::plain;
        float best[kBlock], shown[kBlock];  // of the winner: rank, and value before weighting
        std::int32_t winner[kBlock];
        bool started = false;
        for (Index i = 0; i < count; ++i) {
            const std::int32_t candidate = candidates_.channels[i];
            const std::int32_t k = candidate & kChannel;
            float value[kBlock], rank[kBlock];
            blend(i, y, value);
            const float weight = kWeighted ? job_.weights[k] : 1.0F;
            for (Index j = 0; j < kBlock; ++j) {
                rank[j] = kWeighted ? value[j] * weight : value[j];
            }
            if (kWeighted && job_.tally && (candidate & kCount) != 0) {
                tallies_[k].original += count_claims(ranking == Ranking::weighted ? rank : value, block.columns);
            }
            if ((candidate & kMayWin) == 0) {
                continue;
            }
            if (!started) {
                started = true;
                for (Index j = 0; j < kBlock; ++j) {
                    best[j] = rank[j];
                    winner[j] = k;
                    shown[j] = value[j];
                }
                continue;
            }
            for (Index j = 0; j < kBlock; ++j) {
                const bool better = rank[j] > best[j];
                best[j] = better ? rank[j] : best[j];
                winner[j] = better ? k : winner[j];
                if constexpr (ranking == Ranking::weighted_logit) {
                    shown[j] = better ? value[j] : shown[j];
                }
            }
        }
        if constexpr (ranking == Ranking::weighted_logit) {
            store_with_void(block, y, winner, shown);
        } else {
            store(block, y, winner);
        }
    }

    // Channel i of the candidates at target row y; for weighted_logit, its probability.
    void blend(Index i, Index y, float* value) const {
        const float* upper = candidates_.upper + i * kBlock;
        const float* lower = candidates_.lower + i * kBlock;
        const float upper_weight = job_.rows.low_weight[y], lower_weight = job_.rows.high_weight[y];
        for (Index j = 0; j < kBlock; ++j) {
            value[j] = lerp(upper[j], upper_weight, lower[j], lower_weight);
        }
        if constexpr (ranking == Ranking::weighted_logit) {
            for (Index j = 0; j < kBlock; ++j) {
                value[j] = sigmoid_float(value[j]);
            }
        }
    }

    static std::int64_t count_claims(const float* value, Index columns) {
        std::int32_t claims = 0;
        if (columns == kBlock) {
            for (Index j = 0; j < kBlock; ++j) {
                claims += value[j] >= 0.5F ? 1 : 0;
            }
        } else {
            for (Index j = 0; j < columns; ++j) {
                claims += value[j] >= 0.5F ? 1 : 0;
            }
        }
        return claims;
    }

    void store(const Block& block, Index y, const std::int32_t* winner) {
        Label label[kBlock];
        for (Index j = 0; j < kBlock; ++j) {
            label[j] = static_cast<Label>(winner[j]);
        }
        Label* row = labels_.row(y) + block.x;
        if (block.columns == kBlock) {
            std::memcpy(row, label, sizeof label);
        } else {
            std::memcpy(row, label, static_cast<std::size_t>(block.columns) * sizeof(Label));
        }
    }

    // weighted_logit: the winner shows only where its own probability is at least 0.5.
    void store_with_void(const Block& block, Index y, const std::int32_t* winner, const float* probability) {
        Label* row = labels_.row(y) + block.x;
        for (Index j = 0; j < block.columns; ++j) {
            const std::int32_t k = winner[j];
            const bool visible = probability[j] >= 0.5F;
            row[j] = static_cast<Label>(visible ? k : static_cast<std::int32_t>(job_.channels));
            if (job_.tally) {
                Tally& tally = tallies_[k];
                ++tally.labelled;
                if (visible) {
                    ++tally.visible.area;
                    extend(tally.visible, block.x + j, block.x + j, y, y);
                }
            }
        }
    }

    const LabelJob& job_;
    const Index row_stride_;
    const BlockCandidates candidates_;
    const Map<Label> labels_;
    Tally* const tallies_;
};

}  // namespace
}  // namespace segrt
