#include "resize_by_way.h"

#include <algorithm>
#include <stdexcept>

#include "bilinear.h"
#include "kernels.h"
#include "processed.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// out: (stack.count, rows.length, columns.length), contiguous; `columns` has kBlock entries of padding.
void resize_stack(const FloatStack& stack, const Axis& rows, const Axis& columns, int threads, float* out) {
    const Index chunk = rows_per_chunk(rows.length, threads);
    const Index chunks = (rows.length + chunk - 1) / chunk;
    parallel_for(threads, stack.count * chunks, 1, [&](Index begin, Index end, int) {
        ScratchFrame local;
        ResizedRows resized(local, stack, rows, columns);
        for (Index piece = begin; piece < end; ++piece) {
            const Index image = piece / chunks, first = piece % chunks * chunk;
            const Index last = std::min(first + chunk, rows.length);
            resized.make(image, first, last, out + (image * rows.length + first) * columns.length, columns.length);
        }
    });
}

}  // namespace

void resize_by_way(const FloatStack& stack, Size way, const Cut& cut, Size target, int threads, float* out) {
    if (stack.count < 1 || stack.height < 1 || stack.width < 1) {
        throw std::invalid_argument("stack must have shape (K, h, w), none empty");
    }
    if (cut.top < 0 || cut.left < 0 || cut.top >= cut.bottom || cut.left >= cut.right || cut.bottom > way.height ||
        cut.right > way.width) {
        throw std::invalid_argument("cut must lie inside way and not be empty");
    }
    ScratchFrame frame;
    const Size part{cut.bottom - cut.top, cut.right - cut.left};
    const Window grid = whole_window({stack.height, stack.width}), shown = whole_window(part);
    const Axis rows = axis_from(bilinear_axis(frame, stack.height, grid.rows, way.height), cut.top, part.height);
    const Axis columns =
        axis_from(bilinear_axis(frame, stack.width, grid.columns, way.width, kBlock), cut.left, part.width);
    if (part.height == target.height && part.width == target.width) {
        resize_stack(stack, rows, columns, threads, out);
        return;
    }
    constexpr Index kBytes = sizeof(float);
    float* between = frame.take<float>(stack.count * part.height * part.width).data();
    resize_stack(stack, rows, columns, threads, between);
    const FloatStack made{reinterpret_cast<const std::byte*>(between),
                          FloatType::float32,
                          stack.count,
                          part.height,
                          part.width,
                          {part.height * part.width * kBytes, part.width * kBytes, kBytes}};
    resize_stack(made, bilinear_axis(frame, part.height, shown.rows, target.height),
                 bilinear_axis(frame, part.width, shown.columns, target.width, kBlock), threads, out);
}

}  // namespace segrt
