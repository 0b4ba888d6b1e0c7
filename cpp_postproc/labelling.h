// Labelling of a whole target: which channel is highest at every pixel, on several threads.
#pragma once

#include <span>

#include "label_job.h"
#include "views.h"

namespace segrt {

// Completes `job` with the axes from `window` to the size of `labels` and runs it. Label is std::uint8_t or
// std::uint16_t and holds `channels` too. `tallies` (one per channel, or empty) are written.
// Returns how many source values that were read are not finite.
template <class Label>
std::int64_t label_pixels(LabelJob job, const Window& window, int threads, Map<Label> labels, std::span<Tally> tallies);

}  // namespace segrt
