// Any picture and size.
#include "bytes.h"
#include "preprocess.h"

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
    return 0;
}
