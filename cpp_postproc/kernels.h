// The inner loops, one table of them per instruction set. Every table gives the same results, bit for bit: the
// arithmetic is the same sequence of float32 operations (with std::fma where torch fuses), only wider.
#pragma once

#include "bilinear.h"
#include "views.h"

namespace segrt {

// How the value of a channel at a pixel follows from its interpolated plane.
enum class Ranking {
    plain,           // the interpolated value
    weighted,        // score * interpolated probability; `original` counts values >= 0.5
    weighted_logit,  // score * sigmoid(interpolated logit); `original` counts probabilities >= 0.5, and a winner
                     // whose probability is below 0.5 leaves the pixel void
};

// What labelling found out about one channel.
struct Tally {
    std::int64_t labelled = 0;  // pixels where it ranks first
    std::int64_t original = 0;  // pixels that it claims by itself
    std::int64_t visible = 0;   // pixels that carry its label: `labelled` less those left void
    std::int32_t left = INT32_MAX, top = INT32_MAX, right = -1, bottom = -1;  // of the visible pixels, inclusive

    void add(const Tally& other);
};

// For every target pixel the first channel of the highest value. `planes` are finite (h, w) grids, contiguous.
struct LabelJob {
    const float* const* planes = nullptr;
    const float* weights = nullptr;  // null for Ranking::plain
    Index channels = 0;
    Axis rows, columns;
    Ranking ranking = Ranking::plain;
    bool tally = false;  // whether tallies are wanted at all
};

struct Kernels {
    const char* name;
    // Converts `count` values that lie `stride` bytes apart to float32 and makes them finite: NaN becomes the lowest
    // float, infinities the largest of their sign. Returns how many were not finite.
    std::int64_t (*read)(const std::byte* source, FloatType type, Index stride, float* target, Index count);
    void (*sigmoid)(float* values, Index count);
    // Labels target rows [begin, end). A void pixel (Ranking::weighted_logit) gets the label `channels`.
    void (*label8)(const LabelJob& job, Index begin, Index end, Map<std::uint8_t> labels, Tally* tallies);
    void (*label16)(const LabelJob& job, Index begin, Index end, Map<std::uint16_t> labels, Tally* tallies);
    // out[y][x] = plane interpolated, rows [begin, end).
    void (*resize)(const float* plane, const Axis& rows, const Axis& columns, Index begin, Index end, float* out);
};

// The readable version, used by tests to hold the others to it.
extern const Kernels kScalarKernels;

const Kernels& kernels();

}  // namespace segrt
