#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "class_scores.h"
#include "float_math.h"
#include "grid_mask.h"
#include "instances.h"
#include "kernels.h"
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
    float quality = 0;  // mean probability over the cells above 0
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

// Mean probability of the cells above 0 whose centre lies in the window.
float mask_quality(const float* columns_of_grid, Index height, Index width, const Window& window) {
    double sum = 0;
    Index cells = 0;
    for (Index x = 0; x < width; ++x) {
        const double centre_x = static_cast<double>(x) + 0.5;
        if (centre_x < window.columns.begin || centre_x > window.columns.end) {
            continue;
        }
        for (Index y = 0; y < height; ++y) {
            const double centre_y = static_cast<double>(y) + 0.5;
            const float logit = columns_of_grid[x * height + y];
            if (logit > 0 && centre_y >= window.rows.begin && centre_y <= window.rows.end) {
                sum += static_cast<double>(sigmoid_float(logit));
                ++cells;
            }
        }
    }
    return static_cast<float>(sum / (static_cast<double>(cells) + 1e-6));
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

    const Index height = mask_logits.height, width = mask_logits.width;
    const Window window = options.window.value_or(whole_window({height, width}));
    const Axis rows = bilinear_axis(frame, height, window.rows, size.height);
    const Axis columns = bilinear_axis(frame, width, window.columns, size.width);
    const auto masks = frame.filled<QueryMask>(used, QueryMask{});
    const auto nonfinite = frame.filled<std::int64_t>(options.threads, 0);
    result.codes.resize(static_cast<std::size_t>(used));
    parallel_for(options.threads, used, 1, [&](Index begin, Index end, int thread) {
        thread_local std::vector<std::uint32_t> counts;
        ScratchFrame local;
        float* row = local.take<float>(width).data();
        float* grid = local.take<float>(height * width).data();
        for (Index i = begin; i < end; ++i) {
            const auto at = static_cast<std::size_t>(i);
            for (Index y = 0; y < height; ++y) {
                nonfinite[static_cast<std::size_t>(thread)] += kernels().read(
                    mask_logits.row(queries[at], y), mask_logits.type, mask_logits.strides[2], row, width);
                for (Index x = 0; x < width; ++x) {
                    grid[x * height + y] = row[x];
                }
            }
            masks[at].quality = options.weigh_by_mask ? mask_quality(grid, height, width, window) : 1.0F;
            encode_grid_mask({.grid = grid, .rows = rows, .columns = columns}, size.height, size.width, counts);
            masks[at].box = box_of_counts(counts, size.height);
            result.codes[at] = pack_counts(counts);
        }
    });
    result.nonfinite += sum(nonfinite);

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
