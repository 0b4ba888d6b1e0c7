#include "blend.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "bilinear.h"
#include "kernels.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// One view's rows at target width: the two source rows of all classes that the target row lies between.
class WideRows {
public:
    WideRows() = default;
    WideRows(ScratchFrame& frame, const ScoreView& view, Size target)
        : view_(&view),
          rows_(bilinear_axis(frame, view.scores.height, view.window.rows, target.height)),
          columns_(bilinear_axis(frame, view.scores.width, view.window.columns, target.width, kBlock)),
          width_((target.width + kBlock - 1) / kBlock * kBlock),
          source_(frame.filled<float>(view.scores.width + kRowPadding, 0.0F).data()) {
        for (Held& held : held_) {
            held.values = frame.take<float>(view.scores.count * width_).data();
        }
    }

    // Brings the sources of target row y into memory.
    void seek(Index y) {
        y_ = y;
        upper_ = &fetch(rows_.low[y], nullptr);
        lower_ = &fetch(rows_.high[y], upper_);
    }

    // The scores of a class in that row, at least `count` of them.
    void blend(Index c, float* out, Index count) const {
        kernels().blend_row(upper_->values + c * width_, rows_.low_weight[y_], lower_->values + c * width_,
                            rows_.high_weight[y_], out, count);
    }

    [[nodiscard]] float row_weight() const {
        return view_->row_weights.empty() ? 1.0F : view_->row_weights[static_cast<std::size_t>(y_)];
    }

    [[nodiscard]] const float* column_weights() const {
        return view_->column_weights.empty() ? nullptr : view_->column_weights.data();
    }

private:
    struct Held {
        float* values = nullptr;
        Index row = -1;
    };

    Held& fetch(Index row, const Held* keep) {
        for (Held& held : held_) {
            if (held.row == row) {
                return held;
            }
        }
        Held& held = keep == held_ ? held_[1] : held_[0];
        const FloatStack& scores = view_->scores;
        for (Index c = 0; c < scores.count; ++c) {
            kernels().read(scores.row(c, row), scores.type, scores.strides[2], source_, scores.width);
            kernels().enlarge_row(source_, columns_, held.values + c * width_, width_);
        }
        held.row = row;
        return held;
    }

    const ScoreView* view_ = nullptr;
    Axis rows_, columns_;
    Index width_ = 0, y_ = 0;
    float* source_ = nullptr;
    Held held_[2];
    const Held* upper_ = nullptr;
    const Held* lower_ = nullptr;
};

void check_view(const ScoreView& view, Index classes, Size target) {
    if (view.scores.count != classes || view.scores.height < 1 || view.scores.width < 1) {
        throw std::invalid_argument("scores must have shape (C, h, w), none empty, with the same C in all views");
    }
    const auto fits = [](std::span<const float> weights, Index length) {
        return weights.empty() || static_cast<Index>(weights.size()) == length;
    };
    if (!fits(view.row_weights, target.height) || !fits(view.column_weights, target.width)) {
        throw std::invalid_argument("weights must be as many as the target has rows and columns");
    }
}

void check(std::span<const ScoreView> tiles, const std::optional<TwoViews>& both, Index classes, Size target) {
    for (const ScoreView& tile : tiles) {
        check_view(tile, classes, target);
    }
    if (both) {
        check_view(both->whole, classes, target);
        if (static_cast<Index>(both->things.size()) != classes) {
            throw std::invalid_argument("things must have an entry for each class");
        }
    }
}

// One thread's work on rows of the target.
class Blender {
public:
    Blender(ScratchFrame& frame, std::span<const ScoreView> tiles, const std::optional<TwoViews>& both, Size target)
        : tiles_(tiles.size()),
          classes_(tiles[0].scores.count),
          width_(target.width),
          stride_((width_ + kBlock - 1) / kBlock * kBlock),
          part_(frame.take<float>(stride_).data()),
          best_(frame.take<float>(stride_).data()),
          label_(frame.take<std::int32_t>(stride_).data()),
          sums_(frame.take<float>(classes_ * stride_).data()) {
        for (std::size_t i = 0; i < tiles_; ++i) {
            sources_[i] = WideRows(frame, tiles[i], target);
        }
        if (both) {
            whole_.emplace(frame, both->whole, target);
            const auto things = std::count(both->things.begin(), both->things.end(), 1);
            judge_ = {.classes = classes_,
                      .things = both->things.data(),
                      .mixed = things > 0 && things < classes_,
                      .shares = both->shares,
                      .memory = frame.take<float>(2 * classes_ * kBlock).data()};
            whole_sums_ = frame.take<float>(classes_ * stride_).data();
            whole_label_ = frame.take<std::int32_t>(stride_).data();
        }
    }

    // The classes of target row y; they are valid until the next row is asked for.
    const std::int32_t* row(Index y) {
        for (std::size_t i = 0; i < tiles_; ++i) {
            sources_[i].seek(y);
        }
        for (Index c = 0; c < classes_; ++c) {
            sum_tiles(c, sums_ + c * stride_);
        }
        kernels().highest_row(sums_, stride_, classes_, best_, label_, stride_);
        if (whole_) {
            judge_row(*whole_, y);
        }
        return label_;
    }

private:
    // Lets the whole's view say what it sees.
    void judge_row(WideRows& whole, Index y) {
        whole.seek(y);
        for (Index c = 0; c < classes_; ++c) {
            whole.blend(c, whole_sums_ + c * stride_, stride_);
        }
        kernels().highest_row(whole_sums_, stride_, classes_, best_, whole_label_, stride_);
        for (Index x = 0; x < stride_; x += kBlock) {
            if (!std::equal(label_ + x, label_ + x + kBlock, whole_label_ + x)) {
                kernels().judge_views(judge_, whole_sums_ + x, sums_ + x, stride_, whole_label_ + x, label_ + x);
            }
        }
    }

    void sum_tiles(Index c, float* out) {
        if (tiles_ == 1) {
            sources_[0].blend(c, out, stride_);
            return;
        }
        std::fill_n(out, stride_, 0.0F);
        for (std::size_t i = 0; i < tiles_; ++i) {
            sources_[i].blend(c, part_, width_);
            const float down = sources_[i].row_weight();
            const float* across = sources_[i].column_weights();
            for (Index x = 0; x < width_; ++x) {
                out[x] += part_[x] * (across != nullptr ? down * across[x] : down);
            }
        }
    }

    const std::size_t tiles_;
    const Index classes_, width_, stride_;
    float* part_;
    float* best_;
    std::int32_t* label_;
    float* sums_;
    WideRows sources_[kMostTiles];
    std::optional<WideRows> whole_;
    ViewJudge judge_;
    float* whole_sums_ = nullptr;
    std::int32_t* whole_label_ = nullptr;
};

}  // namespace

template <class Label>
void blend_map(std::span<const ScoreView> tiles, const std::optional<TwoViews>& both, int threads, Map<Label> classes) {
    if (tiles.empty() || static_cast<Index>(tiles.size()) > kMostTiles) {
        throw std::invalid_argument("there must be 1 to " + std::to_string(kMostTiles) + " views of tiles");
    }
    const Index count = tiles[0].scores.count;
    if (count < 2 || count > (Index{1} << (8 * sizeof(Label)))) {
        throw std::invalid_argument("scores must have at least 2 classes, and no more than the class map's type holds");
    }
    const Size target{classes.height, classes.width};
    check(tiles, both, count, target);
    parallel_rows(threads, target.height, [&](Index begin, Index end, int) {
        ScratchFrame frame;
        Blender blender(frame, tiles, both, target);
        for (Index y = begin; y < end; ++y) {
            const std::int32_t* labels = blender.row(y);
            std::transform(labels, labels + target.width, classes.row(y),
                           [](std::int32_t label) { return static_cast<Label>(label); });
        }
    });
}

template void blend_map(std::span<const ScoreView>, const std::optional<TwoViews>&, int, Map<std::uint8_t>);
template void blend_map(std::span<const ScoreView>, const std::optional<TwoViews>&, int, Map<std::uint16_t>);

}  // namespace segrt
