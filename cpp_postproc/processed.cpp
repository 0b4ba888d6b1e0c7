#include "processed.h"

#include <algorithm>

#include "kernels.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// The whole pixels that an extent touches.
struct Cut {
    Index begin, end;

    Cut(Extent extent, Index length)
        : begin(std::clamp(static_cast<Index>(extent.begin), Index{0}, length - 1)),
          end(std::clamp(static_cast<Index>(extent.end + 0.999), begin + 1, length)) {}

    [[nodiscard]] Axis part_of(const Axis& axis) const { return axis_from(axis, begin, end - begin); }

    [[nodiscard]] Extent shifted(Extent extent) const {
        return {extent.begin - static_cast<double>(begin), extent.end - static_cast<double>(begin)};
    }
};

}  // namespace

Axis axis_from(Axis axis, Index begin, Index length) {
    axis.low += begin;
    axis.high += begin;
    axis.low_weight += begin;
    axis.high_weight += begin;
    axis.length = length;
    return axis;
}

Processed processed_part(ScratchFrame& frame, Size grid, const Window& window, Size processed, Index padding) {
    const double row_scale = static_cast<double>(processed.height) / static_cast<double>(grid.height);
    const double column_scale = static_cast<double>(processed.width) / static_cast<double>(grid.width);
    const Extent shown_rows{window.rows.begin * row_scale, window.rows.end * row_scale};
    const Extent shown_columns{window.columns.begin * column_scale, window.columns.end * column_scale};
    const Cut row_cut(shown_rows, processed.height), column_cut(shown_columns, processed.width);
    const Window whole = whole_window(grid);
    return {row_cut.part_of(bilinear_axis(frame, grid.height, whole.rows, processed.height, padding)),
            column_cut.part_of(bilinear_axis(frame, grid.width, whole.columns, processed.width, padding)),
            {row_cut.shifted(shown_rows), column_cut.shifted(shown_columns)}};
}

ResizedRows::ResizedRows(ScratchFrame& frame, const FloatStack& stack, const Axis& rows, const Axis& columns)
    : stack_(stack),
      rows_(rows),
      columns_(columns),
      source_(frame.filled<float>(stack.width + kRowPadding, 0.0F).data()),
      wide_length_((columns.length + kBlock - 1) / kBlock * kBlock) {
    for (float*& wide : wide_) {
        wide = frame.take<float>(wide_length_).data();
    }
}

std::int64_t count_nonfinite(const FloatStack& stack, const Axis& rows, int threads) {
    ScratchFrame frame;
    const auto bad = frame.filled<std::int64_t>(threads, 0);
    const Index first = rows.low[0], last = rows.high[rows.length - 1];
    parallel_for(threads, stack.count, 1, [&](Index begin, Index end, int slot) {
        ScratchFrame local;
        float* row = local.take<float>(stack.width).data();
        for (Index image = begin; image < end; ++image) {
            for (Index y = first; y <= last; ++y) {
                bad[static_cast<std::size_t>(slot)] +=
                    kernels().read(stack.row(image, y), stack.type, stack.strides[2], row, stack.width);
            }
        }
    });
    return sum(bad);
}

void ResizedRows::make(Index image, Index begin, Index end, float* out, Index stride) {
    const Kernels& loops = kernels();
    Index held[2] = {-1, -1};
    const auto fetch = [&](Index row, int keep) {
        for (int place = 0; place < 2; ++place) {
            if (held[place] == row) {
                return place;
            }
        }
        const int place = keep == 0 ? 1 : 0;
        held[place] = row;
        loops.read(stack_.row(image, row), stack_.type, stack_.strides[2], source_, stack_.width);
        loops.enlarge_row(source_, columns_, wide_[place], wide_length_);
        return place;
    };
    for (Index y = begin; y < end; ++y) {
        const int above = fetch(rows_.low[y], -1);
        const int below = fetch(rows_.high[y], above);
        loops.blend_row(wide_[above], rows_.low_weight[y], wide_[below], rows_.high_weight[y],
                        out + (y - begin) * stride, columns_.length);
    }
}

}  // namespace segrt
