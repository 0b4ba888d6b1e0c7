#include "argmax.h"

#include <numeric>
#include <stdexcept>
#include <string>

#include "labelling.h"
#include "scratch.h"

namespace segrt {

template <class Label>
std::int64_t argmax_map(const FloatStack& logits, std::optional<Window> window, int threads, Map<Label> classes) {
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
    ScratchFrame frame;
    const auto images = frame.take<std::int32_t>(logits.count);
    std::iota(images.begin(), images.end(), 0);
    const LabelJob job{.source = logits, .images = images.data(), .channels = logits.count, .rows = {}, .columns = {}};
    return label_pixels(job, window.value_or(whole_window({logits.height, logits.width})), threads, classes, {});
}

template std::int64_t argmax_map(const FloatStack&, std::optional<Window>, int, Map<std::uint8_t>);
template std::int64_t argmax_map(const FloatStack&, std::optional<Window>, int, Map<std::uint16_t>);

}  // namespace segrt
