// Which channel ranks first at every target pixel: label_fast.h on the GPU.
//
// A block decides 32 x 32 pixels. They lie between few cells of a coarse grid, which are read once into shared memory,
// for as many channels at a time as fit there. A warp decides 32 x 8 pixels of them: each lane bounds the ranks of one
// channel by the cells under the warp's pixels, and a channel whose upper bound is below another's lower bound is left
// out. Of the others each thread evaluates its column of 8 pixels, interpolating across once for all rows that share
// their two source rows. Arithmetic bounds this, not memory: 2 to 5 channels are left of 150 in an ordinary picture.
#pragma once

#include "column_contest.h"
#include "region_cells.h"

namespace segrt {
namespace {

constexpr int kLanes = 32, kWarps = 4;  // a block's threads
// For __launch_bounds__: 7 blocks a multiprocessor leave a thread 72 registers, which it needs, and hide what it waits
// for.
constexpr int kLabelThreads = kLanes * kWarps, kLabelBlocks = 7;
constexpr int kTileFloats = 4096;   // cells of channels that are held at once
constexpr int kTileChannels = 256;  // the most channels that are held at once
constexpr int kBoundedCells = 64;   // with more cells under a warp's pixels, bounds cost more than they save
constexpr std::uint32_t kAllLanes = ~0U;
constexpr std::int32_t kNowhere = 0x7FFFFFFF;

// What labelling finds out about one channel: `Tally` of the core; ends are inclusive.
struct RegionTally {
    std::int32_t labelled, original, area, left, top, right, bottom;
};

// How many bits the lanes of a warp have together.
SEGRT_SHARED std::int32_t count_bits(std::uint32_t bits) {
    std::int32_t count = __popc(bits);
    for (int step = kLanes / 2; step > 0; step /= 2) {
        count += __shfl_xor_sync(kAllLanes, count, step);
    }
    return count;
}

// (height, width) to be written: uint8, or uint16 where `is_wide`.
struct LabelMap {
    void* data;
    std::int32_t is_wide;

    SEGRT_SHARED void write(std::int64_t at, std::int32_t label) const {
        if (is_wide != 0) {
            static_cast<std::uint16_t*>(data)[at] = static_cast<std::uint16_t>(label);
        } else {
            static_cast<std::uint8_t*>(data)[at] = static_cast<std::uint8_t>(label);
        }
    }
};

// What labelling is asked for. `weights` lie `weight_step` floats apart.
template <class Grid>
struct RegionJob {
    Grid grid;
    Channels channels;
    std::int32_t count;
    const float* weights;
    std::int32_t weight_step;
    TargetTaps target;
    RegionTally* tallies;  // null: none are wanted

    [[nodiscard]] SEGRT_SHARED float weight(std::int32_t k) const {
        return weights == nullptr ? 1.0F : __ldg(weights + static_cast<std::int64_t>(k) * weight_step);
    }
};

template <class Grid, Ranking ranking>
class RegionLabeller {
public:
    SEGRT_SHARED RegionLabeller(const RegionJob<Grid>& job, std::int32_t block_x, std::int32_t block_y)
        : job_(job),
          lane_(static_cast<std::int32_t>(threadIdx.x)),
          warp_(static_cast<std::int32_t>(threadIdx.y)),
          block_left_(block_x * kLanes),
          block_top_(block_y * (kWarps * kRowsEach)),
          top_(block_top_ + warp_ * kRowsEach),
          contest_(job.target, block_left_ + lane_, top_) {}

    // Labels the block's pixels; a pixel without a claim (weighted_logit) gets the label `count`.
    SEGRT_SHARED void run(const LabelMap& labels) {
        const TargetTaps& target = job_.target;
        const std::int32_t bottom = min(block_top_ + kWarps * kRowsEach, target.height);
        const std::int32_t right = min(block_left_ + kLanes, target.width);
        const CellRectangle cells = cells_under(target, block_top_, bottom, block_left_, right);
        const CellRectangle own =
            is_empty() ? cells : cells_under(target, top_, min(top_ + kRowsEach, bottom), block_left_, right);
        compete(cells, own);
        write(labels);
        if (job_.tallies != nullptr) {
            tally();
        }
    }

private:
    [[nodiscard]] SEGRT_SHARED bool is_empty() const { return top_ >= job_.target.height; }

    // `held` are the cells under the block's pixels, `own` those under the warp's.
    SEGRT_SHARED void compete(const CellRectangle& held, const CellRectangle& own) {
        __shared__ float values[kTileFloats];
        if (static_cast<std::int64_t>(held.height) * held.width >= kTileFloats) {
            compete_untiled(values);
            return;
        }
        Cells cells{held, values, 0};
        const std::int32_t at_once = min(kTileFloats / cells.stride(), kTileChannels);
        const bool bounded = job_.count > 1 && own.cells() <= kBoundedCells;
        float best_low = -2 * kLargest;
        for (; cells.first < job_.count; cells.first += at_once) {
            const std::int32_t count = min(at_once, job_.count - cells.first);
            __syncthreads();  // until the channels before are done with
            fill(cells, values, count);
            __syncthreads();
            if (!is_empty()) {
                compete_among(cells, own, count, bounded, best_low);
            }
        }
    }

    // A grid much finer than the target has nothing to be shared: each thread brings its own rows to shared memory.
    SEGRT_SHARED void compete_untiled(float* values) {
        constexpr std::int32_t kThreads = kLanes * kWarps;
        static_assert(2 * kRowsEach * kThreads <= kTileFloats);
        float* own = values + warp_ * kLanes + lane_;
        for (std::int32_t k = 0; k < job_.count && !is_empty(); ++k) {
            const std::int32_t image = job_.channels.image(k);
            SEGRT_NO_UNROLL
            for (int r = 0; r < kRowsEach; ++r) {
                const AcrossRows rows = across(contest_.tap(r), contest_.column, [&](std::int32_t y, std::int32_t x) {
                    return job_.grid.cell(image, y, x);
                });
                own[2 * r * kThreads] = rows.upper;
                own[(2 * r + 1) * kThreads] = rows.lower;
            }
            const std::uint32_t claims = contest_.enter(k, job_.weight(k), true, [&](int r) {
                return AcrossRows{own[2 * r * kThreads], own[(2 * r + 1) * kThreads]};
            });
            count_claims(k, claims);
        }
    }

    // The block's threads read `count` channels; neighbours read neighbouring cells.
    SEGRT_SHARED void fill(const Cells& cells, float* values, std::int32_t count) const {
        constexpr std::int32_t kThreads = kLanes * kWarps;
        const CellRectangle& held = cells.held;
        const std::int32_t each = held.cells(), thread = warp_ * kLanes + lane_;
        const std::int32_t channels_at_once = max(kThreads / each, 1), start = thread / each;
        if (start >= channels_at_once) {
            return;
        }
        for (std::int32_t cell = thread - start * each; cell < each; cell += kThreads) {
            const std::int32_t y = held.top + cell / held.width, x = held.left + cell % held.width;
            SEGRT_UNROLL_BY(Grid::kLoadsAtOnce)
            for (std::int32_t k = start; k < count; k += channels_at_once) {
                values[k * cells.stride() + cell] = job_.grid.cell(job_.channels.image(cells.first + k), y, x);
            }
        }
    }

    // Lets those of `count` channels compete that may win, and counts claims of those that may claim some pixels.
    // `best_low` is the highest lower bound of the channels before.
    SEGRT_SHARED void compete_among(const Cells& cells, const CellRectangle& own, std::int32_t count, bool bounded,
                                    float& best_low) {
        __shared__ float highest[kWarps][kTileChannels];
        __shared__ std::uint32_t claimants[kWarps][kTileChannels / kLanes];
        if (bounded) {
            bound(cells, own, count, highest[warp_], claimants[warp_], best_low);
        }
        for (std::int32_t base = 0; base < count; base += kLanes) {
            const bool rival = base + lane_ < count && (!bounded || highest[warp_][base + lane_] >= best_low);
            const std::uint32_t rivals = __ballot_sync(kAllLanes, rival);
            const std::uint32_t some = bounded ? claimants[warp_][base / kLanes] : rivals;
            for (std::uint32_t left = rivals | some; left != 0; left &= left - 1) {
                const std::int32_t bit = __ffs(left) - 1, k = base + bit, channel = cells.first + k;
                const bool may_win = (rivals >> bit & 1U) != 0;
                const std::uint32_t claims = contest_.enter(channel, job_.weight(channel), may_win, [&](int r) {
                    return across(contest_.tap(r), contest_.column,
                                  [&](std::int32_t y, std::int32_t x) { return cells.cell(k, y, x); });
                });
                if ((some >> bit & 1U) != 0) {
                    count_claims(channel, claims);
                }
            }
        }
    }

    // Writes the upper bound of each channel's ranks, and as bits which of them may claim some of the warp's pixels.
    SEGRT_SHARED void bound(const Cells& cells, const CellRectangle& own, std::int32_t count, float* highest,
                            std::uint32_t* claimants, float& best_low) const {
        for (std::int32_t base = 0; base < count; base += kLanes) {
            const std::int32_t k = base + lane_;
            bool claims_some = false;
            if (k < count) {
                const Bounds value = bounds_of(cells, own, k);
                const Bounds rank = rank_bounds<ranking>(value, job_.weight(cells.first + k));
                highest[k] = rank.high;
                best_low = rank.low > best_low ? rank.low : best_low;
                claims_some = bound_claim(cells.first + k, ranking == Ranking::weighted_logit ? value : rank);
            }
            const std::uint32_t some = __ballot_sync(kAllLanes, claims_some);
            if (lane_ == 0) {
                claimants[base / kLanes] = some;
            }
        }
        for (int step = kLanes / 2; step > 0; step /= 2) {
            const float other = __shfl_xor_sync(kAllLanes, best_low, step);
            best_low = other > best_low ? other : best_low;
        }
        __syncwarp();
    }

    SEGRT_SHARED static Bounds bounds_of(const Cells& cells, const CellRectangle& own, std::int32_t k) {
        const float* row = cells.values + k * cells.stride() + (own.top - cells.held.top) * cells.held.width +
                           (own.left - cells.held.left);
        float low = row[0], high = row[0];
        for (std::int32_t y = 0; y < own.height; ++y, row += cells.held.width) {
            for (std::int32_t x = 0; x < own.width; ++x) {
                low = row[x] < low ? row[x] : low;
                high = row[x] > high ? row[x] : high;
            }
        }
        return interpolated_bounds(low, high);
    }

    // One lane, one channel: whether its claims have to be looked at pixel by pixel. All or none are counted at once.
    SEGRT_SHARED bool bound_claim(std::int32_t channel, Bounds bounds) const {
        if (ranking == Ranking::plain || job_.tallies == nullptr) {
            return false;
        }
        const Claim claim = claim_of<ranking>(bounds);
        if (claim == Claim::all) {
            atomicAdd(&job_.tallies[channel].original, pixels());
        }
        return claim == Claim::some;
    }

    // Of the warp's pixels, those of the target.
    [[nodiscard]] SEGRT_SHARED std::int32_t pixels() const {
        return min(kRowsEach, job_.target.height - top_) * min(kLanes, job_.target.width - block_left_);
    }

    SEGRT_SHARED void count_claims(std::int32_t channel, std::uint32_t claims) const {
        if (ranking == Ranking::plain || job_.tallies == nullptr) {
            return;
        }
        const std::int32_t count = count_bits(claims);
        if (lane_ == 0 && count > 0) {
            atomicAdd(&job_.tallies[channel].original, count);
        }
    }

    SEGRT_SHARED void write(const LabelMap& labels) const {
        SEGRT_UNROLL
        for (int r = 0; r < kRowsEach; ++r) {
            if ((contest_.inside >> r & 1U) != 0) {
                const bool visible = ranking != Ranking::weighted_logit || (contest_.claimed >> r & 1U) != 0;
                labels.write(static_cast<std::int64_t>(top_ + r) * job_.target.width + block_left_ + lane_,
                             visible ? contest_.winner[r] : job_.count);
            }
        }
    }

    // Counts and boxes the warp's pixels, one winner after the other: seldom more than three.
    SEGRT_SHARED void tally() const {
        std::uint32_t todo = contest_.inside;
        for (std::uint32_t lanes = __ballot_sync(kAllLanes, todo != 0); lanes != 0;
             lanes = __ballot_sync(kAllLanes, todo != 0)) {
            std::int32_t mine = 0;
            SEGRT_UNROLL
            for (int r = kRowsEach - 1; r >= 0; --r) {
                mine = (todo >> r & 1U) != 0 ? contest_.winner[r] : mine;
            }
            const std::int32_t k = __shfl_sync(kAllLanes, mine, __ffs(lanes) - 1);
            RegionTally found{0, 0, 0, kNowhere, kNowhere, -1, -1};
            std::uint32_t columns = 0;
            SEGRT_UNROLL
            for (int r = 0; r < kRowsEach; ++r) {
                const bool is_k = (todo >> r & 1U) != 0 && contest_.winner[r] == k;
                const std::uint32_t labelled = __ballot_sync(kAllLanes, is_k);
                std::uint32_t visible = labelled;
                if constexpr (ranking == Ranking::weighted_logit) {
                    visible = __ballot_sync(kAllLanes, is_k && (contest_.claimed >> r & 1U) != 0);
                }
                todo = is_k ? todo & ~(1U << r) : todo;
                found.labelled += __popc(labelled);
                found.area += __popc(visible);
                columns |= visible;
                if (visible != 0) {
                    found.top = min(found.top, top_ + r);
                    found.bottom = top_ + r;
                }
            }
            if (columns != 0) {
                found.left = block_left_ + __ffs(columns) - 1;
                found.right = block_left_ + 31 - __clz(columns);
            }
            if (lane_ == 0) {
                add(found, job_.tallies[k]);
            }
        }
    }

    SEGRT_SHARED static void add(const RegionTally& found, RegionTally& total) {
        atomicAdd(&total.labelled, found.labelled);
        if (found.area == 0) {
            return;
        }
        atomicAdd(&total.area, found.area);
        atomicMin(&total.left, found.left);
        atomicMin(&total.top, found.top);
        atomicMax(&total.right, found.right);
        atomicMax(&total.bottom, found.bottom);
    }

    const RegionJob<Grid>& job_;
    const std::int32_t lane_, warp_, block_left_, block_top_, top_;
    ColumnContest<ranking> contest_;
};

// Grid (ceil(width / 32), ceil(height / 32)), block (32, 4).
template <Ranking ranking, class Grid>
SEGRT_SHARED void label_regions(const RegionJob<Grid>& job, const LabelMap& labels) {
    RegionLabeller<Grid, ranking>(job, static_cast<std::int32_t>(blockIdx.x), static_cast<std::int32_t>(blockIdx.y))
        .run(labels);
}

}  // namespace
}  // namespace segrt
