#include "preprocess.h"

#include <stdexcept>
#include <utility>

#include "bilinear.h"
#include "math.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// One picture row at target width, channel after channel.
void interpolate_row(const std::uint8_t* row, const Axis& columns, float* out) {
    for (Index x = 0; x < columns.length; ++x) {
        const std::uint8_t* left = row + Index{3} * columns.low[x];
        const std::uint8_t* right = row + Index{3} * columns.high[x];
        for (Index c = 0; c < 3; ++c) {
            out[c * columns.length + x] = lerp(static_cast<float>(left[c]), columns.low_weight[x],
                                               static_cast<float>(right[c]), columns.high_weight[x]);
        }
    }
}

}  // namespace

void resize_normalize(const Picture& picture, const Normalization& normalization, int threads, FloatTarget target) {
    if (picture.height < 1 || picture.width < 1) {
        throw std::invalid_argument("image must have shape (H, W, 3), none empty");
    }
    ScratchFrame frame;
    const Axis rows = bilinear_axis(frame, picture.height, {0, static_cast<double>(picture.height)}, target.height);
    const Axis columns = bilinear_axis(frame, picture.width, {0, static_cast<double>(picture.width)}, target.width);
    constexpr Index kRowsPerChunk = 32;
    parallel_for(threads, target.height, kRowsPerChunk, [&](Index begin, Index end, int) {
        ScratchFrame local;
        float* upper = local.take<float>(3 * target.width).data();
        float* lower = local.take<float>(3 * target.width).data();
        Index upper_row = -1, lower_row = -1;
        for (Index y = begin; y < end; ++y) {
            if (upper_row != rows.low[y]) {
                std::swap(upper, lower);
                std::swap(upper_row, lower_row);
            }
            if (upper_row != rows.low[y]) {
                upper_row = rows.low[y];
                interpolate_row(picture.data + upper_row * picture.row_stride, columns, upper);
            }
            if (lower_row != rows.high[y]) {
                lower_row = rows.high[y];
                interpolate_row(picture.data + lower_row * picture.row_stride, columns, lower);
            }
            for (Index c = 0; c < 3; ++c) {
                const Index source = normalization.swap_rb ? 2 - c : c;
                const float factor = normalization.factor[static_cast<std::size_t>(c)];
                const float offset = normalization.offset[static_cast<std::size_t>(c)];
                const float* above = upper + source * target.width;
                const float* below = lower + source * target.width;
                float* out = target.data + c * target.channel_stride + y * target.row_stride;
                for (Index x = 0; x < target.width; ++x) {
                    const float value = lerp(above[x], rows.low_weight[y], below[x], rows.high_weight[y]);
                    out[x * target.pixel_stride] = std::fma(value, factor, offset);
                }
            }
        }
    });
}

}  // namespace segrt
