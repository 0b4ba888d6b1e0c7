#include "argmax.h"

#include <numeric>
#include <stdexcept>
#include <string>

#include "kernels.h"
#include "labelling.h"
#include "processed.h"
#include "scratch.h"

namespace segrt {

namespace {

// Whether the second resize would have nothing to do.
bool is_once(const Window& window, Size grid, Size processed, Size target) {
    const bool whole = window.rows.begin == 0 && window.columns.begin == 0 &&
                       window.rows.end == static_cast<double>(grid.height) &&
                       window.columns.end == static_cast<double>(grid.width);
    return whole && processed.height == target.height && processed.width == target.width;
}

template <class Label>
std::int64_t argmax_processed(const FloatStack& logits, const Window& window, Size processed, int threads,
                              Map<Label> classes) {
    ScratchFrame frame;
    const Processed part = processed_part(frame, {logits.height, logits.width}, window, processed, kBlock);
    auto make = [&](Index begin, Index end, float* out, Index channel_stride, int) {
        ScratchFrame local;
        ResizedRows resized(local, logits, part.rows, part.columns);
        for (Index c = 0; c < logits.count; ++c) {
            resized.make(c, begin, end, out + c * channel_stride, part.columns.length);
        }
    };
    label_made_rows(part.size(), logits.count, part.window, threads, RowMaker(make), classes);
    return count_nonfinite(logits, part.rows, threads);
}

}  // namespace

template <class Label>
std::int64_t argmax_map(const FloatStack& logits, std::optional<Window> window, std::optional<Size> processed,
                        int threads, Map<Label> classes) {
    if (logits.count < 1 || logits.height < 1 || logits.width < 1) {
        throw std::invalid_argument("logits must have shape (C, h, w), none empty");
    }
    if (logits.count == 1) {
        throw std::invalid_argument("logits must have at least 2 classes: of one, every pixel would be it");
    }
    if (logits.count > (Index{1} << (8 * sizeof(Label)))) {
        throw std::invalid_argument("the class map's type is too small for " + std::to_string(logits.count) +
                                    " classes");
    }
    const Size grid{logits.height, logits.width};
    const Window shown = window.value_or(whole_window(grid));
    if (processed && !is_once(shown, grid, *processed, {classes.height, classes.width})) {
        return argmax_processed(logits, shown, *processed, threads, classes);
    }
    ScratchFrame frame;
    const auto images = frame.take<std::int32_t>(logits.count);
    std::iota(images.begin(), images.end(), 0);
    const LabelJob job{.source = logits, .images = images.data(), .channels = logits.count, .rows = {}, .columns = {}};
    return label_pixels(job, shown, threads, classes, {});
}

template std::int64_t argmax_map(const FloatStack&, std::optional<Window>, std::optional<Size>, int, Map<std::uint8_t>);
template std::int64_t argmax_map(const FloatStack&, std::optional<Window>, std::optional<Size>, int,
                                 Map<std::uint16_t>);

}  // namespace segrt
