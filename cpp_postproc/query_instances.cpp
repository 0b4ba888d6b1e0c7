#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>

#include "class_scores.h"
#include "column_grid.h"
#include "float_math.h"
#include "grid_mask.h"
#include "instances.h"
#include "kernels.h"
#include "processed.h"
#include "rle.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

struct Candidate {
    float score;
    std::int32_t query, class_id;
};

struct QueryMask {
    float quality = 0;  // mean probability where it is above 0
    PixelBox box;
};

// The pairs of highest class probability; of equal ones, the earlier query and class.
std::span<Candidate> best_pairs(ScratchFrame& frame, const FloatTable& logits, const QueryInstanceOptions& options,
                                std::int64_t& nonfinite) {
    const bool exclusive = options.activation == Activation::softmax;
    const Index classes = logits.columns - (exclusive ? 1 : 0);
    const auto row = frame.take<float>(logits.columns);
    const auto pairs = frame.take<Candidate>(logits.rows * classes);
    std::size_t count = 0;
    for (Index query = 0; query < logits.rows; ++query) {
        nonfinite += kernels().read(logits.row(query), logits.type, logits.strides[1], row.data(), logits.columns);
        if (exclusive) {
            softmax(row);
        } else {
            kernels().sigmoid(row.data(), logits.columns);
        }
        for (Index c = 0; c < classes; ++c) {
            const float score = row[static_cast<std::size_t>(c)];
            // Weighing by the mask only lowers a score, so what is not above the threshold now never will be.
            if (score > options.score_threshold) {
                pairs[count++] = {score, static_cast<std::int32_t>(query), static_cast<std::int32_t>(c)};
            }
        }
    }
    const auto found = pairs.first(count);
    const std::size_t kept = std::min(count, static_cast<std::size_t>(options.top_k));
    const auto better = [](const Candidate& a, const Candidate& b) {
        if (a.score != b.score) {
            return a.score > b.score;
        }
        return a.query != b.query ? a.query < b.query : a.class_id < b.class_id;
    };
    std::partial_sort(found.begin(), found.begin() + static_cast<Index>(kept), found.end(), better);
    return found.first(kept);
}

// The mask logits of one query, column after column.
struct Grid {
    float* values = nullptr;
    Index height = 0, width = 0;
    std::int64_t nonfinite = 0;

    Grid(ScratchFrame& frame, const FloatStack& logits)
        : values(frame.take<float>(logits.height * logits.width).data()), height(logits.height), width(logits.width) {}

    void read(const FloatStack& logits, Index query) { nonfinite = read_columns(logits, query, values); }
};

// The cells whose centre lies in the extent.
Index first_within(Extent extent) {
    return static_cast<Index>(std::ceil(extent.begin - 0.5));
}
Index last_within(Extent extent) {
    return static_cast<Index>(std::floor(extent.end - 0.5));
}

// Mean probability of the grid's cells above 0 whose centre lies in the window.
float mask_quality(const Grid& grid, const Window& window) {
    const Index top = std::max(first_within(window.rows), Index{0});
    const Index bottom = std::min(last_within(window.rows), grid.height - 1);
    const Index right = std::min(last_within(window.columns), grid.width - 1);
    MeanProbability mean;
    for (Index x = std::max(first_within(window.columns), Index{0}); x <= right && top <= bottom; ++x) {
        mean.sum += kernels().add_probabilities(grid.values + x * grid.height + top, bottom - top + 1, &mean.cells);
    }
    return mean.value();
}

// Inclusive ranges of cells; none when empty.
struct Cells {
    Index top = 0, bottom = -1, left = 0, right = -1;

    [[nodiscard]] bool empty() const { return bottom < top; }
};

// The cells above 0 and their neighbours: an interpolated value is above 0 nowhere else.
Cells live_cells(const Grid& grid) {
    Cells cells{grid.height, -1, grid.width, -1};
    for (Index x = 0; x < grid.width; ++x) {
        const float* column = grid.values + x * grid.height;
        const float* end = column + grid.height;
        const float* first = std::find_if(column, end, [](float value) { return value > 0; });
        if (first == end) {
            continue;
        }
        const float* last = end - 1;
        while (!(*last > 0)) {
            --last;
        }
        cells.top = std::min(cells.top, static_cast<Index>(first - column));
        cells.bottom = std::max(cells.bottom, static_cast<Index>(last - column));
        cells.left = std::min(cells.left, x);
        cells.right = x;
    }
    return cells;
}

// The target entries that look at the sources [first, last], and one more on either side.
std::pair<Index, Index> targets_of(const Axis& axis, Index first, Index last) {
    Index begin = 0, end = axis.length;
    while (begin < end && axis.high[begin] < first) {
        ++begin;
    }
    while (end > begin && axis.low[end - 1] > last) {
        --end;
    }
    return {std::max(begin - 1, Index{0}), std::min(end + 1, axis.length)};
}

// The masks at the processed size, column after column. Only where they may be above 0, and next to it, are they
// computed: all other cells hold -1, which no pixel of the mask ever looks at.
class ProcessedMasks {
public:
    ProcessedMasks(ScratchFrame& frame, const FloatStack& logits, const Processed& part)
        : logits_(logits), part_(part), values_(frame.take<float>(part.rows.length * part.columns.length).data()) {}

    void make(ScratchFrame& frame, Index query, const Grid& grid) {
        const Index height = part_.rows.length, width = part_.columns.length;
        std::fill_n(values_, height * width, -1.0F);
        live_ = {};
        const Cells cells = live_cells(grid);
        if (cells.empty()) {
            return;
        }
        const auto [top, bottom] = targets_of(part_.rows, cells.top, cells.bottom);
        const auto [left, right] = targets_of(part_.columns, cells.left, cells.right);
        live_ = {top, bottom - 1, left, right - 1};
        const Index wide = right - left;
        if (wide < 1) {
            return;
        }
        ResizedRows resized(frame, logits_, part_.rows, axis_from(part_.columns, left, wide));
        float* rows = frame.take<float>((bottom - top) * wide).data();
        resized.make(query, top, bottom, rows, wide);
        for (Index x = 0; x < wide; ++x) {
            float* column = values_ + (left + x) * height;
            for (Index y = top; y < bottom; ++y) {
                column[y] = rows[(y - top) * wide + x];
            }
        }
    }

    [[nodiscard]] const float* values() const { return values_; }

    // Of the cells whose centre lies in the window.
    [[nodiscard]] MeanProbability mean() const {
        MeanProbability mean;
        const Index first = std::max(live_.top, first_within(part_.window.rows));
        const Index last = std::min(live_.bottom, last_within(part_.window.rows));
        const Index end = std::min(live_.right, last_within(part_.window.columns));
        for (Index x = std::max(live_.left, first_within(part_.window.columns)); x <= end && first <= last; ++x) {
            Index cells = 0;
            mean.sum += static_cast<double>(
                kernels().sum_probabilities(values_ + x * part_.rows.length + first, last - first + 1, &cells));
            mean.cells += cells;
        }
        return mean;
    }

private:
    const FloatStack& logits_;
    const Processed& part_;
    float* values_;
    Cells live_;
};

// Writes the run lengths, boxes and qualities of the queries' masks; returns how many values are not finite.
std::int64_t encode_masks(ScratchFrame& frame, const FloatStack& logits, Size size, const QueryInstanceOptions& options,
                          std::span<const std::int32_t> queries, std::span<QueryMask> masks,
                          std::vector<std::string>& codes) {
    const Size grid_size{logits.height, logits.width};
    const Window window = options.window.value_or(whole_window(grid_size));
    const bool at_picture = options.weigh_by_mask && options.score_at == ScoreAt::picture;
    const bool at_processed = options.weigh_by_mask && options.score_at == ScoreAt::processed;
    const bool at_grid = options.weigh_by_mask && options.score_at == ScoreAt::grid;
    Processed part;
    if (options.processed_size) {
        part = processed_part(frame, grid_size, window, *options.processed_size, kBlock);
    } else {
        part.rows.length = grid_size.height;
        part.columns.length = grid_size.width;
        part.window = window;
    }
    const Size shown = part.size();
    const Axis rows = bilinear_axis(frame, shown.height, part.window.rows, size.height, at_picture ? kBlock : Index{0});
    const Axis columns = bilinear_axis(frame, shown.width, part.window.columns, size.width);
    const auto nonfinite = frame.filled<std::int64_t>(options.threads, 0);
    parallel_for(options.threads, static_cast<Index>(queries.size()), 1, [&](Index begin, Index end, int thread) {
        thread_local std::vector<std::uint32_t> counts;
        ScratchFrame local;
        Grid grid(local, logits);
        std::optional<ProcessedMasks> processed;
        if (options.processed_size) {
            processed.emplace(local, logits, part);
        }
        for (Index i = begin; i < end; ++i) {
            ScratchFrame own;
            const auto at = static_cast<std::size_t>(i);
            grid.read(logits, queries[at]);
            nonfinite[static_cast<std::size_t>(thread)] += grid.nonfinite;
            if (processed) {
                processed->make(own, queries[at], grid);
            }
            MeanProbability mean;
            const float* values = processed ? processed->values() : grid.values;
            encode_grid_mask({.grid = values, .rows = rows, .columns = columns}, size.height, size.width, counts,
                             at_picture ? &mean : nullptr);
            masks[at].box = box_of_counts(counts, size.height);
            codes[at] = pack_counts(counts);
            if (at_grid) {
                masks[at].quality = mask_quality(grid, window);
            } else if (processed && at_processed) {
                masks[at].quality = processed->mean().value();
            } else {
                masks[at].quality = at_picture ? mean.value() : 1.0F;
            }
        }
    });
    return sum(nonfinite);
}

}  // namespace

QueryInstances query_instances(const FloatTable& class_logits, const FloatStack& mask_logits, Size size,
                               const QueryInstanceOptions& options) {
    if (class_logits.rows != mask_logits.count) {
        throw std::invalid_argument("class_logits and mask_logits must have the same number of queries, but have " +
                                    std::to_string(class_logits.rows) + " and " + std::to_string(mask_logits.count));
    }
    if (mask_logits.height < 1 || mask_logits.width < 1 || class_logits.columns < 1) {
        throw std::invalid_argument("class_logits must have shape (Q, C+1) and mask_logits (Q, h, w), none empty");
    }
    if (options.score_at == ScoreAt::processed && !options.processed_size) {
        throw std::invalid_argument("scores at the processed size need a processed size");
    }
    QueryInstances result;
    ScratchFrame frame;
    const auto pairs = best_pairs(frame, class_logits, options, result.nonfinite);

    // Each query once, however many classes it was found under.
    const auto slot_of_query = frame.filled<std::int32_t>(class_logits.rows, -1);
    const auto queries = frame.take<std::int32_t>(static_cast<Index>(pairs.size()));
    std::int32_t used = 0;
    for (const Candidate& pair : pairs) {
        std::int32_t& slot = slot_of_query[static_cast<std::size_t>(pair.query)];
        if (slot < 0) {
            slot = used;
            queries[static_cast<std::size_t>(used++)] = pair.query;
        }
    }

    const auto masks = frame.filled<QueryMask>(used, QueryMask{});
    result.codes.resize(static_cast<std::size_t>(used));
    result.nonfinite += encode_masks(frame, mask_logits, size, options, queries.first(static_cast<std::size_t>(used)),
                                     masks, result.codes);

    for (const Candidate& pair : pairs) {
        const std::int32_t slot = slot_of_query[static_cast<std::size_t>(pair.query)];
        const QueryMask& mask = masks[static_cast<std::size_t>(slot)];
        const float score = pair.score * mask.quality;
        if (mask.box.right > 0 && score > options.score_threshold) {
            result.instances.push_back({.class_id = pair.class_id,
                                        .score = score,
                                        .left = static_cast<float>(mask.box.left),
                                        .top = static_cast<float>(mask.box.top),
                                        .right = static_cast<float>(mask.box.right),
                                        .bottom = static_cast<float>(mask.box.bottom),
                                        .mask = slot});
        }
    }
    std::stable_sort(result.instances.begin(), result.instances.end(),
                     [](const Instance& a, const Instance& b) { return a.score > b.score; });
    return result;
}

}  // namespace segrt
