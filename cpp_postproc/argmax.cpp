#include "argmax.h"

#include <stdexcept>

#include "kernels.h"
#include "thread_pool.h"

namespace segrt {

template <class Label>
std::int64_t argmax_map(const FloatStack& logits, std::optional<Window> window, int threads, Map<Label> classes) {
    if (logits.count < 1 || logits.height < 1 || logits.width < 1) {
        throw std::invalid_argument("logits must have shape (C, h, w), none empty");
    }
    if (logits.count > (Index{1} << (8 * sizeof(Label)))) {
        throw std::invalid_argument("the class map's type is too small for " + std::to_string(logits.count) +
                                    " classes");
    }
    ScratchFrame frame;
    const Index pixels = logits.height * logits.width;
    float* memory = frame.take<float>(logits.count * pixels).data();
    const auto planes = frame.take<const float*>(logits.count);
    const auto nonfinite = frame.filled<std::int64_t>(threads, 0);
    parallel_for(threads, logits.count, 1, [&](Index begin, Index end, int slot) {
        for (Index k = begin; k < end; ++k) {
            float* plane = memory + k * pixels;
            planes[static_cast<std::size_t>(k)] = plane;
            for (Index y = 0; y < logits.height; ++y) {
                nonfinite[static_cast<std::size_t>(slot)] += kernels().read(
                    logits.row(k, y), logits.type, logits.strides[2], plane + y * logits.width, logits.width);
            }
        }
    });
    constexpr Index kPadding = 64, kRowsPerChunk = 16;
    const Extent rows = window ? window->rows : Extent{0, static_cast<double>(logits.height)};
    const Extent columns = window ? window->columns : Extent{0, static_cast<double>(logits.width)};
    const LabelJob job{
        .planes = planes.data(),
        .weights = nullptr,
        .channels = logits.count,
        .rows = bilinear_axis(frame, logits.height, rows, classes.height, kPadding),
        .columns = bilinear_axis(frame, logits.width, columns, classes.width, kPadding),
        .ranking = Ranking::plain,
        .tally = false,
    };
    parallel_for(threads, classes.height, kRowsPerChunk, [&](Index begin, Index end, int) {
        if constexpr (sizeof(Label) == 1) {
            kernels().label8(job, begin, end, classes, nullptr);
        } else {
            kernels().label16(job, begin, end, classes, nullptr);
        }
    });
    std::int64_t total = 0;
    for (const std::int64_t number : nonfinite) {
        total += number;
    }
    return total;
}

template std::int64_t argmax_map(const FloatStack&, std::optional<Window>, int, Map<std::uint8_t>);
template std::int64_t argmax_map(const FloatStack&, std::optional<Window>, int, Map<std::uint16_t>);

}  // namespace segrt
