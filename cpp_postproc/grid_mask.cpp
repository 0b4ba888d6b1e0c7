#include "grid_mask.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "processed.h"
#include "scratch.h"

namespace segrt {
namespace {

// How many rows an axis may have for float32 to tell where in its cells they lie.
constexpr Index kMostRows = 8192;

// So that differences have normal reciprocals.
constexpr float kSafe = 1e37F;

bool is_safe(const GridMask& mask) {
    const Index rows = mask.rows.source_length;
    const float* const begin = mask.grid + mask.columns.low[0] * rows;
    const float* const end = mask.grid + (mask.columns.high[mask.columns.length - 1] + 1) * rows;
    std::uint32_t unsafe = 0;
    for (const float* value = begin; value < end; ++value) {
        unsafe |= std::fabs(*value) <= kSafe ? 0U : 1U;  // NaN is not, either
    }
    return unsafe == 0;
}

// Fills in where rows lie in their cells. All of an axis lies on one line but for what is held at its ends: where the
// first and the last row of a cell lie on it, so do those between.
void place_rows(ScratchFrame& frame, const Axis& rows, RowCells& cells) {
    const auto place = [&](Index y) { return double{rows.high_weight[y]} + rows.low[y]; };
    const Index from = rows.length / 4, to = rows.length - 1 - from;
    const double length = place(to) - place(from);
    if (rows.length > kMostRows || !(length > 0)) {
        return;
    }
    const double rows_in_cell = static_cast<double>(to - from) / length;
    const auto offsets = frame.take<float>(side_words(rows.source_length) * 64);
    constexpr double kOff = 1.0 / 1024;
    for (Index r = cells.first; r <= cells.last; ++r) {
        const Index first = cells.starts[r], last = cells.starts[r + 1] - 1;
        const double offset = static_cast<double>(first) - rows.high_weight[first] * rows_in_cell;
        const double off = offset + rows.high_weight[last] * rows_in_cell - static_cast<double>(last);
        const bool whole = offset > static_cast<double>(first - 1) - kOff &&
                           offset + rows_in_cell < static_cast<double>(last + 1) + kOff;
        offsets[static_cast<std::size_t>(r)] =
            whole && std::fabs(off) < kOff ? static_cast<float>(offset) : std::numeric_limits<float>::quiet_NaN();
    }
    cells.crosses_once = true;
    cells.rows_in_cell = static_cast<float>(rows_in_cell);
    cells.near = 1.0F / 256 + cells.rows_in_cell / 8192;
    cells.offsets = offsets.data();
}

RowCells row_cells(ScratchFrame& frame, const GridMask& mask) {
    const Axis& rows = mask.rows;
    const auto starts = frame.take<std::int32_t>(rows.source_length + 1);
    std::int32_t y = 0;
    for (std::size_t r = 0; r < starts.size(); ++r) {
        while (y < rows.length && rows.low[y] < static_cast<std::int32_t>(r)) {
            ++y;
        }
        starts[r] = y;
    }
    starts.back() = static_cast<std::int32_t>(rows.length);
    RowCells cells{.starts = starts.data(), .first = rows.low[0], .last = rows.low[rows.length - 1]};
    bool dense = true;  // a row in each cell
    for (Index r = cells.first; r <= cells.last; ++r) {
        const Index count = starts[static_cast<std::size_t>(r + 1)] - starts[static_cast<std::size_t>(r)];
        dense = dense && count >= 1;
        cells.plain = cells.plain && dense && count <= kRowsAtOnce;
    }
    if (dense && mask.threshold == 0 && is_safe(mask)) {
        place_rows(frame, rows, cells);
    }
    return cells;
}

Sides take_sides(ScratchFrame& frame, Index words) {
    return {frame.filled<std::uint64_t>(words, 0).data(), frame.filled<std::uint64_t>(words, 0).data()};
}

// Calls the kernel that finds a column's changes, with what it needs to know of the grid.
class Columns {
public:
    Columns(ScratchFrame& frame, const GridMask& mask)
        : mask_(mask),
          words_(side_words(mask.rows.source_length)),
          cells_(row_cells(frame, mask)),
          grid_(take_sides(frame, words_ * mask.columns.source_length)),
          shared_(take_sides(frame, words_ + 1)),
          memory_{.values = frame.filled<float>(64 * words_ + 1, 0.0F).data(),
                  .sides = take_sides(frame, words_ + 1),
                  .decided = frame.filled<std::uint64_t>(words_ + 1, 0).data()} {
        for (Index c = mask.columns.low[0]; c <= mask.columns.high[mask.columns.length - 1]; ++c) {
            kernels().grid_sides(mask.grid + c * mask.rows.source_length, mask.rows.source_length, mask.threshold,
                                 {grid_.above + c * words_, grid_.below + c * words_});
        }
    }

    // The positions of the changes in target column x; see Kernels::column_changes.
    Index changes(Index x, bool inside, std::int64_t start, std::uint32_t* positions) {
        if (x == 0 || mask_.columns.low[x] != mask_.columns.low[x - 1] ||
            mask_.columns.high[x] != mask_.columns.high[x - 1]) {
            share(mask_.columns.low[x] * words_, mask_.columns.high[x] * words_);
        }
        if (is_below_ && !inside) {
            return 0;
        }
        return kernels().column_changes(mask_, x, cells_, shared_, inside, memory_, static_cast<std::uint32_t>(start),
                                        positions);
    }

private:
    // The sides that two grid columns have in common, at these offsets.
    void share(Index left, Index right) {
        std::uint64_t clear = ~std::uint64_t{0};
        for (Index word = 0; word < words_; ++word) {
            shared_.above[word] = grid_.above[left + word] & grid_.above[right + word];
            shared_.below[word] = grid_.below[left + word] & grid_.below[right + word];
            const Index rows = std::max<Index>(mask_.rows.source_length - 64 * word, 0);
            clear &= shared_.below[word] | (rows >= 64 ? 0U : ~std::uint64_t{0} << rows);
        }
        is_below_ = clear == ~std::uint64_t{0};
    }

    const GridMask& mask_;
    const Index words_;
    const RowCells cells_;
    const Sides grid_, shared_;
    const ColumnMemory memory_;
    bool is_below_ = false;  // all of both columns
};

// Adds the target pixels [first, end) of column x.
void add_column(const GridMask& mask, Index x, Index first, Index end, MeanProbability& mean) {
    ScratchFrame frame;
    const Kernels& loops = kernels();
    const Index grid_rows = mask.rows.source_length, padded = (end - first + kBlock - 1) / kBlock * kBlock;
    float* column = frame.take<float>(grid_rows + kGridPadding).data();
    loops.blend_row(mask.grid + mask.columns.low[x] * grid_rows, mask.columns.low_weight[x],
                    mask.grid + mask.columns.high[x] * grid_rows, mask.columns.high_weight[x], column, grid_rows);
    float* enlarged = frame.take<float>(padded).data();
    loops.enlarge_row(column, axis_from(mask.rows, first, end - first), enlarged, padded);
    Index cells = 0;
    mean.sum += static_cast<double>(loops.sum_probabilities(enlarged, end - first, &cells));
    mean.cells += cells;
}

// The positions where a mask changes, and how many they are; a vector that grows by doubling, whose elements are
// written before they count.
class Positions {
public:
    explicit Positions(std::vector<std::uint32_t>& memory) : memory_(memory) {}

    // Room for so many more.
    std::uint32_t* room(Index more) {
        const auto needed = static_cast<std::size_t>(count_ + more);
        if (memory_.size() < needed) {
            memory_.resize(std::max(needed, 2 * memory_.size()));
        }
        return memory_.data() + count_;
    }
    void add(Index written) { count_ += written; }
    void push(std::int64_t position) {
        *room(1) = static_cast<std::uint32_t>(position);
        ++count_;
    }

    // Makes counts of them, of a mask of so many pixels.
    void finish(std::int64_t size) {
        const std::uint32_t last = count_ > 0 ? memory_[static_cast<std::size_t>(count_ - 1)] : 0;
        if (size > last || count_ == 0) {
            push(size);
        }
        memory_.resize(static_cast<std::size_t>(count_));
        std::adjacent_difference(memory_.begin(), memory_.end(), memory_.begin());
    }

private:
    std::vector<std::uint32_t>& memory_;
    Index count_ = 0;
};

// Adds the changes of all target columns; `mean`: see encode_grid_mask.
void add_changes(const GridMask& mask, Index height, Positions& positions, MeanProbability* mean) {
    ScratchFrame frame;
    Columns columns(frame, mask);
    const bool to_the_bottom = mask.top + mask.rows.length == height;
    bool open = false;  // the mask reached the bottom of the column before
    for (Index x = 0; x < mask.columns.length; ++x) {
        const std::int64_t top = (mask.left + x) * height, start = top + mask.top;
        if (open && mask.top > 0) {
            positions.push(top);
            open = false;
        }
        std::uint32_t* changes = positions.room(mask.rows.length + 1 + kPositionPadding);
        const Index count = columns.changes(x, open, start, changes);
        const bool inside = open != (count % 2 == 1);
        if (mean != nullptr) {
            // From the first pixel that belongs to the mask to the last.
            const bool ends_at_once = open && count > 0 && changes[0] == start;
            const Index skipped = ends_at_once ? 1 : 0;
            if (count > skipped || inside) {
                const Index first = open && !ends_at_once ? 0 : Index{changes[skipped]} - start;
                add_column(mask, x, first, inside ? mask.rows.length : Index{changes[count - 1]} - start, *mean);
            }
        }
        positions.add(count);
        open = inside && to_the_bottom;
        if (inside && !to_the_bottom) {
            positions.push(start + mask.rows.length);
        }
    }
    if (open) {
        positions.push((mask.left + mask.columns.length) * height);
    }
}

}  // namespace

void encode_grid_mask(const GridMask& mask, Index height, Index width, std::vector<std::uint32_t>& counts,
                      MeanProbability* mean) {
    Positions positions(counts);
    if (!mask.empty()) {
        add_changes(mask, height, positions, mean);
    }
    positions.finish(height * width);
}

void paint_grid_mask(const GridMask& mask, Map<std::uint8_t> picture) {
    if (mask.empty()) {
        return;
    }
    ScratchFrame frame;
    const Kernels& loops = kernels();
    const Index grid_width = mask.columns.source_length;
    const Index width = (mask.columns.length + kBlock - 1) / kBlock * kBlock;
    const Index first = mask.rows.low[0], last = mask.rows.high[mask.rows.length - 1];
    float* enlarged = frame.take<float>((last - first + 1) * width).data();
    for (Index r = first; r <= last; ++r) {
        loops.enlarge_row(mask.grid + r * grid_width, mask.columns, enlarged + (r - first) * width, width);
    }
    for (Index y = 0; y < mask.rows.length; ++y) {
        loops.cut_row(enlarged + (mask.rows.low[y] - first) * width, mask.rows.low_weight[y],
                      enlarged + (mask.rows.high[y] - first) * width, mask.rows.high_weight[y], mask.threshold,
                      picture.row(mask.top + y) + mask.left, mask.columns.length);
    }
}

}  // namespace segrt
