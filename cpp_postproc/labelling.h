// Labelling of a whole target: which channel is highest at every pixel, on several threads.
#pragma once

#include <span>

#include "kernels.h"
#include "scratch.h"

namespace segrt {

// The part of a grid that the target shows, in grid pixels.
struct Window {
    Extent rows, columns;
};

struct Size {
    Index height = 0, width = 0;
};

[[nodiscard]] inline Window whole_window(Size grid) {
    return {{0, static_cast<double>(grid.height)}, {0, static_cast<double>(grid.width)}};
}

// How many rows a thread takes at a time: all when alone, else enough pieces to even out their different costs.
Index rows_per_chunk(Index rows, int threads);

// Completes `job` with the axes from `window` to the size of `labels` and runs it. Label is std::uint8_t or
// std::uint16_t and holds `channels` too. `tallies` (one per channel, or empty) are written.
// Returns how many source values that were read are not finite.
template <class Label>
std::int64_t label_pixels(LabelJob job, const Window& window, int threads, Map<Label> labels, std::span<Tally> tallies);

// Sums what threads counted apart.
std::int64_t sum(std::span<const std::int64_t> numbers);

}  // namespace segrt
