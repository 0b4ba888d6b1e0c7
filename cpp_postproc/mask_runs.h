// Masks as runs along lines, one mask after the other: what masks of two frames share is counted from them without
// looking at a pixel again, each mask moved as its object has moved.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "views.h"

namespace segrt {

// The pixels [begin, end) of a line: a row of a label map, a column of COCO's run lengths.
struct LineRun {
    std::int32_t line = 0, begin = 0, end = 0;
};

// Mask i has runs[starts[i]] to runs[starts[i + 1] - 1], by line and then by begin; they do not overlap each other.
struct MaskRuns {
    std::vector<LineRun> runs;
    std::vector<std::int64_t> starts;
};

// The same, read in place. `check_runs` throws std::invalid_argument unless starts describe the runs.
struct MaskRunsView {
    std::span<const LineRun> runs;
    std::span<const std::int64_t> starts;

    [[nodiscard]] std::size_t count() const { return starts.size() - 1; }
    [[nodiscard]] std::span<const LineRun> mask(std::size_t i) const {
        return runs.subspan(static_cast<std::size_t>(starts[i]), static_cast<std::size_t>(starts[i + 1] - starts[i]));
    }
};

void check_runs(const MaskRunsView& masks, const char* name);

// How far a mask is moved before it is compared: to higher lines, and along them.
struct LineShift {
    std::int64_t lines = 0, along = 0;
};

// What is known of a mask: its pixels and where they reach; all 0 when it is empty.
struct RunExtent {
    std::int64_t area = 0, first_line = 0, begin = 0, last_line = 0, end = 0;  // last_line and end are exclusive
};

// The rows' runs of each of the distinct `ids` of a label map (uint8, uint16 or int32), in one pass over it.
void runs_of_map(const ClassMap& map, std::span<const std::int32_t> ids, MaskRuns& masks);

// Copies of the masks of these `places`, in their order: those of `second` are counted on from those of `first`. Throws
// std::invalid_argument for a place that is none.
void take_runs(const MaskRunsView& first, const MaskRunsView& second, std::span<const std::int64_t> places,
               MaskRuns& masks);

// The columns' runs of COCO's packed codes, all of one size.
void runs_of_codes(std::span<const std::string> codes, Size size, MaskRuns& masks);

[[nodiscard]] RunExtent extent_of(std::span<const LineRun> runs);
[[nodiscard]] std::vector<RunExtent> extents_of(const MaskRunsView& masks);

// COCO's packed codes of masks whose lines are columns, one for each. The runs of a mask may come in any order and
// overlap: they are united. Throws std::invalid_argument for a run that is not inside a picture of `size`.
void codes_of_runs(const MaskRunsView& masks, Size size, std::vector<std::string>& codes);

// Counts the pixels that each mask of `first`, moved by its shift, has in common with each of `second`: `counts` has
// shape (first, second), row-major, and is overwritten.
void count_shared(const MaskRunsView& first, std::span<const LineShift> shifts, const MaskRunsView& second,
                  std::span<std::int64_t> counts);

// The same where the extents of `first`, whose starts have been checked, are known.
void count_shared(const MaskRunsView& first, std::span<const RunExtent> extents, std::span<const LineShift> shifts,
                  const MaskRunsView& second, std::span<std::int64_t> counts);

}  // namespace segrt
