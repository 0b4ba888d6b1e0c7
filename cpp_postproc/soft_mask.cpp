#include "soft_mask.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "kernels.h"

namespace segrt {
namespace {

constexpr std::uint16_t kWhole = 256;
constexpr std::uint8_t kEmpty = 0, kMixed = 1, kFull = 2, kEnd = 3;

void check(std::span<const LineRun> runs, Index lines, Index length) {
    std::int64_t line = 0, end = 0;
    for (const LineRun& run : runs) {
        if (run.line < 0 || run.line >= lines || run.begin < 0 || run.end > length || run.begin > run.end) {
            throw std::invalid_argument("masks must lie within the canvas");
        }
        if (run.line < line || (run.line == line && run.begin < end)) {
            throw std::invalid_argument("masks must have their runs by line and begin, none over another");
        }
        line = run.line;
        end = run.end;
    }
}

// Calls visit(begin, end, opens) for the rows in which two columns differ; those in `here` open there.
template <class Visit>
void for_differences(std::span<const LineRun> before, std::span<const LineRun> here, Visit&& visit) {
    const auto bound = [](std::span<const LineRun> runs, std::size_t i) {
        return i >= 2 * runs.size() ? std::numeric_limits<std::int32_t>::max()
                                    : (i % 2 == 0 ? runs[i / 2].begin : runs[i / 2].end);
    };
    std::size_t i = 0, j = 0;
    std::int32_t from = 0;
    while (i < 2 * before.size() || j < 2 * here.size()) {
        const std::int32_t a = bound(before, i), b = bound(here, j);
        const std::int32_t to = std::min(a, b);
        if (i % 2 != j % 2 && from < to) {
            visit(from, to, j % 2 == 1);
        }
        i += a == to ? 1U : 0U;
        j += b == to ? 1U : 0U;
        from = to;
    }
}

// Calls visit(begin, end, opens, column) for all rows in which a column differs from the one before.
template <class Visit>
void for_changes(std::span<const LineRun> columns, Visit&& visit) {
    std::span<const LineRun> before;
    std::int32_t column = 0;
    std::size_t at = 0;
    while (at < columns.size() || !before.empty()) {
        column = before.empty() ? columns[at].line : column + 1;
        std::size_t end = at;
        while (end < columns.size() && columns[end].line == column) {
            ++end;
        }
        const std::span<const LineRun> here = columns.subspan(at, end - at);
        for_differences(before, here,
                        [&](std::int32_t from, std::int32_t to, bool opens) { visit(from, to, opens, column); });
        before = here;
        at = end;
    }
}

// The same mask by rows: only where columns differ is anything to be done.
std::span<const LineRun> by_rows(ScratchFrame& frame, std::span<const LineRun> columns, Index height) {
    const std::span<Index> places = frame.filled<Index>(height + 1, 0);
    for_changes(columns, [&](std::int32_t from, std::int32_t to, bool opens, std::int32_t) {
        for (std::int32_t y = from; !opens && y < to; ++y) {
            ++places[static_cast<std::size_t>(y) + 1];
        }
    });
    for (std::size_t y = 1; y < places.size(); ++y) {
        places[y] += places[y - 1];
    }
    const std::span<std::int32_t> opened = frame.take<std::int32_t>(height);
    const std::span<LineRun> rows = frame.take<LineRun>(places.back());
    for_changes(columns, [&](std::int32_t from, std::int32_t to, bool opens, std::int32_t column) {
        for (std::int32_t y = from; y < to; ++y) {
            const auto row = static_cast<std::size_t>(y);
            if (opens) {
                opened[row] = column;
            } else {
                rows[static_cast<std::size_t>(places[row]++)] = {y, opened[row], column};
            }
        }
    });
    return rows;
}

PicturePart part_of(std::span<const LineRun> rows, Index radius, Size picture) {
    const RunExtent extent = extent_of(rows);
    if (extent.area == 0) {
        return {};
    }
    const auto cut = [&](std::int64_t begin, std::int64_t end, Index length) {
        return std::pair(std::max<Index>(begin - radius, 0), std::min<Index>(end + radius, length));
    };
    const auto lines = cut(extent.first_line, extent.last_line, picture.height);
    const auto along = cut(extent.begin, extent.end, picture.width);
    return {lines.first, along.first, lines.second - lines.first, along.second - along.first};
}

}  // namespace

SoftEdge::SoftEdge(std::span<const std::uint16_t> weights) {
    std::uint32_t total = 0;
    for (const std::uint16_t weight : weights) {
        total += weight;
    }
    if (weights.size() % 2 != 1 || weights[weights.size() / 2] == 0 || total != kWhole) {
        throw std::invalid_argument("weights must be odd in number, 256 in all, that in the middle above 0");
    }
    while (weights.front() == 0 && weights.back() == 0) {  // they would but widen what is blurred
        weights = weights.subspan(1, weights.size() - 2);
    }
    twice_.assign(weights.begin(), weights.end());
    twice_.insert(twice_.end(), weights.begin(), weights.end());
    // A step rises over 2 * radius() pixels, which may begin anywhere in a block.
    const auto rises = static_cast<Index>(weights.size()) - 1;
    blocks_ = (rises + kBlurBlock - 1 + kBlurBlock - 1) / kBlurBlock + 2;
    for (Index offset = 0; offset < kBlurBlock; ++offset) {
        std::uint16_t sum = 0;
        for (Index x = -kBlurBlock; x < (blocks_ - 1) * kBlurBlock; ++x) {
            const Index risen = x - offset;
            sum = static_cast<std::uint16_t>(risen < 0       ? 0
                                             : risen < rises ? sum + weights[static_cast<std::size_t>(rises - risen)]
                                                             : kWhole);
            steps_.push_back(sum);
        }
    }
}

SoftMask::SoftMask(ScratchFrame& frame, std::span<const LineRun> runs, bool by_columns, Size picture,
                   const SoftEdge& edge)
    : edge_(edge), picture_(picture), taps_(edge.taps()), radius_(edge.radius()) {
    check(runs, by_columns ? picture.width : picture.height, by_columns ? picture.height : picture.width);
    runs_ = by_columns ? by_rows(frame, runs, picture.height) : runs;
    part_ = part_of(runs_, radius_, picture);
    if (part_.height == 0) {
        return;
    }
    blocks_ = (part_.width + kBlurBlock - 1) / kBlurBlock;
    sums_ = frame.take<std::uint16_t>(taps_ * blocks_ * kBlurBlock);
    levels_ = frame.take<std::uint8_t>(blocks_ * kBlurBlock);
    kinds_ = frame.filled<std::uint8_t>(blocks_, kEmpty);
    before_ = frame.take<std::uint8_t>(blocks_);
    seen_ = frame.filled<std::uint8_t>(blocks_ + 1, kEnd);
    even_ = frame.filled<Index>(blocks_, 0);
    stretches_ = frame.take<SoftStretch>(blocks_);
    first_line_ = runs_.front().line;
    starts_ = frame.filled<Index>(runs_.back().line - first_line_ + 2, 0);
    for (const LineRun& run : runs_) {
        ++starts_[static_cast<std::size_t>(run.line - first_line_ + 1)];
    }
    for (std::size_t i = 1; i < starts_.size(); ++i) {
        starts_[i] += starts_[i - 1];
    }
    for (Index y = -radius_; y < radius_; ++y) {
        add_row(y);
    }
}

std::span<const SoftStretch> SoftMask::next_row() {
    add_row(y_ + radius_);
    ++y_;
    const Index count = blocks_ * kBlurBlock, room = picture_.width - part_.left;
    const std::uint16_t* weights = edge_.turned(newest_ + 1 < taps_ ? newest_ + 1 : 0);
    const std::uint16_t* middle =
        sums_.data() + (newest_ < radius_ ? newest_ + taps_ - radius_ : newest_ - radius_) * count;
    std::size_t found = 0;
    for (Index block = 0; block < blocks_;) {
        const std::uint8_t kind = seen_[static_cast<std::size_t>(block)];
        const Index begin = block * kBlurBlock;
        while (seen_[static_cast<std::size_t>(++block)] == kind) {
        }
        const Index end = block * kBlurBlock;
        if (kind == kEmpty) {
            continue;
        }
        std::uint8_t* levels = kind == kFull ? nullptr : &levels_[static_cast<std::size_t>(begin)];
        if (kind == kMixed) {
            kernels().blur_columns(sums_.data() + begin, count, weights, taps_, middle + begin, levels, end - begin);
        }
        stretches_[found++] = {begin, std::min(end, room), levels};
    }
    return stretches_.first(found);
}

void SoftMask::add_row(Index y) {
    const Index line = std::clamp<Index>(part_.top + y, 0, picture_.height - 1) - first_line_;
    newest_ = newest_ + 1 < taps_ ? newest_ + 1 : 0;
    std::fill_n(sums_.data() + newest_ * blocks_ * kBlurBlock, blocks_ * kBlurBlock, std::uint16_t{0});
    std::swap(kinds_, before_);
    std::ranges::fill(kinds_, kEmpty);
    if (line >= 0 && line + 1 < std::ssize(starts_)) {
        const auto begin = static_cast<std::size_t>(starts_[static_cast<std::size_t>(line)]);
        const auto end = static_cast<std::size_t>(starts_[static_cast<std::size_t>(line) + 1]);
        for (const LineRun& run : runs_.subspan(begin, end - begin)) {
            add_run(run);
        }
    }
    // Copies, for bytes that are written may be anything.
    const std::span<const std::uint8_t> kinds = kinds_, before = before_;
    const std::span<Index> even = even_;
    const std::span<std::uint8_t> seen = seen_;
    const Index taps = taps_;
    for (std::size_t block = 0; block < kinds.size(); ++block) {
        even[block] = kinds[block] == before[block] ? even[block] + 1 : 1;
        seen[block] = even[block] >= taps ? kinds[block] : kMixed;
    }
}

// A run is a step up where it begins and a step down where it ends, each as soft as the kernel makes it.
void SoftMask::add_run(const LineRun& run) {
    if (run.begin == run.end) {
        return;
    }
    const Index width = blocks_ * kBlurBlock;
    const Index far = width + 2 * taps_;  // beyond the picture's border a mask goes on
    const Index begin = run.begin == 0 ? -far : run.begin - part_.left;
    const Index end = run.end == picture_.width ? far : run.end - part_.left;
    const auto within = [&](Index x) { return std::clamp<Index>(x, 0, width); };
    const SoftStep up = edge_.step(begin), down = edge_.step(end);
    std::uint16_t* sums = sums_.data() + newest_ * width;
    std::uint8_t* kinds = kinds_.data();
    const Index solid = begin + radius_, open = end - radius_;
    const Index last = (within(end + radius_) + kBlurBlock - 1) / kBlurBlock;
    for (Index block = within(begin - radius_) / kBlurBlock; block < last; ++block) {
        const Index left = block * kBlurBlock;
        if (left >= solid && left + kBlurBlock <= open) {
            std::fill_n(sums + left, kBlurBlock, kWhole);
            kinds[block] = kFull;
            continue;
        }
        const std::uint16_t* risen = up.of(block);
        const std::uint16_t* fallen = down.of(block);
        std::uint16_t both[kBlurBlock];  // nothing else is where this is: no sum is waited for
        for (Index i = 0; i < kBlurBlock; ++i) {
            both[i] = static_cast<std::uint16_t>(sums[left + i] + risen[i] - fallen[i]);
        }
        std::memcpy(sums + left, both, sizeof both);
        kinds[block] = kMixed;
    }
}

}  // namespace segrt
