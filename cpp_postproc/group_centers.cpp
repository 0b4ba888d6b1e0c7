#include "group_centers.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "centers.h"
#include "class_map.h"
#include "kernels.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

class Grouping {
public:
    Grouping(const ClassMap& semantic, const FloatStack& heatmap, const FloatStack& offsets,
             const GroupOptions& options, Map<std::int32_t> ids, std::vector<Segment>& segments)
        : semantic_(semantic), heatmap_(heatmap), offsets_(offsets), options_(options), ids_(ids), segments_(segments) {
        is_thing_ = frame_.filled<std::uint8_t>(kClasses, 0);
        for (const std::int64_t c : options.thing_classes) {
            if (c < 0 || c >= kClasses) {
                throw std::invalid_argument("thing_classes must be class ids from 0 to 65535, but hold " +
                                            std::to_string(c));
            }
            is_thing_[static_cast<std::size_t>(c)] = 1;
        }
    }

    std::int64_t run() {
        segments_.clear();
        read_inputs();
        thread_local std::vector<Center> centers;
        find_centers(heat_.data(), {ids_.height, ids_.width},
                     {options_.threshold, options_.nms_kernel, options_.top_k, options_.threads}, centers);
        assign(centers);
        count();
        choose_instances(centers);
        choose_stuff();
        paint();
        return nonfinite_;
    }

private:
    template <class F>
    void for_rows(F&& function) {
        parallel_rows(options_.threads, ids_.height, [&](Index begin, Index end, int slot) {
            for (Index y = begin; y < end; ++y) {
                function(y, slot);
            }
        });
    }

    void read_inputs() {
        const Index pixels = ids_.height * ids_.width;
        heat_ = frame_.take<float>(pixels);
        classes_ = frame_.take<std::uint16_t>(pixels);
        const auto nonfinite = frame_.filled<std::int64_t>(options_.threads, 0);
        const auto largest = frame_.filled<std::int32_t>(options_.threads, 0);
        for_rows([&](Index y, int slot) {
            const auto at = static_cast<std::size_t>(slot);
            nonfinite[at] += kernels().read(heatmap_.row(0, y), heatmap_.type, heatmap_.strides[2],
                                            heat_.data() + y * ids_.width, ids_.width);
            std::uint16_t* row = classes_.data() + y * ids_.width;
            read_classes(semantic_, y, row);
            std::int32_t most = 0;
            for (Index x = 0; x < ids_.width; ++x) {
                most = std::max(most, std::int32_t{row[x]});
            }
            largest[at] = std::max(largest[at], most);
        });
        nonfinite_ += sum(nonfinite);
        class_count_ = *std::max_element(largest.begin(), largest.end()) + 1;
    }

    // Writes for every pixel 1 + its centre, or 0 where no thing is.
    void assign(std::span<const Center> centers) {
        const auto nonfinite = frame_.filled<std::int64_t>(options_.threads, 0);
        const auto rows = frame_.take<float>(2 * options_.threads * ids_.width);
        for_rows([&](Index y, int slot) {
            const std::uint16_t* classes = classes_.data() + y * ids_.width;
            std::int32_t* ids = ids_.row(y);
            float* offset_y = rows.data() + 2 * slot * ids_.width;
            float* offset_x = offset_y + ids_.width;
            std::int64_t& bad = nonfinite[static_cast<std::size_t>(slot)];
            bad += kernels().read(offsets_.row(0, y), offsets_.type, offsets_.strides[2], offset_y, ids_.width);
            bad += kernels().read(offsets_.row(1, y), offsets_.type, offsets_.strides[2], offset_x, ids_.width);
            for (Index x = 0; x < ids_.width; x += kCenterStep) {
                const Index count = std::min(kCenterStep, ids_.width - x);
                bool things = false;
                for (Index i = 0; i < count; ++i) {
                    things |= is_thing_[classes[x + i]] != 0;
                }
                if (!things || centers.empty()) {
                    std::fill_n(ids + x, count, 0);
                    continue;
                }
                nearest_centers(centers, y, x, offset_y + x, offset_x + x, count, ids + x);
                for (Index i = 0; i < count; ++i) {
                    ids[x + i] = is_thing_[classes[x + i]] != 0 ? ids[x + i] : 0;
                }
            }
        });
        nonfinite_ += sum(nonfinite);
        groups_ = static_cast<Index>(centers.size()) + 1;
    }

    // Pixels of every (group, class), and the region of every group and, for group 0, of every class.
    void count() {
        const Index cells = groups_ * class_count_;
        pixels_ = frame_.filled<std::int64_t>(options_.threads * cells, 0);
        regions_ = frame_.filled<Region>(options_.threads * (groups_ + class_count_), Region{});
        for_rows([&](Index y, int slot) {
            const std::uint16_t* classes = classes_.data() + y * ids_.width;
            const std::int32_t* groups = ids_.row(y);
            std::int64_t* pixels = pixels_.data() + slot * cells;
            Region* regions = regions_.data() + slot * (groups_ + class_count_);
            Index x = 0;
            while (x < ids_.width) {
                const Index first = x;
                const std::int32_t group = groups[x];
                const std::uint16_t c = classes[x];
                while (x < ids_.width && groups[x] == group && classes[x] == c) {
                    ++x;
                }
                pixels[group * class_count_ + c] += x - first;
                regions[group == 0 ? groups_ + c : Index{group}].add_row(y, first, x - 1, x - first);
            }
        });
        for (Index i = cells; i < options_.threads * cells; ++i) {
            pixels_[static_cast<std::size_t>(i % cells)] += pixels_[static_cast<std::size_t>(i)];
        }
        const Index total = groups_ + class_count_;
        for (Index i = total; i < options_.threads * total; ++i) {
            regions_[static_cast<std::size_t>(i % total)].add(regions_[static_cast<std::size_t>(i)]);
        }
    }

    void choose_instances(std::span<const Center> centers) {
        id_of_group_ = frame_.filled<std::int32_t>(groups_, 0);
        for (Index group = 1; group < groups_; ++group) {
            const auto pixels =
                pixels_.subspan(static_cast<std::size_t>(group * class_count_), static_cast<std::size_t>(class_count_));
            const auto most = std::max_element(pixels.begin(), pixels.end());
            if (*most == 0) {
                continue;
            }
            const auto id = static_cast<std::int32_t>(segments_.size()) + 1;
            const auto at = static_cast<std::size_t>(group);
            id_of_group_[at] = id;
            segments_.push_back(regions_[at].segment(id, static_cast<std::int32_t>(most - pixels.begin()),
                                                     centers[at - 1].heat, static_cast<std::int32_t>(group - 1)));
        }
    }

    void choose_stuff() {
        id_of_class_ = frame_.filled<std::int32_t>(class_count_, 0);
        for (Index c = 0; c < class_count_; ++c) {
            const auto at = static_cast<std::size_t>(c);
            const Region& region = regions_[static_cast<std::size_t>(groups_ + c)];
            if (is_thing_[at] != 0 || region.area == 0 || region.area < options_.stuff_area_limit) {
                continue;
            }
            id_of_class_[at] = static_cast<std::int32_t>(segments_.size()) + 1;
            segments_.push_back(region.segment(id_of_class_[at], static_cast<std::int32_t>(c), 1.0F, -1));
        }
    }

    void paint() {
        for_rows([&](Index y, int) {
            const std::uint16_t* classes = classes_.data() + y * ids_.width;
            std::int32_t* ids = ids_.row(y);
            for (Index x = 0; x < ids_.width; ++x) {
                const auto group = static_cast<std::size_t>(ids[x]);
                ids[x] = group != 0 ? id_of_group_[group] : id_of_class_[classes[x]];
            }
        });
    }

    ScratchFrame frame_;
    const ClassMap& semantic_;
    const FloatStack& heatmap_;
    const FloatStack& offsets_;
    const GroupOptions& options_;
    Map<std::int32_t> ids_;
    std::vector<Segment>& segments_;
    Index class_count_ = 0, groups_ = 1;
    std::span<std::uint8_t> is_thing_;
    std::span<float> heat_;
    std::span<std::uint16_t> classes_;
    std::span<std::int64_t> pixels_;  // [group][class]
    std::span<Region> regions_;       // groups, then classes of group 0
    std::span<std::int32_t> id_of_group_, id_of_class_;
    std::int64_t nonfinite_ = 0;
};

}  // namespace

std::int64_t group_centers(const ClassMap& semantic, const FloatStack& heatmap, const FloatStack& offsets,
                           const GroupOptions& options, Map<std::int32_t> ids, std::vector<Segment>& segments) {
    const auto fits = [&](const FloatStack& stack, Index count) {
        return stack.count == count && stack.height == ids.height && stack.width == ids.width;
    };
    if (semantic.height != ids.height || semantic.width != ids.width || !fits(heatmap, 1) || !fits(offsets, 2)) {
        throw std::invalid_argument(
            "semantic and out must have shape (H, W), center_heatmap (1, H, W) and offsets (2, H, W)");
    }
    if (options.nms_kernel < 1 || options.nms_kernel % 2 == 0 || options.top_k < 1) {
        throw std::invalid_argument("nms_kernel must be odd and at least 1, top_k at least 1, but got " +
                                    std::to_string(options.nms_kernel) + " and " + std::to_string(options.top_k));
    }
    return Grouping(semantic, heatmap, offsets, options, ids, segments).run();
}

}  // namespace segrt
