#include "merge_queries.h"

#include <algorithm>
#include <stdexcept>

#include "class_scores.h"
#include "kernels.h"
#include "thread_pool.h"

namespace segrt {
namespace {

constexpr Index kRowsPerChunk = 16;

// The masks of the kept queries on one grid, float32 and finite, with the part of the grid that the target shows.
struct Planes {
    std::span<const float*> at;
    Size size;
    Window window;
};

Window whole(Size size) {
    return {{0, static_cast<double>(size.height)}, {0, static_cast<double>(size.width)}};
}

class Merge {
public:
    Merge(const FloatTable& class_logits, const FloatStack& mask_logits, const MergeOptions& options,
          Map<std::int32_t> ids, std::vector<Segment>& segments)
        : mask_logits_(mask_logits), options_(options), ids_(ids), segments_(segments) {
        kept_ = confident_queries(frame_, class_logits, options.score_threshold, nonfinite_);
    }

    std::int64_t run() {
        segments_.clear();
        if (kept_.empty()) {
            clear_ids();
        } else if (kept_.size() < 256) {
            merge<std::uint8_t>();
        } else {
            merge<std::uint16_t>();
        }
        return nonfinite_;
    }

private:
    template <class Label>
    void merge() {
        Planes planes = read_planes();
        if (options_.processed_size) {
            planes = resize_planes(planes, *options_.processed_size);
        }
        if (options_.rule == MergeRule::detr) {
            merge_detr<Label>(planes);
            return;
        }
        const bool logits = options_.rule == MergeRule::eomt;
        if (!logits) {
            parallel_for(options_.threads, count(), 1, [&](Index begin, Index end, int) {
                for (Index k = begin; k < end; ++k) {
                    kernels().sigmoid(writable_[static_cast<std::size_t>(k)], planes.size.height * planes.size.width);
                }
            });
        }
        const auto weights = frame_.take<float>(count());
        for (std::size_t k = 0; k < kept_.size(); ++k) {
            weights[k] = kept_[k].score;
        }
        const Map<Label> labels = label_map<Label>({ids_.height, ids_.width});
        const auto tallies = label(planes, labels, weights.data(), logits ? Ranking::weighted_logit : Ranking::weighted);
        paint(labels, choose_segments(tallies));
    }

    [[nodiscard]] Index count() const { return static_cast<Index>(kept_.size()); }

    void clear_ids() {
        for (Index y = 0; y < ids_.height; ++y) {
            std::fill_n(ids_.row(y), ids_.width, 0);
        }
    }

    std::span<float*> new_planes(Size size) {
        const Index pixels = size.height * size.width;
        const auto memory = frame_.take<float>(count() * pixels);
        const auto planes = frame_.take<float*>(count());
        for (Index k = 0; k < count(); ++k) {
            planes[static_cast<std::size_t>(k)] = memory.data() + k * pixels;
        }
        return planes;
    }

    std::span<const float*> readable(std::span<float*> planes) {
        const auto pointers = frame_.take<const float*>(static_cast<Index>(planes.size()));
        std::copy(planes.begin(), planes.end(), pointers.begin());
        writable_ = planes;
        return pointers;
    }

    Planes read_planes() {
        const Size size{mask_logits_.height, mask_logits_.width};
        const auto planes = new_planes(size);
        const auto nonfinite = frame_.filled<std::int64_t>(options_.threads, 0);
        parallel_for(options_.threads, count(), 1, [&](Index begin, Index end, int slot) {
            for (Index k = begin; k < end; ++k) {
                float* target = planes[static_cast<std::size_t>(k)];
                for (Index y = 0; y < size.height; ++y, target += size.width) {
                    nonfinite[static_cast<std::size_t>(slot)] +=
                        kernels().read(mask_logits_.row(kept_[static_cast<std::size_t>(k)].query, y),
                                       mask_logits_.type, mask_logits_.strides[2], target, size.width);
                }
            }
        });
        for (const std::int64_t number : nonfinite) {
            nonfinite_ += number;
        }
        return {readable(planes), size, options_.window.value_or(whole(size))};
    }

    // The peers' first resize, of the whole grid to the size the network saw. What lies outside the window is padding
    // and is cut away, so that the second resize does not blend it in.
    Planes resize_planes(const Planes& from, Size processed) {
        const double row_scale = static_cast<double>(processed.height) / static_cast<double>(from.size.height);
        const double column_scale = static_cast<double>(processed.width) / static_cast<double>(from.size.width);
        Window window{{from.window.rows.begin * row_scale, from.window.rows.end * row_scale},
                      {from.window.columns.begin * column_scale, from.window.columns.end * column_scale}};
        const Cut rows(window.rows, processed.height), columns(window.columns, processed.width);
        const Axis row_axis =
            cut_axis(bilinear_axis(frame_, from.size.height, whole(from.size).rows, processed.height), rows);
        const Axis column_axis =
            cut_axis(bilinear_axis(frame_, from.size.width, whole(from.size).columns, processed.width), columns);
        const Size size{rows.length(), columns.length()};
        const auto planes = new_planes(size);
        parallel_for(options_.threads, count(), 1, [&](Index begin, Index end, int) {
            for (Index k = begin; k < end; ++k) {
                const auto at = static_cast<std::size_t>(k);
                kernels().resize(from.at[at], row_axis, column_axis, 0, size.height, planes[at]);
            }
        });
        window.rows.begin -= static_cast<double>(rows.begin);
        window.rows.end -= static_cast<double>(rows.begin);
        window.columns.begin -= static_cast<double>(columns.begin);
        window.columns.end -= static_cast<double>(columns.begin);
        return {readable(planes), size, window};
    }

    // The whole pixels that an extent touches.
    struct Cut {
        Index begin, end;

        Cut(Extent extent, Index length)
            : begin(std::clamp(static_cast<Index>(extent.begin), Index{0}, length - 1)),
              end(std::clamp(static_cast<Index>(extent.end + 0.999), begin + 1, length)) {}
        [[nodiscard]] Index length() const { return end - begin; }
    };

    static Axis cut_axis(Axis axis, Cut cut) {
        axis.low += cut.begin;
        axis.high += cut.begin;
        axis.low_weight += cut.begin;
        axis.high_weight += cut.begin;
        axis.length = cut.length();
        return axis;
    }

    template <class Label>
    Map<Label> label_map(Size size) {
        return {frame_.take<Label>(size.height * size.width).data(), size.height, size.width, size.width};
    }

    template <class Label>
    std::span<Tally> label(const Planes& planes, Map<Label> labels, const float* weights, Ranking ranking) {
        const auto channels = static_cast<Index>(planes.at.size());
        const LabelJob job{
            .planes = planes.at.data(),
            .weights = weights,
            .channels = channels,
            .rows = bilinear_axis(frame_, planes.size.height, planes.window.rows, labels.height, kAxisPadding),
            .columns = bilinear_axis(frame_, planes.size.width, planes.window.columns, labels.width, kAxisPadding),
            .ranking = ranking,
            .tally = true,
        };
        const auto tallies = frame_.filled<Tally>(options_.threads * channels, Tally{});
        parallel_for(options_.threads, labels.height, kRowsPerChunk, [&](Index begin, Index end, int slot) {
            Tally* own = tallies.data() + slot * channels;
            if constexpr (sizeof(Label) == 1) {
                kernels().label8(job, begin, end, labels, own);
            } else {
                kernels().label16(job, begin, end, labels, own);
            }
        });
        for (Index i = channels; i < options_.threads * channels; ++i) {
            tallies[static_cast<std::size_t>(i % channels)].add(tallies[static_cast<std::size_t>(i)]);
        }
        return tallies.first(planes.at.size());
    }

    [[nodiscard]] bool is_stuff(std::int32_t class_id) const {
        return std::find(options_.stuff_classes.begin(), options_.stuff_classes.end(), class_id) !=
               options_.stuff_classes.end();
    }

    // Enough of the query's own mask must be left. The ratio is a float32 compared as double, as torch's item() gives.
    [[nodiscard]] bool survives(const Tally& tally) const {
        if (tally.labelled == 0 || tally.original == 0 || tally.visible == 0) {
            return false;
        }
        const float ratio = static_cast<float>(tally.labelled) / static_cast<float>(tally.original);
        return static_cast<double>(ratio) > options_.overlap_threshold;
    }

    static Segment new_segment(std::int32_t id, const ScoredQuery& query, const Tally& tally) {
        return {.id = id,
                .class_id = query.class_id,
                .score = query.score,
                .area = tally.visible,
                .left = tally.left,
                .top = tally.top,
                .width = tally.right - tally.left + 1,
                .height = tally.bottom - tally.top + 1,
                .query = query.query};
    }

    // A fused segment covers both boxes and has the score and the query of the more confident one.
    static void fuse(Segment& segment, const Segment& other) {
        const std::int32_t right = std::max(segment.left + segment.width, other.left + other.width);
        const std::int32_t bottom = std::max(segment.top + segment.height, other.top + other.height);
        segment.left = std::min(segment.left, other.left);
        segment.top = std::min(segment.top, other.top);
        segment.width = right - segment.left;
        segment.height = bottom - segment.top;
        segment.area += other.area;
        if (other.score > segment.score) {
            segment.score = other.score;
            segment.query = other.query;
        }
    }

    // Appends the segment, or fuses it with the earlier one of the same stuff class. Returns its id.
    std::int32_t add_segment(const ScoredQuery& query, const Tally& tally) {
        const auto next = static_cast<std::int32_t>(segments_.size()) + 1;
        Segment segment = new_segment(next, query, tally);
        if (is_stuff(query.class_id)) {
            for (Segment& earlier : segments_) {
                if (earlier.class_id == query.class_id) {
                    fuse(earlier, segment);
                    return earlier.id;
                }
            }
        }
        segments_.push_back(segment);
        return next;
    }

    // transformers' DETR, MaskFormer and Mask2Former: after a fused repeat the counter falls back to the repeated id,
    // so that later segments share ids; one entry per query.
    std::span<std::int32_t> choose_segments_compat(std::span<const Tally> tallies) {
        const auto ids = frame_.filled<std::int32_t>(count() + 1, 0);
        std::int32_t current = 0;
        for (std::size_t k = 0; k < kept_.size(); ++k) {
            if (!survives(tallies[k])) {
                continue;
            }
            std::int32_t fused_id = 0;
            if (is_stuff(kept_[k].class_id)) {
                for (const Segment& earlier : segments_) {
                    fused_id = earlier.class_id == kept_[k].class_id ? earlier.id : fused_id;
                }
            }
            current = fused_id != 0 ? fused_id : current + 1;
            segments_.push_back(new_segment(current, kept_[k], tallies[k]));
            ids[k] = current;
        }
        return ids;
    }

    // The id of each label; the label after the last is void.
    std::span<std::int32_t> choose_segments(std::span<const Tally> tallies) {
        if (options_.compat && options_.rule != MergeRule::eomt) {
            return choose_segments_compat(tallies);
        }
        const auto ids = frame_.filled<std::int32_t>(count() + 1, 0);
        for (std::size_t k = 0; k < kept_.size(); ++k) {
            if (survives(tallies[k])) {
                ids[k] = add_segment(kept_[k], tallies[k]);
            }
        }
        return ids;
    }

    template <class Label>
    void paint(Map<Label> labels, std::span<const std::int32_t> id_of_label) {
        parallel_for(options_.threads, ids_.height, kRowsPerChunk, [&](Index begin, Index end, int) {
            for (Index y = begin; y < end; ++y) {
                const Label* label = labels.row(y);
                std::int32_t* id = ids_.row(y);
                for (Index x = 0; x < ids_.width; ++x) {
                    id[x] = id_of_label[label[x]];
                }
            }
        });
    }

    template <class Label>
    void merge_detr(const Planes& planes);

    static constexpr Index kAxisPadding = 64;

    ScratchFrame frame_;
    const FloatStack& mask_logits_;
    const MergeOptions& options_;
    Map<std::int32_t> ids_;
    std::vector<Segment>& segments_;
    std::span<ScoredQuery> kept_;
    std::span<float*> writable_;
    std::int64_t nonfinite_ = 0;
};

// facebookresearch/detr's PostProcessPanoptic: argmax of the logits at the processed size, nearest neighbour to the
// target, and segments of at most four pixels given to others until none is left. Queries of one stuff class are one
// segment. The original fuses stuff only the first time, onto the first query: the others then have no area, are
// dropped, and their region goes to whoever is next (compat).
template <class Label>
void Merge::merge_detr(const Planes& planes) {
    constexpr std::int64_t kSmallestArea = 5;
    const Size size = options_.processed_size ? planes.size : Size{ids_.height, ids_.width};
    const Map<Label> labels = label_map<Label>(size);
    Planes remaining = planes;
    bool fuse_stuff = true;
    for (;;) {
        const auto channels = remaining.at.size();
        // first_of[k]: the query whose segment the pixels of query k belong to.
        const auto first_of = frame_.take<std::size_t>(static_cast<Index>(channels));
        for (std::size_t k = 0; k < channels; ++k) {
            first_of[k] = k;
            for (std::size_t j = 0; fuse_stuff && j < k && first_of[k] == k; ++j) {
                if (kept_[j].class_id == kept_[k].class_id && is_stuff(kept_[k].class_id)) {
                    first_of[k] = j;
                }
            }
        }
        Planes shown = remaining;
        if (options_.processed_size) {
            shown.window = whole(size);
        }
        label(shown, labels, nullptr, Ranking::plain);
        const auto tallies = frame_.filled<Tally>(static_cast<Index>(channels), Tally{});
        const std::int32_t* rows = nearest_axis(
            frame_, size.height, options_.processed_size ? planes.window.rows : whole(size).rows, ids_.height);
        const std::int32_t* columns = nearest_axis(
            frame_, size.width, options_.processed_size ? planes.window.columns : whole(size).columns, ids_.width);
        for (Index y = 0; y < ids_.height; ++y) {
            const Label* row = labels.row(rows[y]);
            for (Index x = 0; x < ids_.width; ++x) {
                const std::size_t segment = first_of[row[columns[x]]];
                ids_.row(y)[x] = static_cast<std::int32_t>(segment);
                const auto column = static_cast<std::int32_t>(x), line = static_cast<std::int32_t>(y);
                tallies[segment].add({1, 1, 1, column, line, column, line});
            }
        }
        // Drop what is too small, whole fused groups at once.
        std::size_t left = 0;
        for (std::size_t k = 0; k < channels; ++k) {
            const std::size_t judged = options_.compat ? k : first_of[k];
            if (tallies[judged].visible >= kSmallestArea) {
                kept_[left] = kept_[k];
                remaining.at[left] = remaining.at[k];
                ++left;
            }
        }
        if (left == channels) {
            const auto ids = frame_.filled<std::int32_t>(static_cast<Index>(channels), 0);
            for (std::size_t k = 0; k < channels; ++k) {
                if (first_of[k] == k) {
                    segments_.push_back(new_segment(static_cast<std::int32_t>(segments_.size()) + 1, kept_[k], tallies[k]));
                    ids[k] = segments_.back().id;
                } else {
                    Segment& first = segments_[static_cast<std::size_t>(ids[first_of[k]] - 1)];
                    if (kept_[k].score > first.score) {
                        first.score = kept_[k].score;
                        first.query = kept_[k].query;
                    }
                }
            }
            for (Index y = 0; y < ids_.height; ++y) {
                for (Index x = 0; x < ids_.width; ++x) {
                    ids_.row(y)[x] = ids[static_cast<std::size_t>(ids_.row(y)[x])];
                }
            }
            return;
        }
        kept_ = kept_.first(left);
        remaining.at = remaining.at.first(left);
        if (left == 0) {
            clear_ids();
            return;
        }
        fuse_stuff = !options_.compat;
    }
}

}  // namespace

std::int64_t merge_queries(const FloatTable& class_logits, const FloatStack& mask_logits, const MergeOptions& options,
                           Map<std::int32_t> ids, std::vector<Segment>& segments) {
    if (class_logits.rows != mask_logits.count) {
        throw std::invalid_argument("class_logits and mask_logits must have the same number of queries, but have " +
                                    std::to_string(class_logits.rows) + " and " + std::to_string(mask_logits.count));
    }
    if (class_logits.columns < 2 || mask_logits.height < 1 || mask_logits.width < 1) {
        throw std::invalid_argument("class_logits must have shape (Q, C+1) and mask_logits (Q, h, w), none empty");
    }
    if (class_logits.rows > 65535) {
        throw std::invalid_argument("class_logits must have at most 65535 queries, but have " +
                                    std::to_string(class_logits.rows));
    }
    return Merge(class_logits, mask_logits, options, ids, segments).run();
}

}  // namespace segrt
