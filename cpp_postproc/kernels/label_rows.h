// The source rows that labelling holds, and the bounds of what lies under each block of target pixels. See fast_table.h
// for how this file is compiled.
#pragma once

#include "kernels.h"
#include "kernels/rows_fast.h"
#include "kernels/turn_fast.h"
#include "kernels/wide.h"

namespace segrt {
namespace {

// How many channels before its turn a row is asked for, and how much of it: the rest processors foresee.
constexpr Index kChannelsAhead = 4, kMostExpected = 1024, kCacheLine = 64;

class SourceRows {
public:
    // For target rows [begin, ...).
    SourceRows(const LabelJob& job, const LabelMemory& memory, Index begin)
        : job_(job),
          memory_(memory),
          blocks_((job.columns.length + kBlock - 1) / kBlock),
          own_row_(first_own_row(job.rows, begin)) {}

    // How many values that were read are not finite.
    [[nodiscard]] std::int64_t nonfinite() const { return nonfinite_; }

    // Brings a source row of all channels into memory, into another place than `keep`. Returns its place, 0 or 1.
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
            if (k + kChannelsAhead < job_.channels) {
                expect(job_.source.row(job_.images[k + kChannelsAhead], row));
            }
            float* values = memory_.rows[place].values + k * memory_.row_stride;
            const std::int64_t bad = read_row(job_.source.row(job_.images[k], row), job_.source.type,
                                              job_.source.strides[2], values, job_.source.width);
            nonfinite_ += row >= own_row_ ? bad : 0;
            if (job_.probabilities) {
                sigmoid_row(values, job_.source.width);
            }
            for (Index i = job_.source.width; i < memory_.row_stride; ++i) {
                values[i] = 0;
            }
        }
        own_row_ = row >= own_row_ ? row + 1 : own_row_;
        return place;
    }

    // Sees to it that the row in this place has its bounds.
    void bound(int place) {
        if (has_bounds_[place]) {
            return;
        }
        has_bounds_[place] = true;
        const SourceRow& row = memory_.rows[place];
        Index b = 0;
        while (b < blocks_) {
            const Index first = memory_.first[b];
            const Index stop = first + memory_.turned_columns;
            Index end = memory_.last[b] + 1, next = b + 1;
            while (next < blocks_ && memory_.last[next] < stop) {
                end = memory_.last[next] + 1;
                ++next;
            }
            turn(row.values + first, memory_.row_stride, job_.channels, end - first, memory_.turned,
                 memory_.bound_stride);
            for (; b < next; ++b) {
                bound_block(b, first, row.bounds);
            }
        }
    }

private:
    // Asks for a row of the source that is read soon: channels lie too far apart for processors to foresee it.
    void expect(const std::byte* row) const {
        const Index step = job_.source.strides[2];
        const Index bytes = job_.source.width * (step < 0 ? -step : step);
        const std::byte* begin = step < 0 ? row - (bytes + step) : row;
        for (Index at = 0; at < bytes && at < kMostExpected; at += kCacheLine) {
            __builtin_prefetch(begin + at);
        }
    }

    // Lowest and highest value of all channels under a block; the turned columns begin with source column `first`.
    void bound_block(Index b, Index first, const BlockBounds& bounds) const {
        const Index stride = memory_.bound_stride, columns = memory_.last[b] - memory_.first[b] + 1;
        const float* begin = memory_.turned + (memory_.first[b] - first) * stride;
        // To the last lane of those that are worked on together, so that all of them hold numbers.
        const Index lanes = (job_.channels + kChannelsAtOnce - 1) / kChannelsAtOnce * kChannelsAtOnce;
        for (Index k = 0; k < lanes; k += kWide) {
            WideFloat low = wide_load(begin + k), high = low;
            for (Index x = 1; x < columns; ++x) {
                const WideFloat column = wide_load(begin + x * stride + k);
                low = wide_smaller(low, column);
                high = wide_larger(high, column);
            }
            wide_store(bounds.low + b * stride + k, low);
            wide_store(bounds.high + b * stride + k, high);
        }
    }

    const LabelJob& job_;
    const LabelMemory& memory_;
    const Index blocks_;
    Index own_row_;  // rows before it are counted already, here or by the thread before
    Index held_[2] = {-1, -1};
    bool has_bounds_[2] = {false, false};
    std::int64_t nonfinite_ = 0;
};

}  // namespace
}  // namespace segrt
