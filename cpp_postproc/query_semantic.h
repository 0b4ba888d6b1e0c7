// Semantic segmentation from queries: MaskFormer's and Mask2Former's rule.
#pragma once

#include <optional>

#include "views.h"

namespace segrt {

// class score of a grid cell: sum over queries of softmax(class_logits)[class] * sigmoid(mask_logits)[cell], "no
// object" left out; interpolated to the target, the highest of at least two wins. With a processed size the mask logits
// are enlarged to it first, and cells are those of that size (Mask2Former, EoMT). Returns how many values are not
// finite.
template <class Label>
std::int64_t query_semantic(const FloatTable& class_logits, const FloatStack& mask_logits, std::optional<Window> window,
                            std::optional<Size> processed, int threads, Map<Label> classes);

}  // namespace segrt
