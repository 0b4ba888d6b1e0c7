// The labels of one block, all alike or pixel by pixel. See fast_table.h for how this file is compiled.
#pragma once

#include <cstring>

#include "float_math.h"
#include "kernels.h"
#include "kernels/interpolate.h"
#include "kernels/label_tally.h"
#include "kernels/wide.h"

namespace segrt {
namespace {

// A candidate is a channel with two marks: may win, and must be counted for `original`.
constexpr std::int32_t kMayWin = 1 << 30, kCount = 1 << 29, kChannel = kCount - 1;

// How many candidates are listed: those that may win, then those that are only counted.
struct Candidates {
    Index rivals = 0, count = 0;
};

// Target rows that are evaluated together: as many as registers hold the best of.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr Index kRowsTogether = 5;
#else
constexpr Index kRowsTogether = 3;
#endif

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

    // The candidates are compared pixel by pixel between two source rows.
    void evaluate(const Block& block, Candidates listed, const float* above, const float* below) {
        interpolate(block.x, listed.count, above, below);
        evaluate_all(block, listed);
        if (ranking != Ranking::weighted_logit && job_.tally) {
            for (Index i = 0; i < listed.rivals; ++i) {
                const std::int32_t k = candidates_.channels[i] & kChannel;
                tally_block(tallies_[k], labels_, block, static_cast<Label>(k));
            }
        }
    }

private:
    void interpolate(Index begin, Index count, const float* above, const float* below) const {
        const Axis& axis = job_.columns;
        for (Index j = 0; j < kBlock; j += kWide) {
            const Index x = begin + j;
            const WideTaps taps(axis.low + x, axis.high + x, axis.low_weight + x, axis.high_weight + x);
            for (Index i = 0; i < count; ++i) {
                const Index at = (candidates_.channels[i] & kChannel) * row_stride_;
                wide_store(candidates_.upper + i * kBlock + j, taps.of(above + at));
                wide_store(candidates_.lower + i * kBlock + j, taps.of(below + at));
            }
        }
    }

    void evaluate_all(const Block& block, Candidates listed) {
        Index y = block.top;
        if constexpr (ranking == Ranking::weighted_logit) {
            for (; y < block.bottom; ++y) {
                evaluate_with_void(block, listed, y);
            }
        } else {
            for (; y + kRowsTogether <= block.bottom; y += kRowsTogether) {
                evaluate_rows<kRowsTogether>(block, listed, y);
            }
            for (; y + 2 <= block.bottom; y += 2) {
                evaluate_rows<2>(block, listed, y);
            }
            for (; y < block.bottom; ++y) {
                evaluate_rows<1>(block, listed, y);
            }
        }
    }

    // What candidate i is ranked by at kWide pixels of some rows.
    template <Index rows>
    struct WideRanks {
        WideFloat of[rows];

        WideRanks(const BlockWriter& writer, Index i, Index x, const WideFloat* upper_weight,
                  const WideFloat* lower_weight) {
            const BlockCandidates& candidates = writer.candidates_;
            const WideFloat upper = wide_load(candidates.upper + i * kBlock + x);
            const WideFloat lower = wide_load(candidates.lower + i * kBlock + x);
            for (Index r = 0; r < rows; ++r) {
                of[r] = wide_fused(upper, upper_weight[r], wide_product(lower, lower_weight[r]));
            }
            if constexpr (ranking == Ranking::weighted) {
                const WideFloat weight = wide_all(writer.job_.weights[candidates.channels[i] & kChannel]);
                for (Index r = 0; r < rows; ++r) {
                    of[r] = wide_product(of[r], weight);
                }
            }
        }
    };

    // Counts the pixels that candidate i claims, where that is wanted: which is not foreseeable, so all are looked at.
    template <Index rows>
    void count_claims(Index i, const WideRanks<rows>& ranks, std::uint32_t lanes) {
        if constexpr (ranking == Ranking::weighted) {
            if (!job_.tally) {
                return;
            }
            const std::int32_t candidate = candidates_.channels[i];
            std::int64_t claims = 0;
            for (Index r = 0; r < rows; ++r) {
                claims += __builtin_popcount(wide_bits(wide_reaches(ranks.of[r], wide_all(0.5F))) & lanes);
            }
            tallies_[candidate & kChannel].original += (candidate & kCount) != 0 ? claims : 0;
        }
    }

    // Target rows [y, y + rows), which stay in registers while the candidates pass.
    template <Index rows>
    void evaluate_rows(const Block& block, Candidates listed, Index y) {
        WideFloat upper_weight[rows], lower_weight[rows];
        for (Index r = 0; r < rows; ++r) {
            upper_weight[r] = wide_all(job_.rows.low_weight[y + r]);
            lower_weight[r] = wide_all(job_.rows.high_weight[y + r]);
        }
        std::int32_t winners[rows][kBlock];
        const Index end = block.columns < kBlock ? block.columns : kBlock;
        for (Index x = 0; x < end; x += kWide) {
            const std::uint32_t lanes = end - x < kWide ? (1U << static_cast<std::uint32_t>(end - x)) - 1 : ~0U;
            WideFloat best[rows], winner[rows];
            for (Index r = 0; r < rows; ++r) {
                best[r] = wide_all(-INFINITY);
                winner[r] = wide_all(0);
            }
            for (Index i = 0; i < listed.rivals; ++i) {
                const std::int32_t k = candidates_.channels[i] & kChannel;
                const WideRanks<rows> ranks(*this, i, x, upper_weight, lower_weight);
                const WideFloat channel = wide_all(static_cast<float>(k));  // exact: fewer than 2^16 are labelled
                for (Index r = 0; r < rows; ++r) {
                    const WideMask better = wide_above(ranks.of[r], best[r]);
                    best[r] = wide_choose(better, ranks.of[r], best[r]);
                    winner[r] = wide_choose(better, channel, winner[r]);
                }
                count_claims(i, ranks, lanes);
            }
            for (Index i = listed.rivals; i < listed.count; ++i) {
                count_claims(i, WideRanks<rows>(*this, i, x, upper_weight, lower_weight), lanes);
            }
            for (Index r = 0; r < rows; ++r) {
                float channels[kWide];
                wide_store(channels, winner[r]);
                for (Index j = 0; j < kWide; ++j) {
                    winners[r][x + j] = static_cast<std::int32_t>(channels[j]);
                }
            }
        }
        for (Index r = 0; r < rows; ++r) {
            store(block, y + r, winners[r]);
        }
    }

    // weighted_logit: by the probabilities, of which one below 0.5 leaves a pixel void.
    void evaluate_with_void(const Block& block, Candidates listed, Index y) {
        float best[kBlock], shown[kBlock];  // of the winner: rank, and value before weighting
        std::int32_t winner[kBlock];
        bool started = false;
        for (Index i = 0; i < listed.count; ++i) {
            const std::int32_t candidate = candidates_.channels[i];
            const std::int32_t k = candidate & kChannel;
            float value[kBlock], rank[kBlock];
            probabilities(i, y, value);
            const float weight = job_.weights[k];
            for (Index j = 0; j < kBlock; ++j) {
                rank[j] = value[j] * weight;
            }
            if (job_.tally && (candidate & kCount) != 0) {
                tallies_[k].original += count_claims(value, block.columns);
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
                shown[j] = better ? value[j] : shown[j];
            }
        }
        store_with_void(block, y, winner, shown);
    }

    // The probabilities of candidate i at target row y.
    void probabilities(Index i, Index y, float* value) const {
        const float* upper = candidates_.upper + i * kBlock;
        const float* lower = candidates_.lower + i * kBlock;
        const float upper_weight = job_.rows.low_weight[y], lower_weight = job_.rows.high_weight[y];
        for (Index j = 0; j < kBlock; ++j) {
            value[j] = sigmoid_float(lerp(upper[j], upper_weight, lower[j], lower_weight));
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
