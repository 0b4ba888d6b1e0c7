// Any heads, any rule: the map holds the ids of the segments and nothing else.
#include "bytes.h"
#include "merge_queries.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace segrt;
    fuzz::Bytes bytes(data, size);
    const Index queries = bytes.between(0, 6), classes = bytes.between(1, 4);
    const Index height = bytes.between(1, 9), width = bytes.between(1, 9);
    const Size target{bytes.between(1, 40), bytes.between(1, 80)};
    MergeOptions options;
    options.rule = static_cast<MergeRule>(bytes.between(0, 3));
    options.score_threshold = bytes.number();
    options.overlap_threshold = static_cast<double>(bytes.number());
    options.compat = bytes.between(0, 1) == 1;
    options.threads = static_cast<int>(bytes.between(1, 2));
    if (bytes.between(0, 2) == 0) {
        options.processed_size = Size{bytes.between(1, 30), bytes.between(1, 30)};
    }
    if (bytes.between(0, 2) == 0) {
        const auto top = static_cast<double>(bytes.between(0, height - 1)),
                   left = static_cast<double>(bytes.between(0, width - 1));
        options.window = Window{{top, top + 0.5}, {left, static_cast<double>(width)}};
    }
    const std::int64_t stuff[] = {0, 2};
    options.stuff_classes = stuff;
    const std::vector<float> class_logits = bytes.numbers(queries * (classes + 1));
    const std::vector<float> mask_logits = bytes.numbers(queries * height * width);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(target.height * target.width), -1);
    std::vector<Segment> segments;
    merge_queries(fuzz::table_of(class_logits, queries, classes + 1),
                  fuzz::stack_of(mask_logits, queries, height, width), options,
                  {ids.data(), target.height, target.width, target.width}, segments);
    for (const std::int32_t id : ids) {
        if (id < 0 || id > static_cast<std::int32_t>(segments.size())) {
            __builtin_trap();
        }
    }
    return 0;
}
