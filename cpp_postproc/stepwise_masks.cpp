#include <algorithm>
#include <optional>
#include <stdexcept>

#include "axis_part.h"
#include "grid_mask.h"
#include "instances.h"
#include "kernels.h"
#include "rle.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// One axis from grid cells over the size in between to picture pixels.
struct Way {
    Axis first, second;

    Way(ScratchFrame& frame, Index cells, Index processed, Extent shown, Index length) {
        const Stretch cut = touched(shown, processed);
        first = part_of(bilinear_axis(frame, cells, {0, static_cast<double>(cells)}, processed), cut);
        second = bilinear_axis(frame, cut.length(), shifted(shown, cut), length);
    }
};

// The targets that look at any of the sources.
Stretch looking_at(const Axis& axis, Stretch sources) {
    Stretch targets{0, axis.length};
    while (targets.begin < targets.end && axis.high[targets.begin] < sources.begin) {
        ++targets.begin;
    }
    while (targets.end > targets.begin && axis.low[targets.end - 1] >= sources.end) {
        --targets.end;
    }
    return targets;
}

// What the pixels that look at some cells need of one axis.
struct Part {
    Stretch pixels;
    Axis first, second;

    Part(ScratchFrame& frame, const Way& way, Stretch cells) {
        const Stretch reached = looking_at(way.first, cells);
        pixels = reached.length() > 0 ? looking_at(way.second, reached) : Stretch{};
        if (pixels.length() > 0) {
            const Stretch between = sources_of(way.second, pixels);
            first = part_of(way.first, between);
            second = rebased(frame, way.second, pixels, between);
        }
    }
};

// The rows and columns of cells above the threshold; elsewhere an enlarged mask is not above it.
struct LiveCells {
    Stretch rows, columns;

    LiveCells(const float* plane, Index height, Index width, float threshold) : rows{height, 0}, columns{width, 0} {
        for (Index y = 0; y < height; ++y) {
            for (Index x = 0; x < width; ++x) {
                if (plane[y * width + x] > threshold) {
                    rows = {std::min(rows.begin, y), y + 1};
                    columns = {std::min(columns.begin, x), std::max(columns.end, x + 1)};
                }
            }
        }
    }
};

}  // namespace

std::int64_t stepwise_masks_rle(const FloatStack& masks, const StepwiseMasks& steps, Size size, int threads,
                                std::vector<std::string>& codes) {
    const Index height = masks.height, width = masks.width;
    if (height < 1 || width < 1 || steps.processed.height < 1 || steps.processed.width < 1) {
        throw std::invalid_argument("masks must have shape (N, h, w), and processed be (height, width), none below 1");
    }
    ScratchFrame frame;
    const Way rows(frame, height, steps.processed.height, steps.window.rows, size.height);
    const Way columns(frame, width, steps.processed.width, steps.window.columns, size.width);
    const auto nonfinite = frame.filled<std::int64_t>(threads, 0);
    codes.assign(static_cast<std::size_t>(masks.count), {});
    parallel_for(threads, masks.count, 1, [&](Index begin, Index end, int slot) {
        thread_local std::vector<std::uint32_t> counts;
        ScratchFrame local;
        float* plane = local.take<float>(height * width).data();
        for (Index i = begin; i < end; ++i) {
            ScratchFrame own;
            for (Index y = 0; y < height; ++y) {
                nonfinite[static_cast<std::size_t>(slot)] +=
                    kernels().read(masks.row(i, y), masks.type, masks.strides[2], plane + y * width, width);
            }
            const LiveCells live(plane, height, width, steps.threshold);
            GridMask mask;
            if (live.rows.length() > 0) {
                const Part down(own, rows, live.rows), across(own, columns, live.columns);
                if (down.pixels.length() > 0 && across.pixels.length() > 0) {
                    const Index high = down.first.length, wide = across.first.length;
                    float* enlarged = own.take<float>(high * wide).data();
                    kernels().resize(plane, down.first, across.first, 0, high, enlarged);
                    float* grid = own.take<float>(high * wide).data();
                    for (Index y = 0; y < high; ++y) {
                        for (Index x = 0; x < wide; ++x) {
                            grid[x * high + y] = enlarged[y * wide + x];
                        }
                    }
                    mask = {.grid = grid,
                            .rows = down.second,
                            .columns = across.second,
                            .top = down.pixels.begin,
                            .left = across.pixels.begin,
                            .threshold = steps.threshold};
                }
            }
            encode_grid_mask(mask, size.height, size.width, counts);
            codes[static_cast<std::size_t>(i)] = pack_counts(counts);
        }
    });
    return sum(nonfinite);
}

}  // namespace segrt
