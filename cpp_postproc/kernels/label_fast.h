// Labelling by pruning. See fast_table.h for how this file is compiled.
//
// An interpolated value never exceeds its corners. The target is worked on in blocks: kBlock pixels wide, and as high
// as the rows that share their two source rows. The lowest and highest corner of a channel bound its values in the
// block; a channel whose upper bound is below another's lower bound cannot win there. Where one channel is left the
// block is filled, elsewhere those left are evaluated pixel by pixel, with the same arithmetic as without pruning.
#pragma once

#include "kernels.h"
#include "kernels/label_block.h"
#include "kernels/label_bounds.h"
#include "kernels/label_rows.h"
#include "kernels/label_tally.h"

namespace segrt {
namespace {

// With more than this share of the channels left to evaluate, bounds are a waste; they are tried again now and then.
constexpr float kPruningFails = 0.7F;
constexpr int kBandsWithoutPruning = 8;

template <class Label, Ranking ranking>
class Labeller {
public:
    Labeller(const LabelJob& job, const LabelMemory& memory, Index begin, Map<Label> labels, Tally* tallies)
        : job_(job),
          memory_(memory),
          tallies_(tallies),
          rows_(job, memory, begin),
          bounds_(job, memory),
          writer_(job, memory, labels, tallies) {}

    // Target rows [begin, end), `begin` being the constructor's.
    std::int64_t run(Index begin, Index end) {
        Index top = begin;
        while (top < end) {
            Index bottom = top + 1;
            while (bottom < end && bottom - top < kHighestBand && job_.rows.low[bottom] == job_.rows.low[top]) {
                ++bottom;
            }
            label_band(top, bottom);
            top = bottom;
        }
        return rows_.nonfinite();
    }

private:
    void label_band(Index top, Index bottom) {
        const int above = rows_.fetch(job_.rows.low[top], -1);
        const int below = rows_.fetch(job_.rows.high[top], above);
        const bool prune = job_.channels > 1 && bands_to_skip_ == 0;
        if (prune) {
            rows_.bound(above);
            rows_.bound(below);
            bounds_.bound(memory_.rows[above].bounds, memory_.rows[below].bounds);
        } else if (bands_to_skip_ > 0) {
            --bands_to_skip_;
        }
        Index evaluated = 0, blocks = 0;
        for (Index x = 0; x < job_.columns.length; x += kBlock) {
            const Index columns = x + kBlock < job_.columns.length ? kBlock : job_.columns.length - x;
            const Block block{x, columns, top, bottom};
            const Index count = prune ? prune_block(blocks, block) : all_candidates();
            if (count > 0) {
                writer_.evaluate(block, count, memory_.rows[above].values, memory_.rows[below].values);
            }
            evaluated += count;
            ++blocks;
        }
        if (prune && static_cast<float>(evaluated) > kPruningFails * static_cast<float>(blocks * job_.channels)) {
            bands_to_skip_ = kBandsWithoutPruning;
        }
    }

    [[nodiscard]] Index all_candidates() const {
        for (Index k = 0; k < job_.channels; ++k) {
            memory_.candidates.channels[k] = static_cast<std::int32_t>(k) | kMayWin | kCount;
        }
        return job_.channels;
    }

    // Fills block b where bounds decide it; else lists the channels to be evaluated. Returns how many they are.
    Index prune_block(Index b, const Block& block) {
        const bool claims = ranking != Ranking::plain && job_.tally;
        const bool decided = bounds_.decided(b);
        if (decided && !claims && ranking != Ranking::weighted_logit) {
            writer_.fill(block, bounds_.winner(b), true);
            return 0;
        }
        bool open = !decided;
        Index count = 0;
        for (Index k = 0; k < job_.channels; ++k) {
            std::int32_t marks = bounds_.may_win(k, b) ? kMayWin : 0;
            if (claims) {
                const Claim claimed = bounds_.claim(k, b);
                if (claimed == Claim::all) {
                    tallies_[k].original += block.pixels();
                }
                marks |= claimed == Claim::some ? kCount : 0;
            }
            if (marks != 0) {
                memory_.candidates.channels[count++] = static_cast<std::int32_t>(k) | marks;
                open = open || (marks & kCount) != 0;
            }
        }
        if (!open) {
            const Claim shown = ranking == Ranking::weighted_logit ? bounds_.claim(bounds_.winner(b), b) : Claim::all;
            if (shown != Claim::some) {
                writer_.fill(block, bounds_.winner(b), shown == Claim::all);
                return 0;
            }
        }
        return count;
    }

    const LabelJob& job_;
    const LabelMemory& memory_;
    Tally* const tallies_;
    SourceRows rows_;
    BandBounds<ranking> bounds_;
    BlockWriter<Label, ranking> writer_;
    int bands_to_skip_ = 0;
};

template <class Label>
inline std::int64_t label(const LabelJob& job, Index begin, Index end, Map<Label> labels, Tally* tallies,
                          const LabelMemory& memory) {
    switch (job.ranking) {
        case Ranking::weighted:
            return Labeller<Label, Ranking::weighted>(job, memory, begin, labels, tallies).run(begin, end);
        case Ranking::weighted_logit:
            return Labeller<Label, Ranking::weighted_logit>(job, memory, begin, labels, tallies).run(begin, end);
        case Ranking::plain:
            break;
    }
    return Labeller<Label, Ranking::plain>(job, memory, begin, labels, tallies).run(begin, end);
}

}  // namespace
}  // namespace segrt
