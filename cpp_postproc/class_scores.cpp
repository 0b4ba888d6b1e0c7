#include "class_scores.h"

#include <algorithm>

#include "kernels.h"

namespace segrt {

void softmax(std::span<float> logits) {
    kernels().softmax(logits.data(), static_cast<Index>(logits.size()));
}

std::span<ScoredQuery> confident_queries(ScratchFrame& frame, const FloatTable& class_logits, float threshold,
                                         std::int64_t& nonfinite) {
    const auto kept = frame.take<ScoredQuery>(class_logits.rows);
    const auto row = frame.take<float>(class_logits.columns);
    const auto no_object = static_cast<std::int32_t>(class_logits.columns - 1);
    std::size_t count = 0;
    for (Index query = 0; query < class_logits.rows; ++query) {
        nonfinite += kernels().read(class_logits.row(query), class_logits.type, class_logits.strides[1], row.data(),
                                    class_logits.columns);
        softmax(row);
        const auto best = std::max_element(row.begin(), row.end());
        const auto class_id = static_cast<std::int32_t>(best - row.begin());
        if (class_id != no_object && *best > threshold) {
            kept[count++] = {static_cast<std::int32_t>(query), class_id, *best};
        }
    }
    return kept.first(count);
}

}  // namespace segrt
