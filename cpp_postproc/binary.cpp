#include "binary.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "bilinear.h"
#include "kernels.h"
#include "label_job.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// Interpolation rounds: a row whose values come this close (as a share of themselves) to the threshold is not decided
// by its extremes.
constexpr float kSlack = 2e-6F;

struct ScoreRow {
    float* values = nullptr;  // as read
    float* wide = nullptr;    // at target width, once `is_wide`
    Index row = -1;
    bool above = false, below = false;  // whether all of it is surely on this side of the threshold
    bool is_wide = false;
};

// The source rows that one thread's target rows lie between, two at a time.
class ScoreRows {
public:
    ScoreRows(ScratchFrame& frame, const FloatStack& scores, const BinaryCut& cut, const Axis& columns)
        : scores_(scores), cut_(cut), columns_(columns), width_((columns.length + kBlock - 1) / kBlock * kBlock) {
        for (ScoreRow& source : held_) {
            source.values = frame.filled<float>(scores.width + kRowPadding, 0.0F).data();
            source.wide = frame.take<float>(width_).data();
        }
    }

    // Target rows from here on. Source rows before `own_row` are counted by others.
    void begin(Index own_row) { own_row_ = own_row; }

    [[nodiscard]] std::int64_t nonfinite() const { return nonfinite_; }

    // Brings a source row into memory, into another place than that of `keep`.
    ScoreRow& fetch(Index row, const ScoreRow* keep) {
        for (ScoreRow& source : held_) {
            if (source.row == row) {
                return source;
            }
        }
        ScoreRow& source = keep == held_ ? held_[1] : held_[0];
        const std::int64_t bad =
            kernels().read(scores_.row(0, row), scores_.type, scores_.strides[2], source.values, scores_.width);
        nonfinite_ += row >= own_row_ ? bad : 0;
        own_row_ = std::max(own_row_, row + 1);
        if (cut_.probabilities) {
            kernels().sigmoid(source.values, scores_.width);
        }
        float low = source.values[0], high = source.values[0];
        for (Index x = 1; x < scores_.width; ++x) {
            low = source.values[x] < low ? source.values[x] : low;
            high = source.values[x] > high ? source.values[x] : high;
        }
        const float slack = kSlack * std::max(std::fabs(low), std::fabs(high));
        source.row = row;
        source.above = low - slack > cut_.threshold;
        source.below = high + slack <= cut_.threshold;
        source.is_wide = false;
        return source;
    }

    [[nodiscard]] const float* widen(ScoreRow& source) const {
        if (!source.is_wide) {
            kernels().enlarge_row(source.values, columns_, source.wide, width_);
            source.is_wide = true;
        }
        return source.wide;
    }

private:
    const FloatStack& scores_;
    const BinaryCut& cut_;
    const Axis& columns_;
    const Index width_;
    Index own_row_ = 0;
    ScoreRow held_[2];
    std::int64_t nonfinite_ = 0;
};

}  // namespace

std::int64_t binary_map(const FloatStack& scores, const BinaryCut& cut, std::optional<Window> window, int threads,
                        Map<std::uint8_t> classes) {
    if (scores.count != 1 || scores.height < 1 || scores.width < 1) {
        throw std::invalid_argument("scores must have shape (1, h, w), none empty");
    }
    ScratchFrame frame;
    const Window shown = window.value_or(whole_window({scores.height, scores.width}));
    const Axis rows = bilinear_axis(frame, scores.height, shown.rows, classes.height);
    const Axis columns = bilinear_axis(frame, scores.width, shown.columns, classes.width, kBlock);
    const auto nonfinite = frame.filled<std::int64_t>(threads, 0);
    const auto step = static_cast<std::uint8_t>(cut.object - cut.other);
    parallel_rows(threads, classes.height, [&](Index begin, Index end, int slot) {
        ScratchFrame local;
        ScoreRows sources(local, scores, cut, columns);
        sources.begin(first_own_row(rows, begin));
        for (Index y = begin; y < end; ++y) {
            ScoreRow& upper = sources.fetch(rows.low[y], nullptr);
            ScoreRow& lower = sources.fetch(rows.high[y], &upper);
            std::uint8_t* row = classes.row(y);
            if ((upper.above && lower.above) || (upper.below && lower.below)) {
                std::fill_n(row, classes.width, upper.above ? cut.object : cut.other);
                continue;
            }
            kernels().cut_row(sources.widen(upper), rows.low_weight[y], sources.widen(lower), rows.high_weight[y],
                              cut.threshold, row, classes.width);
            if (step != 1 || cut.other != 0) {
                for (Index x = 0; x < classes.width; ++x) {
                    row[x] = static_cast<std::uint8_t>(cut.other + row[x] * step);
                }
            }
        }
        nonfinite[static_cast<std::size_t>(slot)] += sources.nonfinite();
    });
    return sum(nonfinite);
}

}  // namespace segrt
