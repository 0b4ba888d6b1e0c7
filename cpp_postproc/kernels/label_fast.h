// Labelling by pruning. See fast_table.h for how this file is compiled.
//
// An interpolated value never exceeds its corners. The target is worked on in blocks: kBlock pixels wide, and as high
// as the rows that share their two source rows. The lowest and highest corner of a channel bound its values in the
// block; a channel whose upper bound is below another's lower bound cannot win there. Where one channel is left the
// block is filled, elsewhere those left are evaluated pixel by pixel, with the same arithmetic as without pruning.
#pragma once

#include "float_math.h"
#include "kernels.h"
#include "kernels/interpolate.h"
#include "kernels/rows_fast.h"

namespace segrt {
namespace {

// Interpolation rounds: bounds are widened by this share of the larger corner.
constexpr float kBoundSlack = 2e-6F;
// Logits this far from 0 have a probability that is safely on their side of 0.5.
constexpr float kLogitSlack = 1e-3F;
// With more than this share of the channels left to evaluate, bounds are a waste; they are tried again now and then.
constexpr float kPruningFails = 0.7F;
constexpr int kBandsWithoutPruning = 8;
// Counts of a column of a block fit a byte.
constexpr Index kHighestBand = 128;

struct Bounds {
    float low, high;
};

inline Index blocks_of(const LabelJob& job) {
    return (job.columns.length + kBlock - 1) / kBlock;
}
inline Index padded_width(const LabelJob& job) {
    return (job.source.width + 2 * kRowPadding - 1) / kRowPadding * kRowPadding;
}

inline Index label_memory(const LabelJob& job) {
    const Index blocks = blocks_of(job), width = padded_width(job);
    const Index padded_blocks = (blocks + 15) / 16 * 16;
    return 2 * job.channels * width            // source rows
           + 6 * job.channels * padded_blocks  // bounds of rows and of the band
           + 2 * width + 8 * padded_blocks     // sliding extremes, block table
           + 2 * job.channels * kBlock         // interpolated rows of a block
           + 2 * job.channels + 64;
}

template <class Label, Ranking ranking>
class Labeller {
public:
    Labeller(const LabelJob& job, Map<Label> labels, Tally* tallies, float* memory)
        : job_(job),
          labels_(labels),
          tallies_(tallies),
          blocks_(blocks_of(job)),
          width_(padded_width(job)),
          padded_blocks_((blocks_ + 15) / 16 * 16) {
        for (int i = 0; i < 2; ++i) {
            rows_[i] = take(memory, job.channels * width_);
            row_low_[i] = take(memory, job.channels * padded_blocks_);
            row_high_[i] = take(memory, job.channels * padded_blocks_);
        }
        band_low_ = take(memory, job.channels * padded_blocks_);
        band_high_ = take(memory, job.channels * padded_blocks_);
        sliding_low_ = take(memory, width_);
        sliding_high_ = take(memory, width_);
        best_low_ = take(memory, padded_blocks_);
        first_ = take_ints(memory, padded_blocks_);
        last_ = take_ints(memory, padded_blocks_);
        rivals_ = take_ints(memory, padded_blocks_);
        winner_ = take_ints(memory, padded_blocks_);
        upper_ = take(memory, job.channels * kBlock);
        lower_ = take(memory, job.channels * kBlock);
        candidates_ = take_ints(memory, job.channels);
        list_source_columns();
    }

    std::int64_t run(Index begin, Index end) {
        own_row_ = first_own_row(job_.rows, begin);
        Index top = begin;
        while (top < end) {
            Index bottom = top + 1;
            while (bottom < end && bottom - top < kHighestBand && job_.rows.low[bottom] == job_.rows.low[top]) {
                ++bottom;
            }
            label_band(top, bottom);
            top = bottom;
        }
        return nonfinite_;
    }

private:
    static constexpr bool kClaims = ranking != Ranking::plain;

    static float* take(float*& memory, Index count) {
        float* taken = memory;
        memory += count;
        return taken;
    }
    static std::int32_t* take_ints(float*& memory, Index count) {
        return reinterpret_cast<std::int32_t*>(take(memory, count));
    }

    // Source columns [first_, last_] lie under each block.
    void list_source_columns() {
        narrowest_ = job_.source.width;
        for (Index b = 0; b < blocks_; ++b) {
            const Index x = b * kBlock;
            const Index end = x + kBlock < job_.columns.length ? x + kBlock : job_.columns.length;
            first_[b] = job_.columns.low[x];
            last_[b] = job_.columns.high[end - 1];
            const Index span = last_[b] - first_[b] + 1;
            narrowest_ = span < narrowest_ ? span : narrowest_;
        }
    }

    // Brings a source row of all channels into memory, with the bounds of its blocks. Returns its place, 0 or 1.
    int fetch(Index row, int keep) {
        for (int place = 0; place < 2; ++place) {
            if (held_[place] == row) {
                return place;
            }
        }
        const int place = keep == 0 ? 1 : 0;
        held_[place] = row;
        has_bounds_[place] = false;
        for (Index k = 0; k < job_.channels; ++k) {
            float* values = rows_[place] + k * width_;
            const std::int64_t bad = read_row(job_.source.row(job_.images[k], row), job_.source.type,
                                              job_.source.strides[2], values, job_.source.width);
            nonfinite_ += row >= own_row_ ? bad : 0;
            if (job_.probabilities) {
                sigmoid_row(values, job_.source.width);
            }
            for (Index i = job_.source.width; i < width_; ++i) {
                values[i] = 0;
            }
        }
        own_row_ = row >= own_row_ ? row + 1 : own_row_;
        return place;
    }

    // Lowest and highest value under each block, by extremes of runs whose length doubles.
    void bound_row(int place) {
        if (has_bounds_[place]) {
            return;
        }
        has_bounds_[place] = true;
        for (Index k = 0; k < job_.channels; ++k) {
            const float* values = rows_[place] + k * width_;
            const Index width = job_.source.width;
            float* low = sliding_low_;
            float* high = sliding_high_;
            const float* source_low = values;
            const float* source_high = values;
            Index run = 1;
            while (2 * run <= narrowest_) {
                for (Index x = 0; x + run < width; ++x) {
                    low[x] = smaller(source_low[x], source_low[x + run]);
                    high[x] = larger(source_high[x], source_high[x + run]);
                }
                source_low = low;
                source_high = high;
                run *= 2;
            }
            float* block_low = row_low_[place] + k * padded_blocks_;
            float* block_high = row_high_[place] + k * padded_blocks_;
            for (Index b = 0; b < blocks_; ++b) {
                const Index end = last_[b] - run + 1;
                float lowest = smaller(source_low[first_[b]], source_low[end]);
                float highest = larger(source_high[first_[b]], source_high[end]);
                for (Index x = first_[b] + run; x < end; x += run) {
                    lowest = smaller(lowest, source_low[x]);
                    highest = larger(highest, source_high[x]);
                }
                block_low[b] = lowest;
                block_high[b] = highest;
            }
        }
    }

    // The bounds of the interpolated values of channel k between two source rows.
    static Bounds widen(float low, float high) {
        const float magnitude = larger(__builtin_fabsf(low), __builtin_fabsf(high));
        return {fused(-kBoundSlack, magnitude, low), fused(kBoundSlack, magnitude, high)};
    }

    // The bounds of what channels are ranked by.
    Bounds ranked(Bounds value, float weight) const {
        if constexpr (ranking == Ranking::weighted) {
            return {value.low * weight, value.high * weight};
        } else if constexpr (ranking == Ranking::weighted_logit) {
            return {sigmoid_float(value.low) * weight * (1 - kBoundSlack),
                    sigmoid_float(value.high) * weight * (1 + kBoundSlack)};
        } else {
            return value;
        }
    }

    // Block by block: bounds of every channel, how many channels may win, and the last of them.
    void bound_band(int above, int below) {
        for (Index b = 0; b < blocks_; ++b) {
            best_low_[b] = -INFINITY;
            rivals_[b] = 0;
            winner_[b] = 0;
        }
        for (Index k = 0; k < job_.channels; ++k) {
            const Index at = k * padded_blocks_;
            const float* low0 = row_low_[above] + at;
            const float* low1 = row_low_[below] + at;
            const float* high0 = row_high_[above] + at;
            const float* high1 = row_high_[below] + at;
            float* low = band_low_ + at;
            float* high = band_high_ + at;
            const float weight = kClaims ? job_.weights[k] : 1.0F;
            for (Index b = 0; b < blocks_; ++b) {
                const Bounds value = widen(smaller(low0[b], low1[b]), larger(high0[b], high1[b]));
                const Bounds rank = ranked(value, weight);
                // Claims of weighted_logit are decided on the logits themselves.
                low[b] = ranking == Ranking::weighted_logit ? value.low : rank.low;
                high[b] = ranking == Ranking::weighted_logit ? value.high : rank.high;
                best_low_[b] = larger(best_low_[b], rank.low);
            }
        }
        for (Index k = 0; k < job_.channels; ++k) {
            const float* high = band_high_ + k * padded_blocks_;
            const float weight = kClaims ? job_.weights[k] : 1.0F;
            const auto channel = static_cast<std::int32_t>(k);
            for (Index b = 0; b < blocks_; ++b) {
                const bool rival = upper_rank(high[b], weight) >= best_low_[b];
                rivals_[b] += rival ? 1 : 0;
                winner_[b] = rival ? channel : winner_[b];
            }
        }
    }

    static float upper_rank(float high, float weight) {
        return ranking == Ranking::weighted_logit ? sigmoid_float(high) * weight * (1 + kBoundSlack) : high;
    }

    enum class Claim { none, all, some };

    Claim claim(Index k, Index b) const {
        const float low = band_low_[k * padded_blocks_ + b], high = band_high_[k * padded_blocks_ + b];
        const float all = ranking == Ranking::weighted_logit ? kLogitSlack : 0.5F;
        const float none = ranking == Ranking::weighted_logit ? -kLogitSlack : 0.5F;
        return low >= all ? Claim::all : high < none ? Claim::none : Claim::some;
    }

    struct Block {
        Index x, columns, top, bottom;
        [[nodiscard]] std::int64_t pixels() const { return columns * (bottom - top); }
    };

    void label_band(Index top, Index bottom) {
        const int above = fetch(job_.rows.low[top], -1);
        const int below = fetch(job_.rows.high[top], above);
        const bool prune = job_.channels > 1 && bands_to_skip_ == 0;
        if (prune) {
            bound_row(above);
            bound_row(below);
            bound_band(above, below);
        } else if (bands_to_skip_ > 0) {
            --bands_to_skip_;
        }
        Index evaluated = 0;
        for (Index b = 0; b < blocks_; ++b) {
            const Index x = b * kBlock;
            const Index columns = x + kBlock < job_.columns.length ? kBlock : job_.columns.length - x;
            evaluated += label_block(b, {x, columns, top, bottom}, above, below, prune);
        }
        if (prune && static_cast<float>(evaluated) > kPruningFails * static_cast<float>(blocks_ * job_.channels)) {
            bands_to_skip_ = kBandsWithoutPruning;
        }
    }

    // Candidates carry two marks: may win, and must be counted for `original`.
    static constexpr std::int32_t kMayWin = 1 << 30, kCount = 1 << 29, kChannel = kCount - 1;

    // Returns how many channels were evaluated.
    Index label_block(Index b, const Block& block, int above, int below, bool prune) {
        const bool claims = kClaims && job_.tally;
        Index count = 0;
        if (!prune) {
            for (Index k = 0; k < job_.channels; ++k) {
                candidates_[count++] = static_cast<std::int32_t>(k) | kMayWin | kCount;
            }
        } else {
            const bool decided = rivals_[b] == 1;
            if (decided && !claims && ranking != Ranking::weighted_logit) {
                fill(block, winner_[b], true);
                return 0;
            }
            bool open = !decided;
            for (Index k = 0; k < job_.channels; ++k) {
                const float weight = kClaims ? job_.weights[k] : 1.0F;
                std::int32_t marks =
                    upper_rank(band_high_[k * padded_blocks_ + b], weight) >= best_low_[b] ? kMayWin : 0;
                if (claims) {
                    const Claim claimed = claim(k, b);
                    if (claimed == Claim::all) {
                        tallies_[k].original += block.pixels();
                    }
                    marks |= claimed == Claim::some ? kCount : 0;
                }
                if (marks != 0) {
                    candidates_[count++] = static_cast<std::int32_t>(k) | marks;
                    open = open || (marks & kCount) != 0;
                }
            }
            if (!open) {
                const bool visible = ranking != Ranking::weighted_logit || claim(winner_[b], b) != Claim::none;
                if (ranking != Ranking::weighted_logit || claim(winner_[b], b) != Claim::some) {
                    fill(block, winner_[b], visible);
                    return 0;
                }
            }
        }
        for (Index i = 0; i < count; ++i) {
            const Index k = candidates_[i] & kChannel;
            interpolate_block(rows_[above] + k * width_, block.x, upper_ + i * kBlock);
            interpolate_block(rows_[below] + k * width_, block.x, lower_ + i * kBlock);
        }
        evaluate(block, count);
        return count;
    }

    void interpolate_block(const float* row, Index x, float* out) const {
        const Axis& axis = job_.columns;
        interpolate_row(row, axis.low + x, axis.high + x, axis.low_weight + x, axis.high_weight + x, out, kBlock);
    }

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

    // Not a method of Region, whose one copy in the program must be for every processor.
    static void extend(Region& region, Index left, Index right, Index top, Index bottom) {
        const auto l = static_cast<std::int32_t>(left), r = static_cast<std::int32_t>(right);
        const auto t = static_cast<std::int32_t>(top), b = static_cast<std::int32_t>(bottom);
        region.left = l < region.left ? l : region.left;
        region.right = r > region.right ? r : region.right;
        region.top = t < region.top ? t : region.top;
        region.bottom = b > region.bottom ? b : region.bottom;
    }

    void evaluate(const Block& block, Index count) {
        for (Index y = block.top; y < block.bottom; ++y) {
            float best[kBlock], shown[kBlock];  // of the winner: rank, and value before weighting
            std::int32_t winner[kBlock];
            bool started = false;
            for (Index i = 0; i < count; ++i) {
                const std::int32_t candidate = candidates_[i];
                const std::int32_t k = candidate & kChannel;
                float value[kBlock], rank[kBlock];
                blend(i, y, value);
                const float weight = kClaims ? job_.weights[k] : 1.0F;
                for (Index j = 0; j < kBlock; ++j) {
                    rank[j] = kClaims ? value[j] * weight : value[j];
                }
                if (kClaims && job_.tally && (candidate & kCount) != 0) {
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
        if (ranking != Ranking::weighted_logit && job_.tally) {
            for (Index i = 0; i < count; ++i) {
                if ((candidates_[i] & kMayWin) != 0) {
                    tally_block(block, static_cast<Label>(candidates_[i] & kChannel));
                }
            }
        }
    }

    // Channel i of the candidates at target row y; for weighted_logit, its probability.
    void blend(Index i, Index y, float* value) const {
        const float* upper = upper_ + i * kBlock;
        const float* lower = lower_ + i * kBlock;
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

    // Counts the pixels of a label in a block that has just been stored.
    void tally_block(const Block& block, Label k) {
        std::uint8_t in_column[kBlock] = {};
        for (Index y = block.top; y < block.bottom; ++y) {
            const Label* label = labels_.row(y) + block.x;
            if (block.columns == kBlock) {
                for (Index j = 0; j < kBlock; ++j) {
                    in_column[j] = static_cast<std::uint8_t>(in_column[j] + (label[j] == k ? 1 : 0));
                }
            } else {
                for (Index j = 0; j < block.columns; ++j) {
                    in_column[j] = static_cast<std::uint8_t>(in_column[j] + (label[j] == k ? 1 : 0));
                }
            }
        }
        std::int32_t pixels = 0;
        for (Index j = 0; j < kBlock; ++j) {
            pixels += in_column[j];
        }
        if (pixels == 0) {
            return;
        }
        Tally& tally = tallies_[k];
        tally.labelled += pixels;
        Region& visible = tally.visible;
        visible.area += pixels;
        if (block.x < visible.left || block.x + block.columns - 1 > visible.right || block.top < visible.top ||
            block.bottom - 1 > visible.bottom) {
            extend_to(visible, block, k, in_column);
        }
    }

    // The exact extent of a label within a block, looked for only where it may be news.
    void extend_to(Region& region, const Block& block, Label k, const std::uint8_t* in_column) const {
        Index left = 0, right = block.columns - 1, top = block.top, bottom = block.bottom - 1;
        while (in_column[left] == 0) {
            ++left;
        }
        while (in_column[right] == 0) {
            --right;
        }
        while (!row_has(block, top, k)) {
            ++top;
        }
        while (!row_has(block, bottom, k)) {
            --bottom;
        }
        extend(region, block.x + left, block.x + right, top, bottom);
    }

    bool row_has(const Block& block, Index y, Label k) const {
        const Label* label = labels_.row(y) + block.x;
        bool has = false;
        for (Index j = 0; j < block.columns; ++j) {
            has = has || label[j] == k;
        }
        return has;
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
    const Map<Label> labels_;
    Tally* const tallies_;
    const Index blocks_, width_, padded_blocks_;
    Index narrowest_ = 1;
    float* rows_[2];                    // [channel][column], the two source rows that a band lies between
    float *row_low_[2], *row_high_[2];  // [channel][block]
    float *band_low_, *band_high_;
    float *sliding_low_, *sliding_high_;
    float* best_low_;  // [block]: the highest lower bound
    std::int32_t *first_, *last_, *rivals_, *winner_;
    float *upper_, *lower_;  // [candidate][pixel of the block]
    std::int32_t* candidates_;
    Index held_[2] = {-1, -1};
    bool has_bounds_[2] = {false, false};
    Index own_row_ = 0;
    int bands_to_skip_ = 0;
    std::int64_t nonfinite_ = 0;
};

template <class Label>
inline std::int64_t label(const LabelJob& job, Index begin, Index end, Map<Label> labels, Tally* tallies,
                          float* memory) {
    switch (job.ranking) {
        case Ranking::weighted:
            return Labeller<Label, Ranking::weighted>(job, labels, tallies, memory).run(begin, end);
        case Ranking::weighted_logit:
            return Labeller<Label, Ranking::weighted_logit>(job, labels, tallies, memory).run(begin, end);
        case Ranking::plain:
            break;
    }
    return Labeller<Label, Ranking::plain>(job, labels, tallies, memory).run(begin, end);
}

}  // namespace
}  // namespace segrt
