// Any predictions and masks.
#include <algorithm>

#include "bytes.h"
#include "detections.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace segrt;
    fuzz::Bytes bytes(data, size);
    const Index anchors = bytes.between(0, 30), classes = bytes.between(1, 4), count = bytes.between(0, 5);
    YoloOptions options{bytes.number(), bytes.number(), bytes.between(0, 20), bytes.between(0, 2),
                        bytes.between(0, 1) == 1};
    const Index rows = 4 + classes + options.coefficients;
    const std::vector<float> predictions = bytes.numbers(rows * anchors);
    std::vector<Detection> detections;
    decode_yolo(fuzz::table_of(predictions, rows, anchors), options, detections);
    if (static_cast<Index>(detections.size()) > options.max_detections) {
        __builtin_trap();
    }
    std::vector<std::uint8_t> bits(static_cast<std::size_t>(count * 70));
    std::generate(bits.begin(), bits.end(), [&] { return static_cast<std::uint8_t>(bytes.byte() & 1U); });
    const std::vector<float> scores = bytes.numbers(count);
    const std::vector<std::int64_t> class_ids(static_cast<std::size_t>(count), 0);
    std::vector<float> decayed(static_cast<std::size_t>(count));
    matrix_nms({bits.data(), count, 1, 70, {70, 70, 1}}, scores, class_ids,
               bytes.between(0, 1) == 0 ? DecayKernel::gaussian : DecayKernel::linear, 2.0F, 1, decayed);
    return 0;
}
