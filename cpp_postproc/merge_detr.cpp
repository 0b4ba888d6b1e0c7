#include "merge_detr.h"

#include <algorithm>

#include "bilinear.h"
#include "detr_groups.h"
#include "labelling.h"
#include "query_segments.h"

namespace segrt {
namespace {

// The grid on which pixels are labelled, and which of its pixels the target shows.
struct LabelGrid {
    Size size;
    Window window;  // of the masks
    const std::int32_t* rows;
    const std::int32_t* columns;

    LabelGrid(ScratchFrame& frame, const QueryMasks& masks, bool is_processed, Size target)
        : size(is_processed ? Size{masks.stack.height, masks.stack.width} : target),
          window(is_processed ? whole_window(size) : masks.window) {
        const Window shown = is_processed ? masks.window : whole_window(target);
        rows = nearest_axis(frame, size.height, shown.rows, target.height);
        columns = nearest_axis(frame, size.width, shown.columns, target.width);
    }
};

// Writes each pixel's group, and where the groups lie.
template <class Label>
void place_groups(Map<Label> labels, const LabelGrid& grid, std::span<const std::size_t> group, Map<std::int32_t> ids,
                  std::span<Region> regions) {
    std::fill(regions.begin(), regions.end(), Region{});
    for (Index y = 0; y < ids.height; ++y) {
        const Label* row = labels.row(grid.rows[y]);
        for (Index x = 0; x < ids.width; ++x) {
            const std::size_t segment = group[row[grid.columns[x]]];
            ids.row(y)[x] = static_cast<std::int32_t>(segment);
            regions[segment].add_row(y, x, x, 1);
        }
    }
}

template <class Label>
std::int64_t merge(ScratchFrame& frame, const QueryMasks& masks, std::span<ScoredQuery> kept,
                   const MergeOptions& options, Map<std::int32_t> ids, std::vector<Segment>& segments) {
    QuerySegments found(options.stuff_classes, segments);
    const LabelGrid grid(frame, masks, options.processed_size.has_value(), {ids.height, ids.width});
    const Map<Label> labels{frame.take<Label>(grid.size.height * grid.size.width).data(), grid.size.height,
                            grid.size.width, grid.size.width};
    const auto group = frame.take<std::size_t>(static_cast<Index>(kept.size()));
    const auto regions = frame.take<Region>(static_cast<Index>(kept.size()));
    std::int64_t nonfinite = 0;
    for (bool first_time = true;; first_time = false) {
        find_groups(kept, found, first_time || !options.compat, group);
        const std::int64_t bad = label_pixels({.source = masks.stack,
                                               .images = masks.images.data(),
                                               .channels = static_cast<Index>(kept.size()),
                                               .rows = {},
                                               .columns = {}},
                                              grid.window, options.threads, labels, {});
        nonfinite += first_time ? bad : 0;
        place_groups(labels, grid, group, ids, regions);
        std::size_t left = 0;
        for (std::size_t k = 0; k < kept.size(); ++k) {
            if (is_large_enough(k, group, regions, options.compat)) {
                kept[left] = kept[k];
                masks.images[left] = masks.images[k];
                ++left;
            }
        }
        if (left == kept.size()) {
            break;
        }
        kept = kept.first(left);
        if (left == 0) {
            fill_map(ids, 0);
            return nonfinite;
        }
    }
    const auto id_of_group = frame.filled<std::int32_t>(static_cast<Index>(kept.size()), 0);
    append_groups(kept, group, regions, found, id_of_group);
    for (Index y = 0; y < ids.height; ++y) {
        std::int32_t* row = ids.row(y);
        std::transform(row, row + ids.width, row,
                       [&](std::int32_t k) { return id_of_group[static_cast<std::size_t>(k)]; });
    }
    return nonfinite;
}

}  // namespace

std::int64_t merge_detr(ScratchFrame& frame, const QueryMasks& masks, std::span<ScoredQuery> kept,
                        const MergeOptions& options, Map<std::int32_t> ids, std::vector<Segment>& segments) {
    return kept.size() < 256 ? merge<std::uint8_t>(frame, masks, kept, options, ids, segments)
                             : merge<std::uint16_t>(frame, masks, kept, options, ids, segments);
}

}  // namespace segrt
