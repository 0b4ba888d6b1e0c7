// The masks of the kept queries: images of a stack, and the part of its grid that the target shows.
#pragma once

#include <cstdint>
#include <span>

#include "class_scores.h"
#include "scratch.h"
#include "views.h"

namespace segrt {

struct QueryMasks {
    FloatStack stack;
    std::span<std::int32_t> images;  // one for each kept query
    Window window;
};

// As the network gives them.
QueryMasks masks_of(ScratchFrame& frame, std::span<const ScoredQuery> kept, const FloatStack& mask_logits,
                    const Window& window);

// The peers' first resize, of the whole grid to the size the network saw. What lies outside the window is padding and
// is cut away, so that the second resize does not blend it in. Adds to `nonfinite` the values that are not finite.
QueryMasks resized_masks(ScratchFrame& frame, const QueryMasks& masks, Size processed, int threads,
                         std::int64_t& nonfinite);

}  // namespace segrt
