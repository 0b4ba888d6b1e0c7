#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "grid_mask.h"
#include "instances.h"
#include "kernels.h"
#include "paste_span.h"
#include "rle.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// The stretch of one picture axis that a box covers, cut to the picture.
struct Span {
    Index first = 0;
    Axis axis;
};

Span empty_span() {
    return {};
}

Span torchvision_span(ScratchFrame& frame, Index cells, float low, float high, Index length) {
    const PasteSpan span = torchvision_paste(cells, low, high, length);
    if (span.count == 0) {
        return empty_span();
    }
    return {span.first, bilinear_axis_part(frame, cells + 2, span.size, span.skipped, span.count, kBlock)};
}

// detectron2: pixel centres mapped into the box, cells outside the mask are 0; only pixels up to one beyond the box.
Span detectron2_span(ScratchFrame& frame, Index cells, float low, float high, Index length) {
    const float farthest = static_cast<float>(length) + 2.0F;
    const auto from = static_cast<Index>(std::clamp(std::floor(low) - 1.0F, 0.0F, farthest));
    const auto to = std::min(static_cast<Index>(std::clamp(std::ceil(high) + 1.0F, 0.0F, farthest)), length);
    if (from >= to || !(high > low) || std::fabs(low) > kFarthest || std::fabs(high) > kFarthest) {
        return empty_span();
    }
    const Index count = to - from, padded = count + kBlock;
    const auto below = frame.take<std::int32_t>(padded), above = frame.take<std::int32_t>(padded);
    const auto below_weight = frame.take<float>(padded), above_weight = frame.take<float>(padded);
    const auto m = static_cast<float>(cells);
    for (Index i = 0; i < padded; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const float centred =
            (static_cast<float>(from + std::min(i, count - 1)) + 0.5F - low) / (high - low) * 2.0F - 1.0F;
        // In the padded grid cell c stands at c + 1, so that the zeros around it take part.
        const float position = std::clamp(((centred + 1.0F) * m - 1.0F) / 2.0F + 1.0F, 0.0F, m + 1.0F);
        const auto whole = static_cast<std::int32_t>(position);
        below[at] = whole;
        above[at] = std::min(whole + 1, static_cast<std::int32_t>(cells) + 1);
        above_weight[at] = position - static_cast<float>(whole);
        below_weight[at] = 1.0F - above_weight[at];
    }
    return {from, {cells + 2, count, below.data(), above.data(), below_weight.data(), above_weight.data()}};
}

// Bytes of pictures that may well lie in a cache of this processor's own.
constexpr Index kCached = Index{1} << 20U;

class Paster {
public:
    Paster(const FloatStack& masks, const FloatTable& boxes, PasteRule rule, float threshold, Size size)
        : masks_(masks), boxes_(boxes), rule_(rule), threshold_(threshold), size_(size) {
        if (masks.count != boxes.rows || boxes.columns != 4) {
            throw std::invalid_argument("masks must have shape (N, m, m) and boxes (N, 4), but have " +
                                        std::to_string(masks.count) + " masks and boxes of shape (" +
                                        std::to_string(boxes.rows) + ", " + std::to_string(boxes.columns) + ")");
        }
        if (masks.count > 0 && (masks.height < 1 || masks.width < 1)) {
            throw std::invalid_argument("masks must have shape (N, m, m) with m at least 1");
        }
        // "Not below t" is "above the next smaller number".
        if (rule == PasteRule::detectron2) {
            threshold_ = std::nextafter(threshold, -std::numeric_limits<float>::infinity());
        }
    }

    // Row after row, or column after column.
    enum class Order { rows, columns };

    GridMask grid_mask(ScratchFrame& frame, Index image, Order order, std::int64_t& nonfinite) const {
        std::array<float, 4> box{};
        const std::int64_t bad = kernels().read(boxes_.row(image), boxes_.type, boxes_.strides[1], box.data(), 4);
        nonfinite += bad;
        const Index height = masks_.height + 2, width = masks_.width + 2;
        const auto grid = frame.filled<float>(height * width + kGridPadding, 0.0F);
        const Index row_step = order == Order::rows ? width : 1, column_step = order == Order::rows ? 1 : height;
        const auto row = frame.take<float>(masks_.width);
        for (Index y = 0; y < masks_.height; ++y) {
            nonfinite += kernels().read(masks_.row(image, y), masks_.type, masks_.strides[2], row.data(), masks_.width);
            for (Index x = 0; x < masks_.width; ++x) {
                grid[static_cast<std::size_t>((x + 1) * column_step + (y + 1) * row_step)] =
                    row[static_cast<std::size_t>(x)];
            }
        }
        if (bad != 0) {
            return {};
        }
        const auto span = rule_ == PasteRule::torchvision ? torchvision_span : detectron2_span;
        const Span columns = span(frame, masks_.width, box[0], box[2], size_.width);
        const Span rows = span(frame, masks_.height, box[1], box[3], size_.height);
        return {grid.data(), rows.axis, columns.axis, rows.first, columns.first, threshold_};
    }

private:
    const FloatStack& masks_;
    const FloatTable& boxes_;
    PasteRule rule_;
    float threshold_;
    Size size_;
};

// Calls function(i, nonfinite) for every mask on several threads; returns the sum of what they counted.
template <class F>
std::int64_t for_each_mask(Index count, int threads, F&& function) {
    ScratchFrame frame;
    const auto nonfinite = frame.filled<std::int64_t>(threads, 0);
    parallel_for(threads, count, 1, [&](Index begin, Index end, int slot) {
        for (Index i = begin; i < end; ++i) {
            function(i, nonfinite[static_cast<std::size_t>(slot)]);
        }
    });
    return sum(nonfinite);
}

}  // namespace

std::int64_t paste_masks(const FloatStack& masks, const FloatTable& boxes, PasteRule rule, float threshold, Size size,
                         int threads, std::uint8_t* pictures, bool zeroed) {
    const Paster paster(masks, boxes, rule, threshold, size);
    const Index all = masks.count * size.height * size.width;
    return for_each_mask(masks.count, threads, [&](Index i, std::int64_t& nonfinite) {
        ScratchFrame frame;
        std::uint8_t* picture = pictures + i * size.height * size.width;
        if (!zeroed && all > kCached) {
            kernels().clear_pictures(picture, size.height * size.width);
        } else if (!zeroed) {
            std::fill_n(picture, size.height * size.width, std::uint8_t{0});
        }
        paint_grid_mask(paster.grid_mask(frame, i, Paster::Order::rows, nonfinite),
                        {picture, size.height, size.width, size.width});
    });
}

std::int64_t paste_masks_rle(const FloatStack& masks, const FloatTable& boxes, PasteRule rule, float threshold,
                             Size size, int threads, std::vector<std::string>& codes) {
    const Paster paster(masks, boxes, rule, threshold, size);
    codes.assign(static_cast<std::size_t>(masks.count), {});
    return for_each_mask(masks.count, threads, [&](Index i, std::int64_t& nonfinite) {
        thread_local std::vector<std::uint32_t> counts;
        ScratchFrame frame;
        encode_grid_mask(paster.grid_mask(frame, i, Paster::Order::columns, nonfinite), size.height, size.width,
                         counts);
        codes[static_cast<std::size_t>(i)] = pack_counts(counts);
    });
}

}  // namespace segrt
