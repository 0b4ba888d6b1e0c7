#include "mask_runs.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "id_table.h"
#include "map_lines.h"
#include "rle.h"

namespace segrt {
namespace {

struct FoundRun {
    std::uint32_t mask = 0;
    LineRun run;
};

// Puts runs that came line by line behind each other mask by mask.
void sort_by_mask(std::span<const FoundRun> found, std::size_t count, MaskRuns& masks) {
    masks.starts.assign(count + 1, 0);
    for (const FoundRun& one : found) {
        ++masks.starts[one.mask + 1];
    }
    for (std::size_t i = 0; i < count; ++i) {
        masks.starts[i + 1] += masks.starts[i];
    }
    std::vector<std::int64_t> next(masks.starts.begin(), masks.starts.end() - 1);
    masks.runs.resize(found.size());
    for (const FoundRun& one : found) {
        masks.runs[static_cast<std::size_t>(next[one.mask]++)] = one.run;
    }
}

bool comes_before(const LineRun& one, const LineRun& other) {
    return one.line != other.line ? one.line < other.line : one.begin < other.begin;
}

// Both are in order, so each run is met once.
std::int64_t shared_pixels(std::span<const LineRun> first, LineShift shift, std::span<const LineRun> second) {
    const auto before = [](const LineRun& run, std::int64_t line) { return run.line < line; };
    auto a = std::lower_bound(first.begin(), first.end(), second.front().line - shift.lines, before);
    if (a == first.end()) {
        return 0;
    }
    auto b = std::lower_bound(second.begin(), second.end(), a->line + shift.lines, before);
    std::int64_t shared = 0;
    while (a != first.end() && b != second.end()) {
        const std::int64_t line = a->line + shift.lines;
        if (line != b->line) {
            line < b->line ? ++a : ++b;
            continue;
        }
        const std::int64_t begin = std::max<std::int64_t>(a->begin + shift.along, b->begin);
        const std::int64_t end = std::min<std::int64_t>(a->end + shift.along, b->end);
        shared += std::max<std::int64_t>(0, end - begin);
        a->end + shift.along < b->end ? ++a : ++b;
    }
    return shared;
}

}  // namespace

void check_runs(const MaskRunsView& masks, const char* name) {
    const bool whole = !masks.starts.empty() && masks.starts.front() == 0 &&
                       masks.starts.back() == static_cast<std::int64_t>(masks.runs.size()) &&
                       std::ranges::is_sorted(masks.starts);
    if (!whole) {
        throw std::invalid_argument(std::string(name) + " must have starts from 0 up to the number of its runs");
    }
}

void runs_of_map(const ClassMap& map, std::span<const std::int32_t> ids, MaskRuns& masks) {
    const IdTable places(ids);
    std::vector<FoundRun> found;
    found.reserve(static_cast<std::size_t>(map.height) * 8);
    std::array<std::size_t, 256> of_bytes{};
    for (std::int32_t id = 0; id < 256; ++id) {
        of_bytes[static_cast<std::size_t>(id)] = places.find(id);
    }
    const bool bytes = map.item_size == 1;
    for_runs(map, "map", 0, map.height, [&](Index y, Index begin, Index end, std::int32_t id) {
        const std::size_t place = bytes ? of_bytes[static_cast<std::size_t>(id)] : places.find(id);
        if (place != 0) {
            found.push_back(
                {static_cast<std::uint32_t>(place - 1),
                 {static_cast<std::int32_t>(y), static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end)}});
        }
    });
    sort_by_mask(found, ids.size(), masks);
}

void take_runs(const MaskRunsView& first, const MaskRunsView& second, std::span<const std::int64_t> places,
               MaskRuns& masks) {
    const std::size_t known = first.count(), all = known + second.count();
    const auto mask_at = [&](std::int64_t place) {
        const auto at = static_cast<std::size_t>(place);
        if (place < 0 || at >= all) {
            throw std::invalid_argument("places must be 0 to " + std::to_string(all) + " exclusive, but one is " +
                                        std::to_string(place));
        }
        return at < known ? first.mask(at) : second.mask(at - known);
    };
    masks.starts.assign(1, 0);
    for (const std::int64_t place : places) {
        masks.starts.push_back(masks.starts.back() + std::ssize(mask_at(place)));
    }
    masks.runs.clear();
    masks.runs.reserve(static_cast<std::size_t>(masks.starts.back()));
    for (const std::int64_t place : places) {
        const std::span<const LineRun> runs = mask_at(place);
        masks.runs.insert(masks.runs.end(), runs.begin(), runs.end());
    }
}

void runs_of_codes(std::span<const std::string> codes, Size size, MaskRuns& masks) {
    masks.runs.clear();
    masks.starts.assign(1, 0);
    std::vector<std::uint32_t> counts;
    for (const std::string& code : codes) {
        unpack_counts(code, size.height, size.width, counts);
        for_each_stretch(counts, size.height, [&](Index x, Index top, Index bottom) {
            masks.runs.push_back(
                {static_cast<std::int32_t>(x), static_cast<std::int32_t>(top), static_cast<std::int32_t>(bottom)});
        });
        masks.starts.push_back(static_cast<std::int64_t>(masks.runs.size()));
    }
}

void codes_of_runs(const MaskRunsView& masks, Size size, std::vector<std::string>& codes) {
    check_runs(masks, "masks");
    codes.clear();
    std::vector<std::uint32_t> counts;
    std::vector<LineRun> sorted;
    for (std::size_t i = 0; i < masks.count(); ++i) {
        std::span<const LineRun> runs = masks.mask(i);
        if (!std::ranges::is_sorted(runs, comes_before)) {
            sorted.assign(runs.begin(), runs.end());
            std::ranges::sort(sorted, comes_before);
            runs = sorted;
        }
        RunWriter writer(counts);
        std::int64_t covered = 0;  // up to here, down the columns, everything has been told
        for (const LineRun& run : runs) {
            if (run.line < 0 || run.line >= size.width || run.begin < 0 || run.begin > run.end ||
                run.end > size.height) {
                throw std::invalid_argument("masks must have runs inside " + std::to_string(size.height) + " x " +
                                            std::to_string(size.width) + ", but one covers " +
                                            std::to_string(run.begin) + " to " + std::to_string(run.end) +
                                            " of column " + std::to_string(run.line));
            }
            const std::int64_t begin = run.line * size.height + run.begin, end = run.line * size.height + run.end;
            if (end <= covered || begin == end) {
                continue;
            }
            if (begin > covered) {
                writer.set(covered, false);
                writer.set(begin, true);
            } else {
                writer.set(covered, true);
            }
            covered = end;
        }
        writer.set(covered, false);
        writer.finish(size.height * size.width);
        codes.push_back(pack_counts(counts));
    }
}

RunExtent extent_of(std::span<const LineRun> runs) {
    if (runs.empty()) {
        return {};
    }
    RunExtent extent{.first_line = runs.front().line, .begin = runs.front().begin, .last_line = runs.back().line + 1};
    for (const LineRun& run : runs) {
        extent.area += run.end - run.begin;
        extent.begin = std::min<std::int64_t>(extent.begin, run.begin);
        extent.end = std::max<std::int64_t>(extent.end, run.end);
    }
    return extent;
}

std::vector<RunExtent> extents_of(const MaskRunsView& masks) {
    std::vector<RunExtent> extents(masks.count());
    for (std::size_t i = 0; i < extents.size(); ++i) {
        extents[i] = extent_of(masks.mask(i));
    }
    return extents;
}

void count_shared(const MaskRunsView& first, std::span<const LineShift> shifts, const MaskRunsView& second,
                  std::span<std::int64_t> counts) {
    check_runs(first, "first");
    count_shared(first, extents_of(first), shifts, second, counts);
}

void count_shared(const MaskRunsView& first, std::span<const RunExtent> extents, std::span<const LineShift> shifts,
                  const MaskRunsView& second, std::span<std::int64_t> counts) {
    check_runs(second, "second");
    if (extents.size() != first.count() || shifts.size() != first.count() ||
        counts.size() != first.count() * second.count()) {
        throw std::invalid_argument("shifts must have one entry, and counts one row, for each mask of first");
    }
    const std::vector<RunExtent> others = extents_of(second);
    std::ranges::fill(counts, 0);
    for (std::size_t i = 0; i < first.count(); ++i) {
        const std::span<const LineRun> runs = first.mask(i);
        const RunExtent& one = extents[i];
        const LineShift shift = shifts[i];
        for (std::size_t j = 0; j < others.size(); ++j) {
            const RunExtent& other = others[j];
            const bool meet = one.area > 0 && other.area > 0 && one.first_line + shift.lines < other.last_line &&
                              other.first_line < one.last_line + shift.lines && one.begin + shift.along < other.end &&
                              other.begin < one.end + shift.along;
            if (meet) {
                counts[i * others.size() + j] = shared_pixels(runs, shift, second.mask(j));
            }
        }
    }
}

}  // namespace segrt
