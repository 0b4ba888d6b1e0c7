// Any picture and size.
#include "antialias.h"
#include "bytes.h"
#include "preprocess.h"
#include "resize_floor.h"

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace segrt;
    fuzz::Bytes bytes(data, size);
    const Index height = bytes.between(1, 20), width = bytes.between(1, 20);
    const Index rows = bytes.between(1, 60), columns = bytes.between(1, 60);
    Normalization normalization;
    normalization.swap_rb = bytes.between(0, 1) == 1;
    std::vector<std::uint8_t> picture(static_cast<std::size_t>(height * width * 3));
    for (std::uint8_t& value : picture) {
        value = bytes.byte();
    }
    std::vector<float> out(static_cast<std::size_t>(3 * rows * columns), -1);
    resize_normalize({picture.data(), height, width, 3 * width}, normalization, static_cast<int>(bytes.between(1, 2)),
                     {out.data(), rows, columns, rows * columns, columns, 1});
    for (const float value : out) {
        if (!(value >= 0 && value <= 255.001F)) {
            __builtin_trap();
        }
    }
    std::vector<std::uint8_t> smooth(static_cast<std::size_t>(3 * rows * columns));
    const std::uint8_t lowest = *std::min_element(picture.begin(), picture.end());
    const std::uint8_t highest = *std::max_element(picture.begin(), picture.end());
    const Filter filter = bytes.between(0, 1) == 1 ? Filter::bicubic : Filter::bilinear;
    resize_antialias({picture.data(), height, width, 3 * width}, filter, rows, columns,
                     static_cast<int>(bytes.between(1, 2)), smooth.data());
    for (const std::uint8_t value : smooth) {
        if (filter == Filter::bilinear && (value < lowest || value > highest)) {
            __builtin_trap();
        }
    }
    resize_floor({picture.data(), height, width, 3 * width}, rows, columns, static_cast<int>(bytes.between(1, 2)),
                 smooth.data());
    for (const std::uint8_t value : smooth) {
        if (value < lowest || value > highest) {
            __builtin_trap();
        }
    }
    return 0;
}
