// The source rows that labelling holds, and the bounds of what lies under each block of target pixels. See fast_table.h
// for how this file is compiled.
#pragma once

#include "kernels.h"
#include "kernels/rows_fast.h"

namespace segrt {
namespace {

class SourceRows {
public:
    // For target rows [begin, ...).
    SourceRows(const LabelJob& job, const LabelMemory& memory, Index begin)
        : job_(job),
          memory_(memory),
          blocks_((job.columns.length + kBlock - 1) / kBlock),
          narrowest_(job.source.width),
          own_row_(first_own_row(job.rows, begin)) {
        for (Index b = 0; b < blocks_; ++b) {
            const Index x = b * kBlock;
            const Index end = x + kBlock < job.columns.length ? x + kBlock : job.columns.length;
            memory.first[b] = job.columns.low[x];
            memory.last[b] = job.columns.high[end - 1];
            const Index span = memory.last[b] - memory.first[b] + 1;
            narrowest_ = span < narrowest_ ? span : narrowest_;
        }
    }

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
        for (Index k = 0; k < job_.channels; ++k) {
            const Index at = k * memory_.bound_stride;
            bound_blocks(row.values + k * memory_.row_stride, row.bounds.low + at, row.bounds.high + at);
        }
    }

private:
    // Lowest and highest value under each block, by extremes of runs whose length doubles.
    void bound_blocks(const float* values, float* block_low, float* block_high) const {
        const Index width = job_.source.width;
        float* low = memory_.sliding_low;
        float* high = memory_.sliding_high;
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
        for (Index b = 0; b < blocks_; ++b) {
            const Index first = memory_.first[b], end = memory_.last[b] - run + 1;
            float lowest = smaller(source_low[first], source_low[end]);
            float highest = larger(source_high[first], source_high[end]);
            for (Index x = first + run; x < end; x += run) {
                lowest = smaller(lowest, source_low[x]);
                highest = larger(highest, source_high[x]);
            }
            block_low[b] = lowest;
            block_high[b] = highest;
        }
    }

    const LabelJob& job_;
    const LabelMemory& memory_;
    const Index blocks_;
    Index narrowest_;  // source columns under the block that has fewest
    Index own_row_;    // rows before it are counted already, here or by the thread before
    Index held_[2] = {-1, -1};
    bool has_bounds_[2] = {false, false};
    std::int64_t nonfinite_ = 0;
};

}  // namespace
}  // namespace segrt
