// A mask with soft edges: blurred by a kernel in both directions, row by row, from its runs. Where all that the kernel
// sees is inside, or nothing is, no pixel is looked at.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels.h"
#include "mask_runs.h"
#include "scratch.h"
#include "views.h"

namespace segrt {

// The sums along a row that rise from 0 to 256, block by block.
struct SoftStep {
    const std::uint16_t* values = nullptr;  // a block of 0, those in which they rise, a block of 256
    Index first = 0, last = 0;  // the block of 0 is block `first` of the row, that of 256 follows `last` later

    [[nodiscard]] const std::uint16_t* of(Index block) const {
        return values + std::clamp<Index>(block - first, 0, last) * kBlurBlock;
    }
};

// The kernel: `weights` are odd in number, 256 in all, that in the middle above 0; else std::invalid_argument.
class SoftEdge {
public:
    explicit SoftEdge(std::span<const std::uint16_t> weights);

    [[nodiscard]] Index taps() const { return static_cast<Index>(twice_.size() / 2); }
    [[nodiscard]] Index radius() const { return taps() / 2; }
    // The weights for rows in a ring of taps(), of which entry `first` is the oldest: weights turn, not rows.
    [[nodiscard]] const std::uint16_t* turned(Index first) const { return twice_.data() + taps() - first; }
    // The sums along a row whose pixels from `begin` on are inside.
    [[nodiscard]] SoftStep step(Index begin) const {
        const Index first = begin - radius(), block = first >> kBlurShift;
        return {steps_.data() + (first - block * kBlurBlock) * blocks_ * kBlurBlock, block - 1, blocks_ - 1};
    }

private:
    Index blocks_ = 0;
    std::vector<std::uint16_t> twice_, steps_;
};

struct PicturePart {
    Index top = 0, left = 0, height = 0, width = 0;
};

// Pixels [begin, end) of a row: their levels, 0 to 255; none where all are 255.
struct SoftStretch {
    Index begin = 0, end = 0;
    const std::uint8_t* levels = nullptr;
};

class SoftMask {
public:
    // `runs` are by line and begin and do not overlap, within the picture; else std::invalid_argument. Pixels at the
    // picture's border go on beyond it.
    SoftMask(ScratchFrame& frame, std::span<const LineRun> runs, bool by_columns, Size picture, const SoftEdge& edge);

    // What the blurred mask reaches; empty where there is no pixel.
    [[nodiscard]] const PicturePart& part() const { return part_; }

    // The stretches of the part's next row, from left to right; between them all levels are 0. Levels are readable up
    // to a multiple of kBlurBlock.
    std::span<const SoftStretch> next_row();

private:
    void add_row(Index y);
    void add_run(const LineRun& run);

    const SoftEdge& edge_;
    Size picture_;
    Index taps_, radius_;
    std::span<const LineRun> runs_;  // by rows
    PicturePart part_;
    Index blocks_ = 0, y_ = 0, first_line_ = 0;
    std::span<Index> starts_;        // of each row from first_line_ on, in runs_
    std::span<std::uint16_t> sums_;  // of the newest rows, a ring
    Index newest_ = 0;               // its newest entry
    std::span<std::uint8_t> levels_;
    std::span<std::uint8_t> kinds_, before_, seen_;  // of each block in the newest row, the one before, all of the ring
    std::span<Index> even_;                          // in so many rows up to the newest a block has been of its kind
    std::span<SoftStretch> stretches_;
};

}  // namespace segrt
