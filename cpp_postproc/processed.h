// The size at which the peers take masks and scores before they bring them to the picture's ("processed size").
#pragma once

#include <cstdint>

#include "bilinear.h"
#include "scratch.h"
#include "views.h"

namespace segrt {

// A grid enlarged to the processed size, less what lies outside its window: that is padding, and a second resize must
// not blend it in.
struct Processed {
    Axis rows, columns;  // of the part that is left; both with the padding that was asked for
    Window window;       // what the target shows of that part

    [[nodiscard]] Size size() const { return {rows.length, columns.length}; }
};

Processed processed_part(ScratchFrame& frame, Size grid, const Window& window, Size processed, Index padding = 0);

// The entries of an axis from `begin` on.
[[nodiscard]] Axis axis_from(Axis axis, Index begin, Index length);

// How many values are not finite in the rows of all images that the axis looks at, counted once.
[[nodiscard]] std::int64_t count_nonfinite(const FloatStack& stack, const Axis& rows, int threads);

// Resizes rows of a stack's images one by one: bilinear, across first, as torch does.
class ResizedRows {
public:
    // `columns` must have kBlock entries of padding. The memory is taken from `frame`.
    ResizedRows(ScratchFrame& frame, const FloatStack& stack, const Axis& rows, const Axis& columns);

    // Writes rows [begin, end) of an image: out[(y - begin) * stride + x].
    void make(Index image, Index begin, Index end, float* out, Index stride);

private:
    const FloatStack& stack_;
    Axis rows_, columns_;
    float* source_;
    float* wide_[2];
    Index wide_length_;
};

}  // namespace segrt
