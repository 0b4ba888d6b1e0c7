#include "query_semantic.h"

#include <atomic>
#include <stdexcept>
#include <string>

#include "class_scores.h"
#include "class_sums.h"
#include "kernels.h"
#include "processed.h"
#include "scratch.h"

namespace segrt {

namespace {

// The probability of each class for each query, [query][column], "no object" included.
std::span<float> class_probabilities(ScratchFrame& frame, const FloatTable& class_logits, std::int64_t& nonfinite) {
    const Index columns = class_logits.columns;
    const auto scores = frame.take<float>(class_logits.rows * columns);
    for (Index q = 0; q < class_logits.rows; ++q) {
        const auto row = scores.subspan(static_cast<std::size_t>(q * columns), static_cast<std::size_t>(columns));
        nonfinite +=
            kernels().read(class_logits.row(q), class_logits.type, class_logits.strides[1], row.data(), columns);
        softmax(row);
    }
    return scores;
}

// The probabilities on the masks' own grid. Returns how many mask values are not finite, of all rows.
template <class Label>
std::int64_t from_grid(const float* scores, const FloatStack& mask_logits, Index count, const Window& window,
                       int threads, Map<Label> classes) {
    ScratchFrame frame;
    const Index queries = mask_logits.count, height = mask_logits.height, width = mask_logits.width;
    const Axis rows = bilinear_axis(frame, height, window.rows, classes.height);
    const Axis columns = bilinear_axis(frame, width, window.columns, classes.width, kBlock);
    // Rows may be read by two threads, or by none when shrinking: both count them alike, once.
    constexpr std::int64_t kUnread = -1;
    const auto nonfinite = frame.filled<std::int64_t>(height, kUnread);
    auto make = [&](Index begin, Index end, float* out, Index query_stride, int) {
        for (Index y = begin; y < end; ++y) {
            std::int64_t bad = 0;
            for (Index q = 0; q < queries; ++q) {
                float* row = out + q * query_stride + (y - begin) * width;
                bad += kernels().read(mask_logits.row(q, y), mask_logits.type, mask_logits.strides[2], row, width);
                kernels().sigmoid(row, width);
            }
            std::atomic_ref(nonfinite[static_cast<std::size_t>(y)]).store(bad, std::memory_order_relaxed);
        }
    };
    label_sums({scores, count + 1, queries, count, {height, width}, ProbabilityMaker(make)}, rows, columns, threads,
               classes);
    float* row = frame.take<float>(width).data();
    std::int64_t total = 0;
    for (Index y = 0; y < height; ++y) {
        const std::int64_t bad = nonfinite[static_cast<std::size_t>(y)];
        for (Index q = 0; q < queries && bad == kUnread; ++q) {
            total += kernels().read(mask_logits.row(q, y), mask_logits.type, mask_logits.strides[2], row, width);
        }
        total += bad == kUnread ? 0 : bad;
    }
    return total;
}

// The probabilities at the processed size.
template <class Label>
std::int64_t from_processed(const float* scores, const FloatStack& mask_logits, Index count, const Window& window,
                            Size processed, int threads, Map<Label> classes) {
    ScratchFrame frame;
    const Index queries = mask_logits.count;
    const Processed part = processed_part(frame, {mask_logits.height, mask_logits.width}, window, processed, kBlock);
    const Index width = part.columns.length;
    auto make = [&](Index begin, Index end, float* out, Index query_stride, int) {
        ScratchFrame local;
        ResizedRows resized(local, mask_logits, part.rows, part.columns);
        for (Index q = 0; q < queries; ++q) {
            resized.make(q, begin, end, out + q * query_stride, width);
            kernels().sigmoid(out + q * query_stride, (end - begin) * width);
        }
    };
    const Axis rows = bilinear_axis(frame, part.rows.length, part.window.rows, classes.height);
    const Axis columns = bilinear_axis(frame, width, part.window.columns, classes.width, kBlock);
    label_sums({scores, count + 1, queries, count, part.size(), ProbabilityMaker(make)}, rows, columns, threads,
               classes);
    return count_nonfinite(mask_logits, part.rows, threads);
}

}  // namespace

template <class Label>
std::int64_t query_semantic(const FloatTable& class_logits, const FloatStack& mask_logits, std::optional<Window> window,
                            std::optional<Size> processed, int threads, Map<Label> classes) {
    if (class_logits.rows != mask_logits.count || class_logits.rows < 1) {
        throw std::invalid_argument(
            "class_logits and mask_logits must have the same number of queries, at least 1, but have " +
            std::to_string(class_logits.rows) + " and " + std::to_string(mask_logits.count));
    }
    if (class_logits.columns < 3 || mask_logits.height < 1 || mask_logits.width < 1) {
        throw std::invalid_argument(
            "class_logits must have shape (Q, C+1) with at least 2 classes, and mask_logits (Q, h, w), none empty");
    }
    ScratchFrame frame;
    std::int64_t nonfinite = 0;
    const auto scores = class_probabilities(frame, class_logits, nonfinite);
    const Index count = class_logits.columns - 1;
    if (count > (Index{1} << (8 * sizeof(Label)))) {
        throw std::invalid_argument("the class map's type is too small for " + std::to_string(count) + " classes");
    }
    const Window shown = window.value_or(whole_window({mask_logits.height, mask_logits.width}));
    if (!processed) {
        return nonfinite + from_grid(scores.data(), mask_logits, count, shown, threads, classes);
    }
    return nonfinite + from_processed(scores.data(), mask_logits, count, shown, *processed, threads, classes);
}

template std::int64_t query_semantic(const FloatTable&, const FloatStack&, std::optional<Window>, std::optional<Size>,
                                     int, Map<std::uint8_t>);
template std::int64_t query_semantic(const FloatTable&, const FloatStack&, std::optional<Window>, std::optional<Size>,
                                     int, Map<std::uint16_t>);

}  // namespace segrt
