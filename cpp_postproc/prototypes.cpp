#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "grid_mask.h"
#include "instances.h"
#include "kernels.h"
#include "rle.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// Grid cells whose index lies in [low, high), of a box edge pair given in picture pixels.
struct Cells {
    Index begin = 0, end = 0;

    Cells(float low, float high, Index length, const Extent& shown, Index picture_length) {
        const float first = static_cast<float>(shown.begin);
        const float ratio = static_cast<float>(shown.end - shown.begin) / static_cast<float>(picture_length);
        const auto limit = [length](float cell) {
            return static_cast<Index>(std::clamp(std::ceil(cell), 0.0F, static_cast<float>(length)));
        };
        begin = limit(first + low * ratio);
        end = std::max(limit(first + high * ratio), begin);
    }
};

}  // namespace

std::int64_t prototype_masks_rle(const FloatStack& prototypes, const FloatTable& coefficients, const FloatTable& boxes,
                                 Size size, int threads, std::vector<std::string>& codes,
                                 const std::optional<Window>& window) {
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
    const Index height = prototypes.height, width = prototypes.width, cells = height * width;
    ScratchFrame frame;
    // Column after column, as the codes run: grids[p][x * height + y].
    float* grids = frame.take<float>(prototypes.count * cells).data();
    const auto nonfinite = frame.filled<std::int64_t>(threads, 0);
    parallel_for(threads, prototypes.count, 1, [&](Index begin, Index end, int slot) {
        ScratchFrame local;
        float* row = local.take<float>(width).data();
        for (Index p = begin; p < end; ++p) {
            for (Index y = 0; y < height; ++y) {
                nonfinite[static_cast<std::size_t>(slot)] +=
                    kernels().read(prototypes.row(p, y), prototypes.type, prototypes.strides[2], row, width);
                for (Index x = 0; x < width; ++x) {
                    grids[p * cells + x * height + y] = row[x];
                }
            }
        }
    });
    const Window shown = window.value_or(whole_window({height, width}));
    const Axis rows = bilinear_axis(frame, height, shown.rows, size.height);
    const Axis columns = bilinear_axis(frame, width, shown.columns, size.width);
    codes.assign(static_cast<std::size_t>(boxes.rows), {});
    parallel_for(threads, boxes.rows, 1, [&](Index begin, Index end, int slot) {
        thread_local std::vector<std::uint32_t> counts;
        ScratchFrame local;
        const auto weights = local.take<float>(prototypes.count);
        const auto grid = local.take<float>(cells);
        std::int64_t& bad = nonfinite[static_cast<std::size_t>(slot)];
        for (Index i = begin; i < end; ++i) {
            std::array<float, 4> box{};
            const std::int64_t bad_edges = kernels().read(boxes.row(i), boxes.type, boxes.strides[1], box.data(), 4);
            bad += bad_edges + kernels().read(coefficients.row(i), coefficients.type, coefficients.strides[1],
                                              weights.data(), prototypes.count);
            GridMask mask{.grid = grid.data(), .rows = rows, .columns = columns};
            if (bad_edges != 0) {
                mask.rows.length = 0;
            } else {
                const Cells across(box[0], box[2], width, shown.columns, size.width);
                const Cells down(box[1], box[3], height, shown.rows, size.height);
                std::fill(grid.begin(), grid.end(), 0.0F);
                for (Index x = across.begin; x < across.end && down.begin < down.end; ++x) {
                    const Index first = x * height + down.begin;
                    kernels().combine(weights.data(), 1, grids + first, cells, prototypes.count, down.end - down.begin,
                                      grid.data() + first);
                }
            }
            encode_grid_mask(mask, size.height, size.width, counts);
            codes[static_cast<std::size_t>(i)] = pack_counts(counts);
        }
    });
    return sum(nonfinite);
}

}  // namespace segrt
