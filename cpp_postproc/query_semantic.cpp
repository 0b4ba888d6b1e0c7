#include "query_semantic.h"

#include <stdexcept>
#include <string>

#include "argmax.h"
#include "class_scores.h"
#include "kernels.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {

template <class Label>
std::int64_t query_semantic(const FloatTable& class_logits, const FloatStack& mask_logits, std::optional<Window> window,
                            int threads, Map<Label> classes) {
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
    const Index queries = class_logits.rows, count = class_logits.columns - 1;
    const Index height = mask_logits.height, width = mask_logits.width;
    const auto nonfinite = frame.filled<std::int64_t>(threads + 1, 0);
    const auto scores = frame.take<float>(queries * class_logits.columns);
    for (Index q = 0; q < queries; ++q) {
        const auto row = scores.subspan(static_cast<std::size_t>(q * class_logits.columns),
                                        static_cast<std::size_t>(class_logits.columns));
        nonfinite[static_cast<std::size_t>(threads)] += kernels().read(
            class_logits.row(q), class_logits.type, class_logits.strides[1], row.data(), class_logits.columns);
        softmax(row);
    }
    float* sums = frame.filled<float>(count * height * width, 0.0F).data();
    float* rows = frame.take<float>(threads * queries * width).data();
    parallel_for(threads, height, 1, [&](Index begin, Index end, int slot) {
        float* probabilities = rows + slot * queries * width;
        for (Index y = begin; y < end; ++y) {
            for (Index q = 0; q < queries; ++q) {
                nonfinite[static_cast<std::size_t>(slot)] += kernels().read(
                    mask_logits.row(q, y), mask_logits.type, mask_logits.strides[2], probabilities + q * width, width);
            }
            kernels().sigmoid(probabilities, queries * width);
            for (Index c = 0; c < count; ++c) {
                kernels().combine(scores.data() + c, class_logits.columns, probabilities, width, queries, width,
                                  sums + (c * height + y) * width);
            }
        }
    });
    constexpr Index kFloat = sizeof(float);
    const FloatStack stack{.data = reinterpret_cast<const std::byte*>(sums),
                           .type = FloatType::float32,
                           .count = count,
                           .height = height,
                           .width = width,
                           .strides = {height * width * kFloat, width * kFloat, kFloat}};
    argmax_map(stack, window, threads, classes);
    return sum(nonfinite);
}

template std::int64_t query_semantic(const FloatTable&, const FloatStack&, std::optional<Window>, int,
                                     Map<std::uint8_t>);
template std::int64_t query_semantic(const FloatTable&, const FloatStack&, std::optional<Window>, int,
                                     Map<std::uint16_t>);

}  // namespace segrt
