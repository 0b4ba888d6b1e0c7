#include "overlay.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include "id_table.h"
#include "kernels.h"
#include "map_lines.h"
#include "scratch.h"
#include "soft_mask.h"

namespace segrt {
namespace {

// The value of each id: by a table where ids are bytes.
class Values {
public:
    Values(const RegionTints& tints, bool bytes) : tints_(tints), places_(tints.ids) {
        for (std::size_t i = 0; bytes && i < tints.ids.size(); ++i) {
            if (tints.ids[i] >= 0 && tints.ids[i] < 256) {
                of_byte_[static_cast<std::size_t>(tints.ids[i])] = tints.values[i];
            }
        }
        bytes_ = bytes;
    }

    [[nodiscard]] std::uint8_t of(std::int32_t id) const {
        if (bytes_) {
            return of_byte_[static_cast<std::size_t>(id)];
        }
        const std::size_t place = places_.find(id);
        return place == 0 ? std::uint8_t{0} : tints_.values[place - 1];
    }

private:
    const RegionTints& tints_;
    IdTable places_;
    std::array<std::uint8_t, 256> of_byte_{};
    bool bytes_ = false;
};

// The lines between regions. A pixel is on one where the window of reach by reach pixels around it, which begins
// reach / 2 pixels before it, holds several values; then neighbours in a row or in a column differ within it. Rows come
// one by one, and lines are drawn as soon as all that they depend on has come.
class Borders {
public:
    Borders(ScratchFrame& frame, const RegionLines& lines, const Canvas& out)
        : out_(out),
          before_(lines.reach / 2),
          after_(lines.reach - 1 - before_),
          count_((out.width + kLineBlock - 1) / kLineBlock * kLineBlock),
          stride_(count_ + lines.reach + kLineBlock),
          values_(frame.filled<std::uint8_t>(2 * stride_, 0)),
          across_(frame.filled<std::uint8_t>(2 * count_, 0)),
          changes_(frame.filled<std::uint8_t>(lines.reach * count_, 0)),
          edges_(frame.filled<std::uint8_t>(3 * stride_, 0)),
          levels_(frame.take<std::uint8_t>(count_)) {
        for (std::size_t n = 0; n < lines.weights.size(); ++n) {
            std::fill_n(&weights_[4 * n], 4, lines.weights[n]);
        }
    }

    // Where the values of row y are to be written.
    [[nodiscard]] std::uint8_t* values(Index y) const { return values_.data() + y % 2 * stride_ + before_; }

    // The values of row y are there.
    void add(Index y) {
        std::uint8_t* row = values(y);
        std::fill_n(row - before_, before_, row[0]);
        std::fill_n(row + out_.width, count_ + after_ + 1 - out_.width, row[out_.width - 1]);
        kernels().differ_row(row - before_, row - before_ + 1, before_ + after_, across(y), count_);
        if (y > 0) {
            change(y - 1, row);
        }
        find(y - after_, across(y));
    }

    // All rows have come.
    void finish() {
        const Index height = out_.height;
        change(height - 1, values(height - 1));
        for (Index y = height; y < height + after_; ++y) {
            find(y - after_, nullptr);
            std::fill_n(changed(y), count_, std::uint8_t{0});
        }
        mix(height - 1);
    }

private:
    [[nodiscard]] std::uint8_t* across(Index y) const { return across_.data() + y % 2 * count_; }
    // A line depends on as many rows of changes, in any order, as there are; in the last one stands what was found
    // across the newest row.
    [[nodiscard]] std::uint8_t* changed(Index y) const { return changes_.data() + y % (before_ + after_) * count_; }
    [[nodiscard]] std::uint8_t* edges(Index y) const { return edges_.data() + y % 3 * stride_ + 1; }

    // What changes across row y, and from it to the next, whose values these are.
    void change(Index y, const std::uint8_t* next) {
        std::uint8_t* found = changed(y);
        kernels().differ_row(values(y) - before_, next - before_, before_ + after_ + 1, found, count_);
        const std::uint8_t* own = across(y);
        for (Index x = 0, count = count_; x < count; ++x) {
            found[x] |= own[x];
        }
    }

    // Finds the edges of row y, then draws the row before.
    void find(Index y, const std::uint8_t* newest) {
        if (y < 0) {
            return;
        }
        std::uint8_t* last = changes_.data() + (before_ + after_) * count_;
        if (newest != nullptr) {
            std::copy_n(newest, count_, last);
        } else {
            std::fill_n(last, count_, std::uint8_t{0});
        }
        std::uint8_t* found = edges(y);
        kernels().any_row(changes_.data(), count_, before_ + after_ + 1, found, count_);
        // Beyond the picture's border it goes on as in a mirror (BORDER_REFLECT_101 of OpenCV).
        found[-1] = found[std::min<Index>(1, out_.width - 1)];
        found[out_.width] = found[std::max<Index>(0, out_.width - 2)];
        if (y > 0) {
            mix(y - 1);
        }
    }

    void mix(Index y) {
        const Index last = out_.height - 1;
        const Index above = y > 0 ? y - 1 : std::min<Index>(1, last);
        const Index below = y < last ? y + 1 : std::max<Index>(0, last - 1);
        kernels().line_row(edges(above), edges(y), edges(below), weights_.data(), levels_.data(),
                           out_.data + y * out_.stride, out_.width);
    }

    const Canvas& out_;
    Index before_, after_, count_, stride_;
    std::span<std::uint8_t> values_, across_, changes_, edges_, levels_;
    std::array<std::uint8_t, 40> weights_{};
};

void check_regions(const PictureView& image, const ClassMap& map, const RegionTints& tints, const RegionLines& lines,
                   const Canvas& out) {
    const auto fits = [&](Index height, Index width) { return height == image.height && width == image.width; };
    if (!fits(map.height, map.width) || !fits(out.height, out.width)) {
        throw std::invalid_argument("image, map and out must have the same (H, W)");
    }
    if (tints.values.size() != tints.ids.size() || tints.light.size() != 768 || tints.painted.size() != 256) {
        throw std::invalid_argument("values must have one entry for each id, light shape (256, 3), painted (256,)");
    }
    if (lines.reach != 0 && (lines.reach < 2 || lines.reach > 1000)) {
        throw std::invalid_argument("reach must be 0 or 2 to 1000, but is " + std::to_string(lines.reach));
    }
}

// The tints of all values; those that are not painted have none.
class Tints {
public:
    Tints(ScratchFrame& frame, const RegionTints& tints)
        : keep_(tints.keep), light_(frame.take<float>(256 * kTintBlock)), tinted_(frame.take<std::uint8_t>(256 * 768)) {
        for (std::size_t value = 0; value < 256; ++value) {
            if (tints.painted[value] == 0) {
                continue;
            }
            const std::span<const float> light = tints.light.subspan(3 * value, 3);
            for (std::size_t i = 0; i < std::size_t{kTintBlock}; ++i) {
                light_[kTintBlock * value + i] = light[i % 3];
            }
            for (std::size_t i = 0; i < 768; ++i) {
                const float tinted = std::fma(static_cast<float>(i % 256), keep_, light[i / 256]);
                tinted_[768 * value + i] = static_cast<std::uint8_t>(std::lrintf(tinted));
            }
        }
    }

    [[nodiscard]] Tint of(std::size_t value) const {
        return {keep_, &light_[kTintBlock * value], &tinted_[768 * value]};
    }

private:
    float keep_;
    std::span<float> light_;
    std::span<std::uint8_t> tinted_;
};

constexpr std::size_t kTable = 256 * std::size_t{4};
constexpr Index kAhead = 4, kCacheLine = 64;

// Light and keep of each level side by side, as kernels' lay_row has them.
std::span<const std::uint8_t> shades_of(ScratchFrame& frame, const ObjectColors& colors) {
    const std::span<std::uint8_t> shades = frame.take<std::uint8_t>(2 * std::ssize(colors.light));
    for (std::size_t i = 0; i < colors.light.size(); i += 4) {
        std::memcpy(&shades[2 * i], &colors.light[i], 4);
        std::memcpy(&shades[2 * i + 4], &colors.keep[i], 4);
    }
    return shades;
}

void paint_object(const Canvas& canvas, std::span<const LineRun> runs, bool by_columns, const SoftEdge& edge,
                  const std::uint8_t* shades) {
    ScratchFrame frame;
    SoftMask mask(frame, runs, by_columns, {canvas.height, canvas.width}, edge);
    const PicturePart& part = mask.part();
    const std::uint8_t* inside = shades + std::ptrdiff_t{8} * 255;
    for (Index y = 0; y < part.height; ++y) {
        std::uint8_t* row = canvas.data + (part.top + y) * canvas.stride + 3 * part.left;
        if (y + kAhead < part.height) {  // rows lie pages apart, which no processor foresees
            for (Index byte = 0; byte < 3 * part.width; byte += kCacheLine) {
                __builtin_prefetch(row + kAhead * canvas.stride + byte, 1);
            }
        }
        for (const SoftStretch& stretch : mask.next_row()) {
            std::uint8_t* pixels = row + 3 * stretch.begin;
            if (stretch.levels == nullptr) {
                kernels().lay_even(inside, pixels, stretch.end - stretch.begin);
            } else {
                kernels().lay_row(stretch.levels, shades, pixels, stretch.end - stretch.begin);
            }
        }
    }
}

}  // namespace

void paint_regions(const PictureView& image, const ClassMap& map, const RegionTints& tints, const RegionLines& lines,
                   const Canvas& out) {
    check_regions(image, map, tints, lines, out);
    if (map.width < 1 || map.height < 1) {
        return;
    }
    const Values values(tints, map.item_size == 1);
    ScratchFrame frame;
    const Tints painted(frame, tints);
    std::optional<Borders> borders;
    if (lines.reach != 0) {
        borders.emplace(frame, lines, out);
    }
    for_runs(map, "map", 0, map.height, [&](Index y, Index begin, Index end, std::int32_t id) {
        const std::uint8_t value = values.of(id);
        const std::uint8_t* source = image.data + y * image.stride + 3 * begin;
        std::uint8_t* target = out.data + y * out.stride + 3 * begin;
        const Index count = 3 * (end - begin);
        if (tints.painted[value] != 0) {
            // In place nothing may be written of what follows, which is still to be read.
            const Index room = source == target ? count : 3 * (map.width - begin);
            kernels().tint_row(source, painted.of(value), count, room, target);
        } else if (source != target) {
            std::memcpy(target, source, static_cast<std::size_t>(count));
        }
        if (borders) {
            std::memset(borders->values(y) + begin, value, static_cast<std::size_t>(end - begin));
            if (end == map.width) {
                borders->add(y);
            }
        }
    });
    if (borders) {
        borders->finish();
    }
}

void paint_objects(const Canvas& canvas, const MaskRunsView& masks, bool by_columns,
                   std::span<const std::uint16_t> weights, const ObjectColors& colors) {
    check_runs(masks, "masks");
    const SoftEdge edge(weights);
    const std::size_t tables = colors.light.size() / kTable;
    const auto all_below = [](std::span<const std::int64_t> numbers, std::size_t end) {
        return std::ranges::all_of(numbers,
                                   [=](std::int64_t one) { return one >= 0 && static_cast<std::size_t>(one) < end; });
    };
    if (colors.light.size() != kTable * tables || colors.keep.size() != colors.light.size() ||
        colors.tables.size() != colors.places.size() || !all_below(colors.tables, tables) ||
        !all_below(colors.places, masks.count())) {
        throw std::invalid_argument(
            "light and keep must have shape (T, 256, 4), places be masks, tables an entry below T for each of them");
    }
    ScratchFrame frame;
    const std::span<const std::uint8_t> shades = shades_of(frame, colors);
    for (std::size_t i = 0; i < colors.places.size(); ++i) {
        const std::size_t table = 2 * kTable * static_cast<std::size_t>(colors.tables[i]);
        paint_object(canvas, masks.mask(static_cast<std::size_t>(colors.places[i])), by_columns, edge,
                     shades.data() + table);
    }
}

}  // namespace segrt
