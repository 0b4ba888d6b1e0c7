#include "class_sums.h"

#include <algorithm>
#include <numeric>

#include "kernels.h"
#include "labelling.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// Source columns whose probabilities are bounded together.
constexpr Index kTileColumns = 64;

// As many source rows as stay in a cache, with the probabilities or the sums of all of them.
Index rows_at_once(const ClassSums& sums) {
    constexpr Index kFloats = Index{1} << 19U;
    return std::clamp(kFloats / (std::max(sums.queries, sums.classes) * sums.source.width), Index{4}, Index{16});
}

// Finds the classes that may win anywhere in a band of rows. With the least and the largest probability that a query
// has in a tile, the sum of each class is bounded; interpolation stays between. A class whose upper bound is below
// another's lower bound in every tile wins no pixel, nor ties for one, so that its sums are not needed. Two
// neighbouring columns lie in one tile at least, for tiles share their outermost columns.
class Rivals {
public:
    Rivals(ScratchFrame& frame, const ClassSums& sums)
        : sums_(sums),
          least_(frame.take<float>(sums.source.width)),
          most_(frame.take<float>(sums.source.width)),
          low_(frame.take<float>(tiles() * sums.classes)),
          high_(frame.take<float>(tiles() * sums.classes)),
          best_(frame.take<float>(tiles())),
          classes_(frame.take<std::int32_t>(sums.classes)) {}

    // probabilities: [query][row][column], queries `plane` apart.
    std::span<const std::int32_t> find(const float* probabilities, Index plane, Index rows) {
        std::fill(low_.begin(), low_.end(), 0.0F);
        std::fill(high_.begin(), high_.end(), 0.0F);
        for (Index q = 0; q < sums_.queries; ++q) {
            bound_columns(probabilities + q * plane, rows);
            add_query(sums_.scores + q * sums_.score_stride);
        }
        return those_not_beaten();
    }

private:
    [[nodiscard]] Index tiles() const { return (sums_.source.width + kTileColumns - 1) / kTileColumns; }

    void bound_columns(const float* rows, Index count) {
        const Index width = sums_.source.width;
        float* least = least_.data();
        float* most = most_.data();
        std::copy_n(rows, width, least);
        std::copy_n(rows, width, most);
        for (Index y = 1; y < count; ++y) {
            const float* row = rows + y * width;
            for (Index x = 0; x < width; ++x) {
                least[x] = std::min(least[x], row[x]);
                most[x] = std::max(most[x], row[x]);
            }
        }
    }

    void add_query(const float* scores) {
        for (Index tile = 0; tile < tiles(); ++tile) {
            const Index begin = tile * kTileColumns;
            const Index end = std::min(begin + kTileColumns + 1, sums_.source.width);
            const float least = *std::min_element(least_.begin() + begin, least_.begin() + end);
            const float most = *std::max_element(most_.begin() + begin, most_.begin() + end);
            float* low = low_.data() + tile * sums_.classes;
            float* high = high_.data() + tile * sums_.classes;
            for (Index c = 0; c < sums_.classes; ++c) {
                low[c] += scores[c] * least;
                high[c] += scores[c] * most;
            }
        }
    }

    std::span<const std::int32_t> those_not_beaten() {
        // Each of the products and sums of numbers that are not negative, here, in the kernels and in interpolation,
        // rounds by at most 2^-24 of itself, or by a fixed amount far below kSmallest.
        const float slack = static_cast<float>(sums_.queries + 16) * 0x1p-22F;
        constexpr float kSmallest = 1e-30F;
        for (Index tile = 0; tile < tiles(); ++tile) {
            const auto begin = low_.begin() + tile * sums_.classes;
            best_[static_cast<std::size_t>(tile)] = *std::max_element(begin, begin + sums_.classes) * (1 - slack);
        }
        std::size_t count = 0;
        for (Index c = 0; c < sums_.classes; ++c) {
            bool rival = false;
            for (Index tile = 0; tile < tiles() && !rival; ++tile) {
                rival = high_[static_cast<std::size_t>(tile * sums_.classes + c)] * (1 + slack) + kSmallest >=
                        best_[static_cast<std::size_t>(tile)];
            }
            if (rival) {
                classes_[count++] = static_cast<std::int32_t>(c);
            }
        }
        return classes_.first(count);
    }

    const ClassSums& sums_;
    const std::span<float> least_, most_;  // [column], of one query
    const std::span<float> low_, high_;    // [tile][class]
    const std::span<float> best_;          // [tile], what a class must reach
    const std::span<std::int32_t> classes_;
};

// One thread's bands of target rows.
template <class Label>
class SumLabeller {
public:
    SumLabeller(ScratchFrame& frame, const ClassSums& sums, const Axis& rows, const Axis& columns, Map<Label> labels)
        : sums_(sums),
          rows_(rows),
          labels_(labels),
          at_once_(rows_at_once(sums)),
          plane_(at_once_ * sums.source.width),
          rivals_(frame, sums),
          probabilities_(frame.take<float>(sums.queries * plane_).data()),
          values_(frame.take<float>(sums.classes * plane_).data()),
          weights_(frame.take<float>(sums.queries * sums.classes).data()),
          low_(frame.take<std::int32_t>(labels.height).data()),
          high_(frame.take<std::int32_t>(labels.height).data()) {
        constexpr Index kFloat = sizeof(float);
        const auto images = frame.take<std::int32_t>(sums.classes);
        std::iota(images.begin(), images.end(), 0);
        job_ = {.source = {.data = reinterpret_cast<const std::byte*>(values_),
                           .type = FloatType::float32,
                           .count = sums.classes,
                           .height = at_once_,
                           .width = sums.source.width,
                           .strides = {plane_ * kFloat, sums.source.width * kFloat, kFloat}},
                .images = images.data(),
                .channels = sums.classes,
                .rows = {},
                .columns = columns};
        memory_ = label_memory(frame, job_);
    }

    // Target rows [begin, end).
    void run(Index begin, Index end, int slot) {
        for (Index top = begin; top < end;) {
            const Index first = rows_.low[top];
            Index bottom = top;
            while (bottom < end && rows_.high[bottom] < first + at_once_) {
                low_[bottom] = static_cast<std::int32_t>(rows_.low[bottom] - first);
                high_[bottom] = static_cast<std::int32_t>(rows_.high[bottom] - first);
                ++bottom;
            }
            const Index stop = rows_.high[bottom - 1] + 1;
            sums_.make(first, stop, probabilities_, plane_, slot);
            label_band(top, bottom, stop - first);
            top = bottom;
        }
    }

private:
    void label_band(Index top, Index bottom, Index source_rows) {
        const Map<Label> band{labels_.row(top), bottom - top, labels_.width, labels_.stride};
        const auto classes = rivals_.find(probabilities_, plane_, source_rows);
        if (classes.size() == 1) {
            fill_map(band, static_cast<Label>(classes[0]));
            return;
        }
        const auto count = static_cast<Index>(classes.size());
        add_up(classes, source_rows);
        job_.channels = count;
        job_.rows = {at_once_, bottom - top, low_ + top, high_ + top, rows_.low_weight + top, rows_.high_weight + top};
        run_label(job_, band, memory_);
        if (count == sums_.classes) {
            return;
        }
        for (Index y = 0; y < band.height; ++y) {
            Label* row = band.row(y);
            for (Index x = 0; x < band.width; ++x) {
                row[x] = static_cast<Label>(classes[row[x]]);
            }
        }
    }

    void add_up(std::span<const std::int32_t> classes, Index source_rows) {
        const auto count = static_cast<Index>(classes.size());
        for (Index q = 0; q < sums_.queries; ++q) {
            const float* scores = sums_.scores + q * sums_.score_stride;
            std::transform(classes.begin(), classes.end(), weights_ + q * count,
                           [scores](std::int32_t c) { return scores[c]; });
        }
        const Index width = sums_.source.width;
        for (Index y = 0; y < source_rows; ++y) {
            kernels().combine_classes(weights_, count, count, probabilities_ + y * width, plane_, sums_.queries, width,
                                      values_ + y * width, plane_);
        }
    }

    const ClassSums& sums_;
    const Axis rows_;
    const Map<Label> labels_;
    const Index at_once_, plane_;
    Rivals rivals_;
    float *const probabilities_, *const values_;  // [query or class][row][column]
    float* const weights_;                        // [query][class that may win]
    std::int32_t *const low_, *const high_;
    LabelJob job_;
    LabelMemory memory_;
};

}  // namespace

template <class Label>
void label_sums(const ClassSums& sums, const Axis& rows, const Axis& columns, int threads, Map<Label> labels) {
    parallel_rows(threads, labels.height, [&](Index begin, Index end, int slot) {
        ScratchFrame frame;
        SumLabeller<Label>(frame, sums, rows, columns, labels).run(begin, end, slot);
    });
}

template void label_sums(const ClassSums&, const Axis&, const Axis&, int, Map<std::uint8_t>);
template void label_sums(const ClassSums&, const Axis&, const Axis&, int, Map<std::uint16_t>);

}  // namespace segrt
