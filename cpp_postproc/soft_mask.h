// A mask with soft edges: blurred by a kernel in both directions, row by row, from its runs. Where all that the kernel
// sees is inside, or nothing is, no pixel is looked at.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mask_runs.h"
#include "scratch.h"
#include "views.h"

namespace segrt {

// The kernel: `weights` are odd in number, 256 in all, that in the middle above 0; else std::invalid_argument.
class SoftEdge {
public:
    explicit SoftEdge(std::span<const std::uint16_t> weights);

    [[nodiscard]] Index taps() const { return static_cast<Index>(twice_.size() / 2); }
    [[nodiscard]] Index radius() const { return taps() / 2; }
    // The weights for rows in a ring of taps(), of which entry `first` is the oldest: weights turn, not rows.
    [[nodiscard]] const std::uint16_t* turned(Index first) const { return twice_.data() + (taps() - first) % taps(); }
    // Entry i is the sum at the pixel i - radius() beside the first one inside: what is seen of the inside from there.
    [[nodiscard]] std::span<const std::uint16_t> rise() const { return rise_; }

private:
    std::vector<std::uint16_t> twice_, rise_;
};

struct PicturePart {
    Index top = 0, left = 0, height = 0, width = 0;
};

class SoftMask {
public:
    // `runs` are by line and begin and do not overlap, within the picture; else std::invalid_argument. Pixels at the
    // picture's border go on beyond it.
    SoftMask(ScratchFrame& frame, std::span<const LineRun> runs, bool by_columns, Size picture, const SoftEdge& edge);

    // What the blurred mask reaches; empty where there is no pixel.
    [[nodiscard]] const PicturePart& part() const { return part_; }

    // The levels, 0 to 255, of the part's next row; what follows the part's width is of no meaning.
    std::span<const std::uint8_t> next_row();

private:
    void add_row(Index y);
    void add_run(const LineRun& run, std::uint16_t* sums);
    [[nodiscard]] std::uint16_t* row(Index y) const { return sums_.data() + (y + taps_) % taps_ * count_; }

    const SoftEdge& edge_;
    Size picture_;
    Index taps_, radius_;
    std::span<const LineRun> runs_;  // by rows
    PicturePart part_;
    Index count_ = 0, blocks_ = 0, y_ = 0, first_line_ = 0;
    std::span<Index> starts_;        // of each row from first_line_ on, in runs_
    std::span<std::uint16_t> sums_;  // of the newest rows, each where its number modulo taps says
    std::span<std::uint8_t> levels_, kinds_;
    std::span<Index> full_, empty_;  // for so many rows up to the newest a block has been so
};

}  // namespace segrt
