#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "axis_part.h"
#include "box_edges.h"
#include "column_grid.h"
#include "grid_mask.h"
#include "instances.h"
#include "kernels.h"
#include "rle.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// The whole numbers in [low, high) from 0 to `length`.
Stretch whole_numbers(float low, float high, Index length) {
    const auto limit = static_cast<std::int32_t>(length);
    const std::int32_t begin = whole_from(low, limit);
    return {begin, std::max(whole_from(high, limit), begin)};
}

// Grid cells whose index lies in [low, high), of a box edge pair given in picture pixels.
Stretch cells_between(float low, float high, Index length, const Extent& shown, Index picture_length) {
    const float first = static_cast<float>(shown.begin);
    const float ratio = static_cast<float>(shown.end - shown.begin) / static_cast<float>(picture_length);
    return whole_numbers(grid_edge(low, first, ratio), grid_edge(high, first, ratio), length);
}

// One axis from the grid to the picture, over the size in between where there is one.
struct Way {
    Axis first;   // from grid cells to what is shown of the size in between; empty without one
    Axis second;  // to picture pixels
};

Way way_to_picture(ScratchFrame& frame, Index cells, const Extent& shown, const Index* processed, Index length) {
    if (processed == nullptr) {
        return {{}, bilinear_axis(frame, cells, shown, length)};
    }
    const double scale = static_cast<double>(*processed) / static_cast<double>(cells);
    const Extent scaled{shown.begin * scale, shown.end * scale};
    const Stretch cut = touched(scaled, *processed);
    const Axis whole = bilinear_axis(frame, cells, {0, static_cast<double>(cells)}, *processed);
    return {part_of(whole, cut), bilinear_axis(frame, cut.length(), shifted(scaled, cut), length)};
}

// What a stretch of pixels needs of one axis: cells, and the two steps from these alone.
struct Steps {
    Stretch cells;
    Axis first, second;

    Steps(ScratchFrame& frame, const Way& way, Stretch pixels) {
        const Stretch between = sources_of(way.second, pixels);
        second = rebased(frame, way.second, pixels, between);
        cells = between;
        if (way.first.length > 0) {
            cells = sources_of(way.first, between);
            first = rebased(frame, way.first, between, cells);
        }
    }
};

class Prototypes {
public:
    // Reads all prototypes, column after column, as codes run: grids[p][x * height + y].
    Prototypes(ScratchFrame& frame, const FloatStack& stack, Size size, const PrototypeMaskOptions& options,
               std::span<std::int64_t> nonfinite)
        : count_(stack.count), height_(stack.height), width_(stack.width), size_(size) {
        float* grids = frame.take<float>(count_ * height_ * width_).data();
        parallel_for(options.threads, count_, 1, [&](Index begin, Index end, int slot) {
            for (Index p = begin; p < end; ++p) {
                nonfinite[static_cast<std::size_t>(slot)] += read_columns(stack, p, grids + p * width_ * height_);
            }
        });
        grids_ = grids;
        shown_ = options.window.value_or(whole_window({height_, width_}));
        const bool stepwise = options.processed.has_value() && !options.compat;
        const Size processed = options.processed.value_or(Size{});
        rows_ = way_to_picture(frame, height_, shown_.rows, stepwise ? &processed.height : nullptr, size.height);
        columns_ = way_to_picture(frame, width_, shown_.columns, stepwise ? &processed.width : nullptr, size.width);
    }

    // The pixels of the box alone, from the cells that they need.
    [[nodiscard]] GridMask within(ScratchFrame& frame, const float* weights, const std::array<float, 4>& box) const {
        const Stretch across = whole_numbers(box[0], box[2], size_.width);
        const Stretch down = whole_numbers(box[1], box[3], size_.height);
        if (across.length() <= 0 || down.length() <= 0) {
            return {};
        }
        const Steps columns(frame, columns_, across), rows(frame, rows_, down);
        const Index height = rows.cells.length();
        float* grid = frame.take<float>(columns.cells.length() * height).data();
        combine(weights, columns.cells, rows.cells, grid, height);
        if (columns.first.length > 0) {
            float* enlarged = frame.take<float>(columns.first.length * rows.first.length).data();
            // The grid lies column after column, so that what the kernel takes for rows are its columns.
            kernels().resize(grid, columns.first, rows.first, 0, columns.first.length, enlarged);
            grid = enlarged;
        }
        return {.grid = grid, .rows = rows.second, .columns = columns.second, .top = down.begin, .left = across.begin};
    }

    // The whole picture, from a grid that is 0 outside the box.
    [[nodiscard]] GridMask cut_first(ScratchFrame& frame, const float* weights, const std::array<float, 4>& box) const {
        const Stretch across = cells_between(box[0], box[2], width_, shown_.columns, size_.width);
        const Stretch down = cells_between(box[1], box[3], height_, shown_.rows, size_.height);
        float* grid = frame.filled<float>(width_ * height_, 0.0F).data();
        combine(weights, across, down, grid + across.begin * height_ + down.begin, height_);
        return {.grid = grid, .rows = rows_.second, .columns = columns_.second};
    }

private:
    // Columns of the sum, `step` apart from `out` on.
    void combine(const float* weights, Stretch across, Stretch down, float* out, Index step) const {
        for (Index x = across.begin; x < across.end && down.length() > 0; ++x) {
            kernels().combine(weights, 1, grids_ + x * height_ + down.begin, height_ * width_, count_, down.length(),
                              out + (x - across.begin) * step);
        }
    }

    Index count_, height_, width_;
    Size size_;
    const float* grids_ = nullptr;
    Window shown_;
    Way rows_, columns_;
};

void check(const FloatStack& prototypes, const FloatTable& coefficients, const FloatTable& boxes,
           const PrototypeMaskOptions& options) {
    if (coefficients.columns != prototypes.count || coefficients.rows != boxes.rows || boxes.columns != 4) {
        throw std::invalid_argument(
            "prototypes must have shape (P, h, w), coefficients (N, P) and boxes (N, 4), but have " +
            std::to_string(prototypes.count) + " prototypes, coefficients (" + std::to_string(coefficients.rows) +
            ", " + std::to_string(coefficients.columns) + ") and boxes (" + std::to_string(boxes.rows) + ", " +
            std::to_string(boxes.columns) + ")");
    }
    if (prototypes.count < 1 || prototypes.height < 1 || prototypes.width < 1) {
        throw std::invalid_argument("prototypes must have shape (P, h, w), none empty");
    }
    if (options.processed && (options.processed->height < 1 || options.processed->width < 1)) {
        throw std::invalid_argument("processed must be (height, width), each at least 1");
    }
}

}  // namespace

std::int64_t prototype_masks_rle(const FloatStack& prototypes, const FloatTable& coefficients, const FloatTable& boxes,
                                 Size size, const PrototypeMaskOptions& options, std::vector<std::string>& codes) {
    check(prototypes, coefficients, boxes, options);
    ScratchFrame frame;
    const auto nonfinite = frame.filled<std::int64_t>(options.threads, 0);
    const Prototypes shapes(frame, prototypes, size, options, nonfinite);
    codes.assign(static_cast<std::size_t>(boxes.rows), {});
    parallel_for(options.threads, boxes.rows, 1, [&](Index begin, Index end, int slot) {
        thread_local std::vector<std::uint32_t> counts;
        std::int64_t& bad = nonfinite[static_cast<std::size_t>(slot)];
        for (Index i = begin; i < end; ++i) {
            ScratchFrame local;
            const auto weights = local.take<float>(prototypes.count);
            std::array<float, 4> box{};
            const std::int64_t bad_edges = kernels().read(boxes.row(i), boxes.type, boxes.strides[1], box.data(), 4);
            bad += bad_edges + kernels().read(coefficients.row(i), coefficients.type, coefficients.strides[1],
                                              weights.data(), prototypes.count);
            GridMask mask;
            if (bad_edges == 0) {
                mask = options.compat ? shapes.cut_first(local, weights.data(), box)
                                      : shapes.within(local, weights.data(), box);
            }
            encode_grid_mask(mask, size.height, size.width, counts);
            codes[static_cast<std::size_t>(i)] = pack_counts(counts);
        }
    });
    return sum(nonfinite);
}

}  // namespace segrt
