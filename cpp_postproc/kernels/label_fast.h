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
// Corners are compared where a block lies between fewer columns than this: otherwise evaluation is as quick.
constexpr Index kNarrowBlock = kBlock / 2;

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
        } else if (bands_to_skip_ > 0) {
            --bands_to_skip_;
        }
        Index evaluated = 0, blocks = 0;
        for (Index x = 0; x < job_.columns.length; x += kBlock) {
            const Index columns = x + kBlock < job_.columns.length ? kBlock : job_.columns.length - x;
            const Block block{x, columns, top, bottom};
            const Candidates listed = prune ? prune_block(blocks, block, above, below) : all_candidates();
            if (listed.count > 0) {
                writer_.evaluate(block, listed, memory_.rows[above].values, memory_.rows[below].values);
            }
            evaluated += listed.count;
            ++blocks;
        }
        if (prune && static_cast<float>(evaluated) > kPruningFails * static_cast<float>(blocks * job_.channels)) {
            bands_to_skip_ = kBandsWithoutPruning;
        }
    }

    [[nodiscard]] Candidates all_candidates() const {
        for (Index k = 0; k < job_.channels; ++k) {
            memory_.candidates.channels[k] = static_cast<std::int32_t>(k) | kMayWin | kCount;
        }
        return {job_.channels, job_.channels};
    }

    // Fills block b where bounds decide it; else lists the channels to be evaluated.
    Candidates prune_block(Index b, const Block& block, int above, int below) {
        const SourceRow &upper = memory_.rows[above], &lower = memory_.rows[below];
        bounds_.mark(b, upper.bounds, lower.bounds);
        Candidates listed = list_candidates(block);
        if (ranking != Ranking::weighted_logit && listed.rivals > 1 &&
            memory_.last[b] - memory_.first[b] < kNarrowBlock) {
            drop_beaten(b, listed, upper.values, lower.values);
        }
        std::int32_t* channels = memory_.candidates.channels;
        if (listed.count == 1 && listed.rivals == 1 && (channels[0] & kCount) == 0) {
            const std::int32_t winner = channels[0] & kChannel;
            const Claim shown = ranking == Ranking::weighted_logit ? bounds_.claim(winner) : Claim::all;
            if (shown != Claim::some) {
                writer_.fill(block, winner, shown == Claim::all);
                return {};
            }
        }
        for (Index i = listed.rivals; i < listed.count; ++i) {
            channels[i] = only_counted()[i - listed.rivals];
        }
        return listed;
    }

    // Where candidates that cannot win are gathered before they follow those that may.
    [[nodiscard]] std::int32_t* only_counted() const { return memory_.candidates.channels + job_.channels; }

    // Lists the channels that may win, and apart from them those whose claims alone must be counted; those that claim
    // the whole block are counted here.
    Candidates list_candidates(const Block& block) {
        const bool claims = ranking != Ranking::plain && job_.tally;
        Index rivals = 0, others = 0;
        for (Index first = 0; first < job_.channels; first += kChannelsAtOnce) {
            const ChannelMarks& marks = bounds_.marks(first / kChannelsAtOnce);
            const std::uint32_t some = claims ? marks.claims_some : 0;
            for (std::uint32_t left = marks.may_win; left != 0; left &= left - 1) {
                const int j = __builtin_ctz(left);
                const std::int32_t counted = ((some >> static_cast<std::uint32_t>(j)) & 1U) != 0 ? kCount : 0;
                memory_.candidates.channels[rivals++] = (static_cast<std::int32_t>(first) + j) | kMayWin | counted;
            }
            for (std::uint32_t left = some & ~marks.may_win; left != 0; left &= left - 1) {
                only_counted()[others++] = (static_cast<std::int32_t>(first) + __builtin_ctz(left)) | kCount;
            }
            for (std::uint32_t left = claims ? marks.claims_all : 0; left != 0; left &= left - 1) {
                tallies_[first + __builtin_ctz(left)].original += block.pixels();
            }
        }
        return {rivals, rivals + others};
    }

    // Takes from the channels that may win what one of them beats at every corner.
    void drop_beaten(Index b, Candidates& listed, const float* above, const float* below) {
        std::int32_t* channels = memory_.candidates.channels;
        std::int32_t leader = channels[0] & kChannel;
        float highest = bounds_.middle(leader);
        for (Index i = 1; i < listed.rivals; ++i) {
            const std::int32_t k = channels[i] & kChannel;
            const float middle = bounds_.middle(k);
            leader = middle > highest ? k : leader;
            highest = middle > highest ? middle : highest;
        }
        Index left = 0, others = listed.count - listed.rivals;
        for (Index i = 0; i < listed.rivals; ++i) {
            // Which are beaten is not foreseeable, so nothing is branched on.
            const std::int32_t candidate = channels[i], k = candidate & kChannel;
            const bool beaten = bounds_.is_beaten(k, leader, b, above, below) && k != leader;
            channels[left] = candidate;
            only_counted()[others] = candidate & ~kMayWin;
            left += beaten ? 0 : 1;
            others += beaten && (candidate & kCount) != 0 ? 1 : 0;
        }
        listed = {left, left + others};
    }

    const LabelJob& job_;
    const LabelMemory& memory_;
    Tally* const tallies_;
    SourceRows rows_;
    BlockBounding<ranking> bounds_;
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
