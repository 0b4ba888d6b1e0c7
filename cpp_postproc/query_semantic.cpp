#include "query_semantic.h"

#include <stdexcept>
#include <string>

#include "argmax.h"
#include "class_scores.h"
#include "kernels.h"
#include "labelling.h"
#include "processed.h"
#include "scratch.h"
#include "thread_pool.h"

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

// Scores of every class on the masks' own grid, then the class map from them.
template <class Label>
std::int64_t from_grid(const float* scores, const FloatStack& mask_logits, Index count,
                       const std::optional<Window>& window, int threads, Map<Label> classes) {
    ScratchFrame frame;
    const Index queries = mask_logits.count, height = mask_logits.height, width = mask_logits.width;
    const auto nonfinite = frame.filled<std::int64_t>(threads, 0);
    float* sums = frame.take<float>(count * height * width).data();
    float* rows = frame.take<float>(threads * queries * width).data();
    parallel_for(threads, height, 1, [&](Index begin, Index end, int slot) {
        float* probabilities = rows + slot * queries * width;
        for (Index y = begin; y < end; ++y) {
            for (Index q = 0; q < queries; ++q) {
                nonfinite[static_cast<std::size_t>(slot)] += kernels().read(
                    mask_logits.row(q, y), mask_logits.type, mask_logits.strides[2], probabilities + q * width, width);
            }
            kernels().sigmoid(probabilities, queries * width);
            kernels().combine_classes(scores, count + 1, count, probabilities, width, queries, width, sums + y * width,
                                      height * width);
        }
    });
    constexpr Index kFloat = sizeof(float);
    const FloatStack stack{.data = reinterpret_cast<const std::byte*>(sums),
                           .type = FloatType::float32,
                           .count = count,
                           .height = height,
                           .width = width,
                           .strides = {height * width * kFloat, width * kFloat, kFloat}};
    argmax_map(stack, window, std::nullopt, threads, classes);
    return sum(nonfinite);
}

// Scores of every class at the processed size, a few rows at a time: all of them would take a hundred megabytes.
template <class Label>
std::int64_t from_processed(const float* scores, const FloatStack& mask_logits, Index count, const Window& window,
                            Size processed, int threads, Map<Label> classes) {
    ScratchFrame frame;
    const Index queries = mask_logits.count;
    const Processed part = processed_part(frame, {mask_logits.height, mask_logits.width}, window, processed, kBlock);
    const Index width = part.columns.length, plane = made_rows_at_once(count * width) * width;
    float* memory = frame.take<float>(threads * queries * plane).data();
    auto make = [&](Index begin, Index end, float* out, Index channel_stride, int slot) {
        ScratchFrame local;
        ResizedRows resized(local, mask_logits, part.rows, part.columns);
        float* probabilities = memory + slot * queries * plane;
        for (Index q = 0; q < queries; ++q) {
            resized.make(q, begin, end, probabilities + q * plane, width);
            kernels().sigmoid(probabilities + q * plane, (end - begin) * width);
        }
        for (Index y = 0; y < end - begin; ++y) {
            kernels().combine_classes(scores, count + 1, count, probabilities + y * width, plane, queries, width,
                                      out + y * width, channel_stride);
        }
    };
    label_made_rows(part.size(), count, part.window, threads, RowMaker(make), classes);
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
    if (!processed) {
        return nonfinite + from_grid(scores.data(), mask_logits, count, window, threads, classes);
    }
    if (count > (Index{1} << (8 * sizeof(Label)))) {
        throw std::invalid_argument("the class map's type is too small for " + std::to_string(count) + " classes");
    }
    const Window shown = window.value_or(whole_window({mask_logits.height, mask_logits.width}));
    return nonfinite + from_processed(scores.data(), mask_logits, count, shown, *processed, threads, classes);
}

template std::int64_t query_semantic(const FloatTable&, const FloatStack&, std::optional<Window>, std::optional<Size>,
                                     int, Map<std::uint8_t>);
template std::int64_t query_semantic(const FloatTable&, const FloatStack&, std::optional<Window>, std::optional<Size>,
                                     int, Map<std::uint16_t>);

}  // namespace segrt
