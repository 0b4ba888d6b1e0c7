#include "color_counts.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace segrt {
namespace {

// A channel's value between two levels: the lower one, and how much the upper one has of it.
struct Between {
    Index low = 0;
    double above = 0;
};

std::array<Between, 256> levels_of_values() {
    std::array<Between, 256> levels;
    for (std::size_t value = 0; value < levels.size(); ++value) {
        const double level = std::clamp(static_cast<double>(value) * (static_cast<double>(kColorLevels) / 255) - 0.5,
                                        0.0, static_cast<double>(kColorLevels - 1));
        const Index low = std::min(static_cast<Index>(level), kColorLevels - 2);
        levels[value] = {low, level - static_cast<double>(low)};
    }
    return levels;
}

void count_pixel(const std::uint8_t* pixel, double weight, double* counts) {
    static const std::array<Between, 256> levels = levels_of_values();
    const Between &blue = levels[pixel[0]], &green = levels[pixel[1]], &red = levels[pixel[2]];
    double* first = counts + (blue.low * kColorLevels + green.low) * kColorLevels + red.low;
    for (const Index b : {Index{0}, Index{1}}) {
        const double by_blue = weight * (b == 1 ? blue.above : 1 - blue.above);
        for (const Index g : {Index{0}, Index{1}}) {
            const double by_green = by_blue * (g == 1 ? green.above : 1 - green.above);
            double* pair = first + (b * kColorLevels + g) * kColorLevels;
            pair[0] += by_green * (1 - red.above);
            pair[1] += by_green * red.above;
        }
    }
}

}  // namespace

void color_counts(const PictureView& image, const MaskRunsView& masks, bool by_columns, Index looked_at,
                  std::span<double> counts) {
    check_runs(masks, "masks");
    if (counts.size() != masks.count() * std::size_t{kColors} || looked_at < 1) {
        throw std::invalid_argument("counts must have one row for each mask, looked_at be 1 or more");
    }
    const Index lines = by_columns ? image.width : image.height, length = by_columns ? image.height : image.width;
    for (const LineRun& run : masks.runs) {
        if (run.line < 0 || run.line >= lines || run.begin < 0 || run.begin > run.end || run.end > length) {
            throw std::invalid_argument("masks must lie within the image");
        }
    }
    std::ranges::fill(counts, 0.0);
    const Index per_line = by_columns ? 3 : image.stride, along = by_columns ? image.stride : 3;
    for (std::size_t i = 0; i < masks.count(); ++i) {
        const std::span<const LineRun> runs = masks.mask(i);
        const Index area = extent_of(runs).area;
        if (area == 0) {
            continue;
        }
        const Index step = (area + looked_at - 1) / looked_at;
        const Index seen = (area + step - 1) / step;
        const double weight = static_cast<double>(area) / static_cast<double>(seen);
        double* row = &counts[i * std::size_t{kColors}];
        Index next = 0;  // from the run's first pixel
        for (const LineRun& run : runs) {
            const std::uint8_t* line = image.data + run.line * per_line + run.begin * along;
            for (; next < run.end - run.begin; next += step) {
                count_pixel(line + next * along, weight, row);
            }
            next -= run.end - run.begin;
        }
    }
}

}  // namespace segrt
