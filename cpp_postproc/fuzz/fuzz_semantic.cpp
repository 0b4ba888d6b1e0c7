// Class maps of any logits, of any queries and of any scores of one object hold classes only.
#include "argmax.h"
#include "binary.h"
#include "blend.h"
#include "bytes.h"
#include "query_semantic.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace segrt;
    fuzz::Bytes bytes(data, size);
    const Index classes = bytes.between(2, 20), queries = bytes.between(1, 5);
    const Index height = bytes.between(1, 9), width = bytes.between(1, 9);
    const Index rows = bytes.between(1, 50), columns = bytes.between(1, 100);
    std::vector<std::uint8_t> map(static_cast<std::size_t>(rows * columns));
    const Map<std::uint8_t> view{map.data(), rows, columns, columns};
    const Size larger{bytes.between(1, 40), bytes.between(1, 40)};
    const auto processed = bytes.between(0, 1) == 0 ? std::nullopt : std::optional<Size>(larger);
    const int threads = static_cast<int>(bytes.between(1, 2));
    argmax_map<std::uint8_t>(fuzz::stack_of(bytes.numbers(classes * height * width), classes, height, width),
                             std::nullopt, processed, threads, view);
    for (const std::uint8_t value : map) {
        if (value >= classes) {
            __builtin_trap();
        }
    }
    const BinaryCut cut{
        .probabilities = bytes.between(0, 1) == 1, .threshold = bytes.number(), .object = 0, .other = 255};
    binary_map(fuzz::stack_of(bytes.numbers(height * width), 1, height, width), cut, std::nullopt, threads, view);
    for (const std::uint8_t value : map) {
        if (value != cut.object && value != cut.other) {
            __builtin_trap();
        }
    }
    const std::vector<float> scores = bytes.numbers(queries * (classes + 1));
    const std::vector<float> masks = bytes.numbers(queries * height * width);
    query_semantic<std::uint8_t>(fuzz::table_of(scores, queries, classes + 1),
                                 fuzz::stack_of(masks, queries, height, width), std::nullopt, processed, threads, view);
    const std::vector<float> near = bytes.numbers(classes * height * width), far = bytes.numbers(classes * 4);
    const ScoreView tile{fuzz::stack_of(near, classes, height, width), whole_window({height, width}), {}, {}};
    const ScoreView whole{fuzz::stack_of(far, classes, 2, 2), {{0.25, 1.5}, {0.5, 2}}, {}, {}};
    std::vector<std::uint8_t> things(static_cast<std::size_t>(classes));
    for (std::uint8_t& thing : things) {
        thing = static_cast<std::uint8_t>(bytes.between(0, 1));
    }
    const std::vector<ScoreView> tiles(static_cast<std::size_t>(bytes.between(1, 3)), tile);
    blend_map<std::uint8_t>(tiles, TwoViews{whole, things, bytes.between(0, 1) == 1}, threads, view);
    for (const std::uint8_t value : map) {
        if (value >= classes) {
            __builtin_trap();
        }
    }
    return 0;
}
