// Semantic segmentation: the class of the highest interpolated logit at every target pixel.
#pragma once

#include <optional>

#include "views.h"

namespace segrt {

// logits: shape (classes, h, w), at least two classes: of one, every pixel would be it. With a processed size the
// logits are enlarged to it first, what lies outside the window is cut away, and they are enlarged again (detectron2's
// sem_seg_postprocess). Returns how many values that were read are not finite. Label is std::uint8_t or std::uint16_t.
template <class Label>
std::int64_t argmax_map(const FloatStack& logits, std::optional<Window> window, std::optional<Size> processed,
                        int threads, Map<Label> classes);

}  // namespace segrt
