#include "overlay.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "id_table.h"
#include "kernels.h"
#include "map_lines.h"
#include "scratch.h"

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

using Words = std::span<std::uint64_t>;

// Rows of bits, 64 pixels to a word; a row knows whether any is 1.
struct BitRows {
    BitRows(ScratchFrame& frame, Index height, Index width)
        : words((width + 63) / 64), bits(frame.filled<std::uint64_t>(height * words, 0)),
          any(frame.filled<std::uint8_t>(height, 0)) {}

    [[nodiscard]] Words row(Index y) const {
        return bits.subspan(static_cast<std::size_t>(y * words), static_cast<std::size_t>(words));
    }

    Index words;
    Words bits;
    std::span<std::uint8_t> any;
};

// target[x] |= source[x + by].
void add_moved(Words target, std::span<const std::uint64_t> source, Index by) {
    const auto count = static_cast<Index>(target.size());
    const Index whole = by >= 0 ? by / 64 : -((63 - by) / 64), rest = by - 64 * whole;  // rest is 0 to 63
    for (Index i = 0; i < count; ++i) {
        const Index at = i + whole;
        std::uint64_t word = at >= 0 && at < count ? source[static_cast<std::size_t>(at)] >> rest : 0;
        if (rest != 0 && at + 1 >= 0 && at + 1 < count) {
            word |= source[static_cast<std::size_t>(at + 1)] << (64 - rest);
        }
        target[static_cast<std::size_t>(i)] |= word;
    }
}

// The lines between regions. A pixel is on one where the window of reach by reach pixels around it, which begins
// reach / 2 pixels before it, holds several values; then neighbours in a row or in a column differ within it.
class Borders {
public:
    Borders(ScratchFrame& frame, const RegionLines& lines, const Canvas& out)
        : lines_(lines), out_(out), across_(frame, out.height, out.width), down_(frame, out.height, out.width),
          edges_(frame, out.height, out.width),
          differs_(frame.filled<std::uint8_t>(across_.words * 64, 0)),
          found_(frame.take<std::uint64_t>(across_.words)), near_(frame.take<std::uint64_t>(across_.words)) {}

    // Between pixels x and x + 1 of row y the value changes.
    void change(Index y, Index x) {
        across_.row(y)[static_cast<std::size_t>(x / 64)] |= std::uint64_t{1} << (x % 64);
        across_.any[static_cast<std::size_t>(y)] = 1;
    }

    // Rows y and y + 1 have these values.
    void compare(Index y, const std::uint8_t* upper, const std::uint8_t* lower) {
        if (std::memcmp(upper, lower, static_cast<std::size_t>(out_.width)) == 0) {
            return;
        }
        for (Index x = 0; x < out_.width; ++x) {
            differs_[static_cast<std::size_t>(x)] = upper[x] ^ lower[x];
        }
        kernels().pack_row(differs_.data(), out_.width, down_.row(y).data());
        down_.any[static_cast<std::size_t>(y)] = 1;
    }

    void draw() {
        const Index before = lines_.reach / 2, after = lines_.reach - 1 - before;
        for (Index y = 0; y < out_.height; ++y) {
            widen(across_, y, before, after - 1);
            widen(down_, y, before, after);
        }
        for (Index y = 0; y < out_.height; ++y) {
            collect(across_, y, y - before, y + after);
            collect(down_, y, y - before, y + after - 1);
        }
        for (Index y = 0; y < out_.height; ++y) {
            mix_row(y);
        }
    }

private:
    // A row's bits spread to all pixels whose window begins `before` pixels before them and ends `after` behind.
    void widen(const BitRows& rows, Index y, Index before, Index after) {
        if (rows.any[static_cast<std::size_t>(y)] == 0) {
            return;
        }
        std::ranges::fill(found_, 0);
        for (Index by = -before; by <= after; ++by) {
            add_moved(found_, rows.row(y), by);
        }
        if (out_.width % 64 != 0) {
            found_.back() &= (std::uint64_t{1} << (out_.width % 64)) - 1;
        }
        std::ranges::copy(found_, rows.row(y).begin());
    }

    void collect(const BitRows& rows, Index y, Index first, Index last) {
        for (Index from = std::max<Index>(first, 0); from <= std::min(last, out_.height - 1); ++from) {
            if (rows.any[static_cast<std::size_t>(from)] != 0) {
                add_moved(edges_.row(y), rows.row(from), 0);
                edges_.any[static_cast<std::size_t>(y)] = 1;
            }
        }
    }

    // The border pixels go on as a mirror would show them (BORDER_REFLECT_101 of OpenCV).
    static Index mirrored(Index at, Index length) {
        const Index within = at < 0 ? -at : at >= length ? 2 * length - 2 - at : at;
        return std::clamp<Index>(within, 0, length - 1);
    }

    void mix_row(Index y) {
        const Index rows[3] = {mirrored(y - 1, out_.height), y, mirrored(y + 1, out_.height)};
        std::ranges::fill(near_, 0);
        for (const Index row : rows) {
            if (edges_.any[static_cast<std::size_t>(row)] != 0) {
                for (const Index by : {-1, 0, 1}) {
                    add_moved(near_, edges_.row(row), by);
                }
            }
        }
        const Index last = out_.width - 1;
        for (Index i = 0; i < across_.words; ++i) {
            std::uint64_t word = near_[static_cast<std::size_t>(i)];
            for (; word != 0; word &= word - 1) {
                const Index x = 64 * i + std::countr_zero(word);
                if (x > last) {
                    break;
                }
                mix_pixel(y, x, lines_.weights[static_cast<std::size_t>(edges_around(rows, x))]);
            }
        }
    }

    [[nodiscard]] int edges_around(const Index (&rows)[3], Index x) const {
        int count = 0;
        for (const Index row : rows) {
            const std::span<const std::uint64_t> bits = edges_.row(row);
            if (x % 64 != 0 && x % 64 != 63 && x + 1 < out_.width) {
                count += std::popcount(bits[static_cast<std::size_t>(x / 64)] >> (x % 64 - 1) & 7U);
                continue;
            }
            for (const Index by : {-1, 0, 1}) {
                const Index at = mirrored(x + by, out_.width);
                count += static_cast<int>(bits[static_cast<std::size_t>(at / 64)] >> (at % 64) & 1U);
            }
        }
        return count;
    }

    void mix_pixel(Index y, Index x, unsigned weight) const {
        std::uint8_t* pixel = out_.data + y * out_.stride + 3 * x;
        for (Index c = 0; c < 3; ++c) {
            pixel[c] = static_cast<std::uint8_t>((pixel[c] * (255 - weight) + 255 * weight) >> 8U);
        }
    }

    const RegionLines& lines_;
    const Canvas& out_;
    BitRows across_, down_, edges_;
    std::span<std::uint8_t> differs_;
    Words found_, near_;
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

// The part of the picture that an object and its blur reach.
struct Part {
    Index top = 0, left = 0, height = 0, width = 0;
};

Part part_of(std::span<const LineRun> runs, bool by_columns, Index radius, const Canvas& canvas) {
    const RunExtent extent = extent_of(runs);
    const auto cut = [&](std::int64_t begin, std::int64_t end, Index length) {
        return std::pair(std::clamp<Index>(begin - radius, 0, length), std::clamp<Index>(end + radius, 0, length));
    };
    const auto lines = cut(extent.first_line, extent.last_line, by_columns ? canvas.width : canvas.height);
    const auto along = cut(extent.begin, extent.end, by_columns ? canvas.height : canvas.width);
    const auto& rows = by_columns ? along : lines;
    const auto& columns = by_columns ? lines : along;
    return {rows.first, columns.first, rows.second - rows.first, columns.second - columns.first};
}

// The mask within the part, 0 or 1, with `radius` pixels more on each side.
class Inside {
public:
    Inside(ScratchFrame& frame, const Part& part, Index radius)
        : part_(part), radius_(radius), stride_(part.width + 2 * radius),
          pixels_(frame.filled<std::uint8_t>((part.height + 2 * radius) * stride_, 0)) {}

    [[nodiscard]] std::uint8_t* row(Index y) const { return pixels_.data() + (y + radius_) * stride_; }

    void fill(std::span<const LineRun> runs, bool by_columns, const Canvas& canvas) {
        for (const LineRun& run : runs) {
            const Index length = by_columns ? canvas.height : canvas.width;
            if (run.line < 0 || run.line >= (by_columns ? canvas.width : canvas.height) || run.begin < 0 ||
                run.end > length || run.begin > run.end) {
                throw std::invalid_argument("masks must lie within the canvas");
            }
            if (by_columns) {
                std::uint8_t* pixel = row(run.begin - part_.top) + radius_ + run.line - part_.left;
                for (Index y = run.begin; y < run.end; ++y, pixel += stride_) {
                    *pixel = 1;
                }
            } else {
                std::memset(row(run.line - part_.top) + radius_ + run.begin - part_.left, 1,
                            static_cast<std::size_t>(run.end - run.begin));
            }
        }
    }

    // Beyond the part the mask is empty, but for the picture's own border.
    void go_on(const Canvas& canvas) {
        for (Index y = 0; y < part_.height; ++y) {
            std::uint8_t* first = row(y);
            if (part_.left == 0) {
                std::fill_n(first, radius_, first[radius_]);
            }
            if (part_.left + part_.width == canvas.width) {
                std::fill_n(first + radius_ + part_.width, radius_, first[radius_ + part_.width - 1]);
            }
        }
        for (Index y = 1; y <= radius_; ++y) {
            if (part_.top == 0) {
                std::copy_n(row(0), stride_, row(-y));
            }
            if (part_.top + part_.height == canvas.height) {
                std::copy_n(row(part_.height - 1), stride_, row(part_.height - 1 + y));
            }
        }
    }

private:
    const Part& part_;
    Index radius_, stride_;
    std::span<std::uint8_t> pixels_;
};

constexpr std::size_t kTable = 256 * std::size_t{4};

struct ObjectTables {
    const std::uint8_t* light;
    const std::uint8_t* keep;
};

void paint_object(const Canvas& canvas, std::span<const LineRun> runs, bool by_columns,
                  std::span<const std::uint16_t> weights, const ObjectTables& tables) {
    const auto taps = static_cast<Index>(weights.size());
    const Index radius = taps / 2;
    const Part part = part_of(runs, by_columns, radius, canvas);
    if (part.height < 1 || part.width < 1) {
        return;
    }
    ScratchFrame frame;
    Inside inside(frame, part, radius);
    inside.fill(runs, by_columns, canvas);
    inside.go_on(canvas);
    // The sums of the rows that a row's blur sees, each where its number modulo `taps` says: weights turn, not rows.
    const std::span<std::uint16_t> sums = frame.take<std::uint16_t>(taps * part.width);
    const std::span<std::uint16_t> turned = frame.take<std::uint16_t>(taps);
    const std::span<std::uint16_t> memory = frame.take<std::uint16_t>(part.width);
    const std::span<std::uint8_t> levels = frame.take<std::uint8_t>(part.width);
    const auto add_row = [&](Index y) {  // y counts from `radius` rows above the part on
        kernels().blur_row(inside.row(y - radius), weights.data(), taps, &sums[static_cast<std::size_t>(y % taps * part.width)],
                           part.width);
    };
    for (Index y = 0; y + 1 < taps; ++y) {
        add_row(y);
    }
    for (Index y = 0; y < part.height; ++y) {
        add_row(y + taps - 1);
        for (Index k = 0; k < taps; ++k) {
            turned[static_cast<std::size_t>((y + k) % taps)] = weights[static_cast<std::size_t>(k)];
        }
        kernels().blur_columns(sums.data(), part.width, turned.data(), taps, inside.row(y) + radius, memory.data(),
                               levels.data(), part.width);
        kernels().lay_row(levels.data(), tables.light, tables.keep,
                          canvas.data + (part.top + y) * canvas.stride + 3 * part.left, part.width);
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
    Borders borders(frame, lines, out);
    const bool lined = lines.reach != 0;
    const std::span<std::uint8_t> rows = frame.take<std::uint8_t>(2 * map.width);
    const auto row_of = [&](Index y) { return rows.data() + y % 2 * map.width; };
    for_runs(map, "map", 0, map.height, [&](Index y, Index begin, Index end, std::int32_t id) {
        const std::uint8_t value = values.of(id);
        const std::uint8_t* source = image.data + y * image.stride + 3 * begin;
        std::uint8_t* target = out.data + y * out.stride + 3 * begin;
        const Index count = 3 * (end - begin);
        if (tints.painted[value] != 0) {
            kernels().tint_row(source, tints.keep, &tints.light[std::size_t{3} * value], count,
                               3 * (map.width - begin), target);
        } else {
            std::memcpy(target, source, static_cast<std::size_t>(count));
        }
        if (!lined) {
            return;
        }
        std::uint8_t* row = row_of(y);
        if (begin > 0 && row[begin - 1] != value) {
            borders.change(y, begin - 1);
        }
        std::memset(row + begin, value, static_cast<std::size_t>(end - begin));
        if (end == map.width && y > 0) {
            borders.compare(y - 1, row_of(y - 1), row);
        }
    });
    if (lined) {
        borders.draw();
    }
}

void paint_objects(const Canvas& canvas, const MaskRunsView& masks, bool by_columns,
                   std::span<const std::uint16_t> weights, const ObjectColors& colors) {
    check_runs(masks, "masks");
    std::uint32_t total = 0;
    for (const std::uint16_t weight : weights) {
        total += weight;
    }
    if (weights.size() % 2 != 1 || weights[weights.size() / 2] == 0 || total != 256) {
        throw std::invalid_argument("weights must be odd in number, 256 in all, that in the middle above 0");
    }
    const std::size_t tables = colors.light.size() / kTable;
    const bool known = std::ranges::all_of(
        colors.tables, [&](std::int64_t table) { return table >= 0 && table < static_cast<std::int64_t>(tables); });
    if (colors.light.size() != kTable * tables || colors.keep.size() != colors.light.size() ||
        colors.tables.size() != masks.count() || !known) {
        throw std::invalid_argument("light and keep must have shape (T, 256, 4), tables an entry below T for each mask");
    }
    for (std::size_t i = 0; i < masks.count(); ++i) {
        const std::size_t begin = kTable * static_cast<std::size_t>(colors.tables[i]);
        paint_object(canvas, masks.mask(i), by_columns, weights, {&colors.light[begin], &colors.keep[begin]});
    }
}

}  // namespace segrt
