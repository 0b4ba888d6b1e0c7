// The inner loops, one table of them per instruction set. Every table gives the same results, bit for bit: the
// arithmetic is the same sequence of float32 operations (fused where torch fuses), only wider.
#pragma once

#include "bilinear.h"
#include "float_math.h"
#include "label_job.h"
#include "views.h"

namespace segrt {

// Floats that must be readable beyond the end of a row that enlarge_row reads.
constexpr Index kRowPadding = 32;

// A grid enlarged onto a rectangle of the picture: see grid_mask.h.
struct GridMask {
    const float* grid = nullptr;  // column after column to be encoded, row after row to be painted
    Axis rows, columns;           // of the target rectangle
    Index top = 0, left = 0;      // of the target rectangle in the picture
    float threshold = 0;          // a pixel belongs to the mask when its value is above

    [[nodiscard]] bool empty() const { return rows.length <= 0 || columns.length <= 0; }
};

// Target rows of a column that are evaluated together.
constexpr Index kRowsAtOnce = 16;
// Positions that may be overwritten beyond those that column_changes writes.
constexpr Index kPositionPadding = 16;

// How the target's rows lie in the grid's: rows [starts[r], starts[r + 1]) lie between grid rows r and r + 1 (the last
// one and itself). All of them lie in the cells from `first` to `last`.
struct RowCells {
    const std::int32_t* starts = nullptr;
    Index first = 0, last = 0;
    bool plain = true;  // each of them has at least one target row and at most kRowsAtOnce
    // Whether the values are finite logits cut at 0, and each cell has a target row: then there is at most one change
    // in a cell, rows_in_cell * (its share of the cell) + offsets[r] rows below the top; NaN where that does not hold.
    bool crosses_once = false;
    float rows_in_cell = 0;
    float near = 0;  // of a row: how far rounding may move a change
    const float* offsets = nullptr;
};

// On which side of the threshold the rows of a column clearly lie, however often it is interpolated between: bit r of
// `above` or of `below`, 64 to a word; neither where rounding may decide. Bit `rows` is as bit rows - 1.
struct Sides {
    std::uint64_t* above = nullptr;
    std::uint64_t* below = nullptr;
};

[[nodiscard]] constexpr Index side_words(Index rows) {
    return rows / 64 + 1;
}

// Working memory of column_changes.
struct ColumnMemory {
    float* values = nullptr;  // side_words(rows) * 64 + 1 of them
    Sides sides;
    std::uint64_t* decided = nullptr;  // side_words(rows) + 1 of them
};

// Bits of fraction of the weights of filters over bytes (PRECISION_BITS of Pillow's Resample.c).
inline constexpr int kWeightBits = 22;

// Bytes of a picture that tint_row writes at a time: whole pixels, and whole registers of every instruction set.
inline constexpr Index kTintBlock = 48;
// Pixels that are blurred, and that are looked through for lines, at a time.
inline constexpr Index kBlurShift = 4, kBlurBlock = 1 << kBlurShift, kLineBlock = 64;

// What becomes of a byte of channel c: byte * keep + light[c], rounded; `light` has kTintBlock entries, of all channels
// in turn, and `tinted` what becomes of each byte, (3, 256).
struct Tint {
    float keep = 0;
    const float* light = nullptr;
    const std::uint8_t* tinted = nullptr;
};

// How two views of a picture are taken together: see blend.h.
struct ViewJudge {
    Index classes = 0;
    const std::uint8_t* things = nullptr;  // one for each class
    bool mixed = false;                    // some classes are things and some are not
    bool shares = false;
    float* memory = nullptr;  // 2 * classes * kBlock
};

struct Kernels {
    const char* name;
    std::uint32_t needs;  // the features (kernels/features.h) that it is compiled for
    // Converts `count` values that lie `stride` bytes apart to float32, limited to +-kLargest; NaN becomes the lowest.
    // Returns how many were not finite.
    std::int64_t (*read)(const std::byte* source, FloatType type, Index stride, float* target, Index count);
    void (*sigmoid)(float* values, Index count);
    // Labels target rows [begin, end). A void pixel (Ranking::weighted_logit) gets the label `channels`.
    // Returns how many source values were not finite.
    std::int64_t (*label8)(const LabelJob& job, Index begin, Index end, Map<std::uint8_t> labels, Tally* tallies,
                           const LabelMemory& memory);
    std::int64_t (*label16)(const LabelJob& job, Index begin, Index end, Map<std::uint16_t> labels, Tally* tallies,
                            const LabelMemory& memory);
    // out[y][x] = plane interpolated, rows [begin, end).
    void (*resize)(const float* plane, const Axis& rows, const Axis& columns, Index begin, Index end, float* out);
    // out[x] = sum over i of weights[i * weight_stride] * rows[i * row_stride + x], in this order, each step fused.
    void (*combine)(const float* weights, Index weight_stride, const float* rows, Index row_stride, Index count,
                    Index width, float* out);
    // out[c * out_stride + x] = sum over i of weights[i * weight_stride + c] * rows[i * row_stride + x], c < classes,
    // in this order, each step fused: `combine` for several classes at once.
    void (*combine_classes)(const float* weights, Index weight_stride, Index classes, const float* rows,
                            Index row_stride, Index count, Index width, float* out, Index out_stride);
    // The sum of the probabilities of the logits above 0, and how many they are. Logit i is added to sum i mod 16; then
    // the sums are added in order.
    float (*sum_probabilities)(const float* logits, Index count, Index* cells);
    // The same sum in double, where it is exact whatever the order: each probability of a logit above 0 lies within
    // [0.25, 1], so that it is a multiple of 2^-25, and fewer than 2^28 of them fit a double's 53 bits. Adds to
    // `cells`.
    double (*add_probabilities)(const float* logits, Index count, Index* cells);
    // In place, by exp_below() and sums in the order that softmax.h tells; the logits are finite.
    void (*softmax)(float* logits, Index count);
    // The least of 1 and mask_decay(gaussian, sigma, overlaps[i], worst[i]) for i < count; what is no number is none.
    float (*least_decay)(bool gaussian, float sigma, const float* overlaps, const float* worst, Index count);
    // out[x * out_stride + y] = rows[y * row_stride + x], y < height, x < width.
    void (*turn)(const float* rows, Index row_stride, Index height, Index width, float* out, Index out_stride);
    // out[x] = the value between two rows.
    void (*blend_row)(const float* upper, float upper_weight, const float* lower, float lower_weight, float* out,
                      Index count);
    // ids[x] = id_of_label[labels[x]].
    void (*paint8)(const std::uint8_t* labels, const std::int32_t* id_of_label, std::int32_t* ids, Index count);
    void (*paint16)(const std::uint16_t* labels, const std::int32_t* id_of_label, std::int32_t* ids, Index count);
    // The sides of one grid column.
    void (*grid_sides)(const float* column, Index rows, float threshold, Sides sides);
    // The positions where the mask changes in target column x, whose first pixel has position `start`; `inside` is what
    // comes before it. `shared` holds the sides that both grid columns beside it have. Returns how many they are;
    // `positions` has room for one more than the target has rows, and kPositionPadding.
    Index (*column_changes)(const GridMask& mask, Index x, const RowCells& cells, Sides shared, bool inside,
                            const ColumnMemory& memory, std::uint32_t start, std::uint32_t* positions);
    // One grid row at target width; `count` is a multiple of kBlock.
    void (*enlarge_row)(const float* row, const Axis& columns, float* out, Index count);
    // Pixels of three bytes between two picture rows, as three float rows `plane_stride` apart.
    void (*blend_pixels)(const std::uint8_t* above, float above_weight, const std::uint8_t* below, float below_weight,
                         Index width, float* planes, Index plane_stride);
    // out[x * stride] = values[x] * factor + offset, fused.
    void (*normalize_row)(const float* values, float factor, float offset, float* out, Index stride, Index count);
    // out[x] = whether the value between two enlarged rows is above the threshold.
    void (*cut_row)(const float* upper, float upper_weight, const float* lower, float lower_weight, float threshold,
                    std::uint8_t* out, Index count);
    // The class with the highest score at each pixel of a row, the lowest of equal ones; classes lie `stride` apart.
    void (*highest_row)(const float* scores, Index stride, Index classes, float* best, std::int32_t* labels,
                        Index count);
    // Decides kBlock pixels of which the whole's view and the tiles' (whose classes are in `labels`) have others.
    void (*judge_views)(const ViewJudge& judge, const float* whole, const float* tiles, Index stride,
                        const std::int32_t* whole_labels, std::int32_t* labels);
    // Bit x of `bits`, 64 to a word: whether row[x] is not 0; bits beyond the row are 0. Returns how many are 1.
    std::int64_t (*pack_row)(const std::uint8_t* row, Index count, std::uint64_t* bits);
    // How many bits are 1 in both.
    std::int64_t (*count_common)(const std::uint64_t* a, const std::uint64_t* b, Index words);
    // ids[x] = id where bit x is 1; no other is touched.
    void (*paint_bits)(const std::uint64_t* bits, Index words, std::int32_t id, std::int32_t* ids);
    // out[i] = the sum over k < taps of weights[k] * first[k * stride + i], rounded from kWeightBits of fraction and
    // limited to 0 to 255.
    void (*filter_bytes)(const std::uint8_t* first, Index stride, const std::int32_t* weights, Index taps,
                         std::uint8_t* out, Index count);
    // Sets bytes to 0 that are not in the caches and need not be there afterwards.
    void (*clear_pictures)(std::uint8_t* bytes, Index count);
    // Bit x of `bits`, 64 to a word: whether pixel x of a row of `count` differs from the next; that of the last is 0.
    void (*changes8)(const std::uint8_t* row, Index count, std::uint64_t* bits);
    void (*changes16)(const std::uint16_t* row, Index count, std::uint64_t* bits);
    void (*changes32)(const std::int32_t* row, Index count, std::uint64_t* bits);
    // out[i] = image[i] * keep + the light of its channel, fused, then rounded to even, for `count` bytes of whole
    // pixels. What follows is overwritten up to the next multiple of kTintBlock, but not beyond `room` bytes.
    void (*tint_row)(const std::uint8_t* image, const Tint& tint, Index count, Index room, std::uint8_t* out);
    // levels[x] = 255 times the sum over k < taps of weights[k] * first[k * stride + x], as a share of 65536, rounded.
    // Entries of `first` are 0 to 256, all weights sum up to 256; `middle` has those whose weight is above 0. `count`
    // is a multiple of kBlurBlock.
    void (*blur_columns)(const std::uint16_t* first, Index stride, const std::uint16_t* weights, Index taps,
                         const std::uint16_t* middle, std::uint8_t* levels, Index count);
    // Lays levels over pixels of three bytes: canvas = canvas * keep / 255, rounded, + light, at most 255. `shades` has
    // an entry of eight bytes for each level: the light of three channels and a spare, then what they keep and a spare.
    // `levels` are readable up to a multiple of kBlurBlock.
    void (*lay_row)(const std::uint8_t* levels, const std::uint8_t* shades, std::uint8_t* canvas, Index count);
    // The same where all pixels have the level of this entry.
    void (*lay_even)(const std::uint8_t* shade, std::uint8_t* canvas, Index count);
    // out[x] = whether first[x + k] and second[x + k] differ for any k < taps: 0, or anything else. `count` is a
    // multiple of kLineBlock, here and below.
    void (*differ_row)(const std::uint8_t* first, const std::uint8_t* second, Index taps, std::uint8_t* out,
                       Index count);
    // out[x] = 1 where rows[k * stride + x] is not 0 for any k < taps, else 0.
    void (*any_row)(const std::uint8_t* rows, Index stride, Index taps, std::uint8_t* out, Index count);
    // Mixes each pixel with white, of which it takes weights[4 * n] / 256 for the n of the 3x3 entries of three rows
    // around x that are 1, the others being 0; n = 0 takes none. Entries before and behind the rows are read; an entry
    // of `weights` stands there three times. `levels` is memory for `count` bytes; `count` may be any number.
    void (*line_row)(const std::uint8_t* above, const std::uint8_t* here, const std::uint8_t* below,
                     const std::uint8_t* weights, std::uint8_t* levels, std::uint8_t* canvas, Index count);
};

// The readable version, used by tests to hold the others to it.
extern const Kernels kScalarKernels;
// What every processor of the architecture can do (SSE2; NEON).
extern const Kernels kBaselineKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

// The best table for this processor, or the one that was chosen.
const Kernels& kernels();

// The best table for a processor with these features.
const Kernels& best_kernels(std::uint32_t features);

// The table of this name, whether or not this processor runs it; null when this build does not have it.
const Kernels* find_kernels(const char* name);

// Chooses a table by name, for tests and benchmarks: "auto", "scalar", "baseline", "avx2" or "avx512". Throws
// std::invalid_argument when this processor or build does not have it. Not to be called while others work.
void choose_kernels(const char* name);

}  // namespace segrt
