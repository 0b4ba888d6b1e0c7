#include "preprocess.h"

#include <stdexcept>

#include "bilinear.h"
#include "kernels.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {

void resize_normalize(const Picture& picture, const Normalization& normalization, int threads, FloatTarget target) {
    if (picture.height < 1 || picture.width < 1) {
        throw std::invalid_argument("image must have shape (H, W, 3), none empty");
    }
    ScratchFrame frame;
    const Kernels& loops = kernels();
    const Window whole = whole_window({picture.height, picture.width});
    const Axis rows = bilinear_axis(frame, picture.height, whole.rows, target.height);
    const Axis columns = bilinear_axis(frame, picture.width, whole.columns, target.width, kBlock);
    const Index plane_stride = picture.width + kRowPadding;
    const Index padded_width = (target.width + kBlock - 1) / kBlock * kBlock;
    parallel_rows(threads, target.height, [&](Index begin, Index end, int) {
        // Down first: of the picture's rows, two that are contiguous in memory; then across, channel by channel.
        ScratchFrame local;
        float* planes = local.filled<float>(3 * plane_stride, 0.0F).data();
        float* resized = local.take<float>(padded_width).data();
        for (Index y = begin; y < end; ++y) {
            loops.blend_pixels(picture.data + rows.low[y] * picture.row_stride, rows.low_weight[y],
                               picture.data + rows.high[y] * picture.row_stride, rows.high_weight[y], picture.width,
                               planes, plane_stride);
            for (Index c = 0; c < 3; ++c) {
                const Index source = normalization.swap_rb ? 2 - c : c;
                loops.enlarge_row(planes + source * plane_stride, columns, resized, padded_width);
                const auto at = static_cast<std::size_t>(c);
                loops.normalize_row(resized, normalization.factor[at], normalization.offset[at],
                                    target.data + c * target.channel_stride + y * target.row_stride,
                                    target.pixel_stride, target.width);
            }
        }
    });
}

}  // namespace segrt
