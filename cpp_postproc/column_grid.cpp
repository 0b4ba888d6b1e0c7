#include "column_grid.h"

#include <algorithm>

#include "kernels.h"
#include "scratch.h"

namespace segrt {

std::int64_t read_columns(const FloatStack& stack, Index image, float* columns) {
    constexpr Index kRows = 16;  // floats of a column that share a line of the cache
    ScratchFrame frame;
    const Kernels& loops = kernels();
    float* rows = frame.take<float>(kRows * stack.width).data();
    std::int64_t nonfinite = 0;
    for (Index top = 0; top < stack.height; top += kRows) {
        const Index height = std::min(kRows, stack.height - top);
        for (Index y = 0; y < height; ++y) {
            nonfinite += loops.read(stack.row(image, top + y), stack.type, stack.strides[2], rows + y * stack.width,
                                    stack.width);
        }
        loops.turn(rows, stack.width, height, stack.width, columns + top, stack.height);
    }
    return nonfinite;
}

}  // namespace segrt
