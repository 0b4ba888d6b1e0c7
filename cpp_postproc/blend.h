// Semantic segmentation from several views of one picture: tiles that overlap, and the whole of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "views.h"

namespace segrt {

// Scores of shape (classes, h, w), the part of that grid which the target shows, and how much the view counts in each
// row and column of the target: the product of both; 1 everywhere where there are none.
struct ScoreView {
    FloatStack scores;
    Window window;
    std::span<const float> row_weights, column_weights;
};

// How the view of the whole and the tiles' are taken together; `things` has 1 for the classes that are things.
struct TwoViews {
    ScoreView whole;
    std::span<const std::uint8_t> things;
    bool shares = false;  // scores are parts of a sum, at least 0, and no logits
};

// The class of the highest score at every target pixel, where a score is the weighted sum of the tiles' interpolated
// scores; the lowest class wins a tie. There are at most kMostTiles tiles, all of as many classes.
//
// With the whole's view: where both have the same class, it is that. Elsewhere scores become probabilities (softmax, or
// their share of the sum); a thing's is the mean of both views', and what they leave goes to stuff, as the whole's view
// alone tells it apart. Where all classes are things, or none is, all are means.
inline constexpr Index kMostTiles = 16;
template <class Label>
void blend_map(std::span<const ScoreView> tiles, const std::optional<TwoViews>& both, int threads, Map<Label> classes);

}  // namespace segrt
