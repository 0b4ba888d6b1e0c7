#include "merge_queries.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "class_scores.h"
#include "kernels.h"
#include "labelling.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// The masks of the kept queries: images of a stack, and the part of its grid that the target shows.
struct Masks {
    FloatStack stack;
    std::span<std::int32_t> images;
    Window window;
};

// The whole pixels that an extent touches.
struct Cut {
    Index begin, end;

    Cut(Extent extent, Index length)
        : begin(std::clamp(static_cast<Index>(extent.begin), Index{0}, length - 1)),
          end(std::clamp(static_cast<Index>(extent.end + 0.999), begin + 1, length)) {}

    [[nodiscard]] Index length() const { return end - begin; }

    [[nodiscard]] Axis part_of(Axis axis) const {
        axis.low += begin;
        axis.high += begin;
        axis.low_weight += begin;
        axis.high_weight += begin;
        axis.length = length();
        return axis;
    }

    [[nodiscard]] Extent shifted(Extent extent) const {
        return {extent.begin - static_cast<double>(begin), extent.end - static_cast<double>(begin)};
    }
};

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
        const Masks masks = options_.processed_size ? resized_masks(*options_.processed_size) : all_masks();
        if (options_.rule == MergeRule::detr) {
            merge_detr<Label>(masks);
            return;
        }
        const auto weights = frame_.take<float>(count());
        std::transform(kept_.begin(), kept_.end(), weights.begin(),
                       [](const ScoredQuery& query) { return query.score; });
        const bool logits = options_.rule == MergeRule::eomt;
        const Map<Label> labels = label_map<Label>({ids_.height, ids_.width});
        const auto tallies = frame_.take<Tally>(count());
        nonfinite_ += label_pixels({.source = masks.stack,
                                    .images = masks.images.data(),
                                    .channels = count(),
                                    .probabilities = !logits,
                                    .weights = weights.data(),
                                    .ranking = logits ? Ranking::weighted_logit : Ranking::weighted,
                                    .rows = {},
                                    .columns = {}},
                                   masks.window, options_.threads, labels, tallies);
        paint(labels, choose_segments(tallies));
    }

    [[nodiscard]] Index count() const { return static_cast<Index>(kept_.size()); }

    void clear_ids() {
        for (Index y = 0; y < ids_.height; ++y) {
            std::fill_n(ids_.row(y), ids_.width, 0);
        }
    }

    Masks all_masks() {
        const auto images = frame_.take<std::int32_t>(count());
        std::transform(kept_.begin(), kept_.end(), images.begin(),
                       [](const ScoredQuery& query) { return query.query; });
        return {mask_logits_, images,
                options_.window.value_or(whole_window({mask_logits_.height, mask_logits_.width}))};
    }

    // The peers' first resize, of the whole grid to the size the network saw. What lies outside the window is padding
    // and is cut away, so that the second resize does not blend it in.
    Masks resized_masks(Size processed) {
        const Masks from = all_masks();
        const Size grid{mask_logits_.height, mask_logits_.width};
        const double row_scale = static_cast<double>(processed.height) / static_cast<double>(grid.height);
        const double column_scale = static_cast<double>(processed.width) / static_cast<double>(grid.width);
        const Extent shown_rows{from.window.rows.begin * row_scale, from.window.rows.end * row_scale};
        const Extent shown_columns{from.window.columns.begin * column_scale, from.window.columns.end * column_scale};
        const Cut row_cut(shown_rows, processed.height), column_cut(shown_columns, processed.width);
        const Axis rows =
            row_cut.part_of(bilinear_axis(frame_, grid.height, whole_window(grid).rows, processed.height));
        const Axis columns =
            column_cut.part_of(bilinear_axis(frame_, grid.width, whole_window(grid).columns, processed.width));

        const Index pixels = rows.length * columns.length;
        float* resized = frame_.take<float>(count() * pixels).data();
        float* grids = frame_.take<float>(options_.threads * grid.height * grid.width).data();
        const auto nonfinite = frame_.filled<std::int64_t>(options_.threads, 0);
        parallel_for(options_.threads, count(), 1, [&](Index begin, Index end, int slot) {
            float* plane = grids + slot * grid.height * grid.width;
            for (Index k = begin; k < end; ++k) {
                for (Index y = 0; y < grid.height; ++y) {
                    nonfinite[static_cast<std::size_t>(slot)] +=
                        kernels().read(mask_logits_.row(from.images[static_cast<std::size_t>(k)], y), mask_logits_.type,
                                       mask_logits_.strides[2], plane + y * grid.width, grid.width);
                }
                kernels().resize(plane, rows, columns, 0, rows.length, resized + k * pixels);
            }
        });
        nonfinite_ += sum(nonfinite);

        constexpr Index kFloat = sizeof(float);
        std::iota(from.images.begin(), from.images.end(), 0);
        return {{.data = reinterpret_cast<const std::byte*>(resized),
                 .type = FloatType::float32,
                 .count = count(),
                 .height = rows.length,
                 .width = columns.length,
                 .strides = {pixels * kFloat, columns.length * kFloat, kFloat}},
                from.images,
                {row_cut.shifted(shown_rows), column_cut.shifted(shown_columns)}};
    }

    template <class Label>
    Map<Label> label_map(Size size) {
        return {frame_.take<Label>(size.height * size.width).data(), size.height, size.width, size.width};
    }

    [[nodiscard]] bool is_stuff(std::int32_t class_id) const {
        return std::find(options_.stuff_classes.begin(), options_.stuff_classes.end(), class_id) !=
               options_.stuff_classes.end();
    }

    // Enough of the query's own mask must be left. The ratio is a float32 compared as double, as torch's item() gives.
    [[nodiscard]] bool survives(const Tally& tally) const {
        if (tally.labelled == 0 || tally.original == 0 || tally.visible.area == 0) {
            return false;
        }
        const float ratio = static_cast<float>(tally.labelled) / static_cast<float>(tally.original);
        return static_cast<double>(ratio) > options_.overlap_threshold;
    }

    static Segment new_segment(std::int32_t id, const ScoredQuery& query, const Region& region) {
        return region.segment(id, query.class_id, query.score, query.query);
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
        take_better_score(segment, other.score, other.query);
    }

    static void take_better_score(Segment& segment, float score, std::int32_t query) {
        if (score > segment.score) {
            segment.score = score;
            segment.query = query;
        }
    }

    // Appends the segment, or fuses it with the earlier one of the same stuff class. Returns its id.
    std::int32_t add_segment(const ScoredQuery& query, const Region& region) {
        const auto next = static_cast<std::int32_t>(segments_.size()) + 1;
        const Segment segment = new_segment(next, query, region);
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
    std::int32_t add_segment_compat(const ScoredQuery& query, const Region& region) {
        std::int32_t id = segments_.empty() ? 1 : segments_.back().id + 1;
        if (is_stuff(query.class_id)) {
            for (const Segment& earlier : segments_) {
                id = earlier.class_id == query.class_id ? earlier.id : id;
            }
        }
        segments_.push_back(new_segment(id, query, region));
        return id;
    }

    // The id of each label; the label after the last is void.
    std::span<std::int32_t> choose_segments(std::span<const Tally> tallies) {
        const bool compat = options_.compat && options_.rule != MergeRule::eomt;
        const auto ids = frame_.filled<std::int32_t>(count() + 1, 0);
        for (std::size_t k = 0; k < kept_.size(); ++k) {
            if (survives(tallies[k])) {
                ids[k] = compat ? add_segment_compat(kept_[k], tallies[k].visible)
                                : add_segment(kept_[k], tallies[k].visible);
            }
        }
        return ids;
    }

    template <class Label>
    void paint(Map<Label> labels, std::span<const std::int32_t> id_of_label) {
        const Kernels& loops = kernels();
        parallel_for(options_.threads, ids_.height, rows_per_chunk(ids_.height, options_.threads),
                     [&](Index begin, Index end, int) {
                         for (Index y = begin; y < end; ++y) {
                             if constexpr (sizeof(Label) == 1) {
                                 loops.paint8(labels.row(y), id_of_label.data(), ids_.row(y), ids_.width);
                             } else {
                                 loops.paint16(labels.row(y), id_of_label.data(), ids_.row(y), ids_.width);
                             }
                         }
                     });
    }

    template <class Label>
    void merge_detr(Masks masks);

    // For each kept query, the index of the one whose segment it belongs to: itself, or the first of its stuff class.
    void find_groups(std::span<std::size_t> group, bool fuse_stuff) const {
        for (std::size_t k = 0; k < kept_.size(); ++k) {
            group[k] = k;
            for (std::size_t j = 0; fuse_stuff && j < k && is_stuff(kept_[k].class_id); ++j) {
                if (kept_[j].class_id == kept_[k].class_id) {
                    group[k] = j;
                    break;
                }
            }
        }
    }

    ScratchFrame frame_;
    const FloatStack& mask_logits_;
    const MergeOptions& options_;
    Map<std::int32_t> ids_;
    std::vector<Segment>& segments_;
    std::span<ScoredQuery> kept_;
    std::int64_t nonfinite_ = 0;
};

// facebookresearch/detr's PostProcessPanoptic: argmax of the logits at the processed size, nearest neighbour to the
// target, and segments of at most four pixels given to others until none is left. Queries of one stuff class are one
// segment. The original fuses stuff only the first time, onto the first query: the others then have no area, are
// dropped, and their region goes to whoever is next (compat).
template <class Label>
void Merge::merge_detr(Masks masks) {
    constexpr std::int64_t kSmallestArea = 5;
    const Size target{ids_.height, ids_.width};
    const Size size = options_.processed_size ? Size{masks.stack.height, masks.stack.width} : target;
    const Window label_window = options_.processed_size ? whole_window(size) : masks.window;
    const Window target_window = options_.processed_size ? masks.window : whole_window(target);
    const std::int32_t* rows = nearest_axis(frame_, size.height, target_window.rows, target.height);
    const std::int32_t* columns = nearest_axis(frame_, size.width, target_window.columns, target.width);
    const Map<Label> labels = label_map<Label>(size);
    const auto group = frame_.take<std::size_t>(count());
    const auto regions = frame_.take<Region>(count());
    for (bool first_time = true;; first_time = false) {
        find_groups(group, first_time || !options_.compat);
        const std::int64_t nonfinite = label_pixels(
            {.source = masks.stack, .images = masks.images.data(), .channels = count(), .rows = {}, .columns = {}},
            label_window, options_.threads, labels, {});
        nonfinite_ += first_time ? nonfinite : 0;
        std::fill(regions.begin(), regions.end(), Region{});
        for (Index y = 0; y < target.height; ++y) {
            const Label* row = labels.row(rows[y]);
            for (Index x = 0; x < target.width; ++x) {
                const std::size_t segment = group[row[columns[x]]];
                ids_.row(y)[x] = static_cast<std::int32_t>(segment);
                regions[segment].add_row(y, x, x, 1);
            }
        }
        // Drop what is too small; groups stand and fall together, except with the original's mistake.
        std::size_t left = 0;
        for (std::size_t k = 0; k < kept_.size(); ++k) {
            if (regions[options_.compat ? k : group[k]].area >= kSmallestArea) {
                kept_[left] = kept_[k];
                masks.images[left] = masks.images[k];
                ++left;
            }
        }
        if (left == kept_.size()) {
            break;
        }
        kept_ = kept_.first(left);
        if (left == 0) {
            clear_ids();
            return;
        }
    }
    const auto id_of_group = frame_.filled<std::int32_t>(count(), 0);
    for (std::size_t k = 0; k < kept_.size(); ++k) {
        if (group[k] == k) {
            id_of_group[k] = static_cast<std::int32_t>(segments_.size()) + 1;
            segments_.push_back(new_segment(id_of_group[k], kept_[k], regions[k]));
        } else {
            Segment& first = segments_[static_cast<std::size_t>(id_of_group[group[k]] - 1)];
            take_better_score(first, kept_[k].score, kept_[k].query);
        }
    }
    for (Index y = 0; y < target.height; ++y) {
        std::int32_t* row = ids_.row(y);
        std::transform(row, row + target.width, row,
                       [&](std::int32_t k) { return id_of_group[static_cast<std::size_t>(k)]; });
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
