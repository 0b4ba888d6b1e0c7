// Any class map with any instances, centres and offsets: ids stay within the segments.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "bytes.h"
#include "group_centers.h"
#include "merge_instances.h"
#include "rle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace segrt;
    fuzz::Bytes bytes(data, size);
    const Index height = bytes.between(1, 12), width = bytes.between(1, 40), count = bytes.between(0, 4);
    const auto pixels = static_cast<std::size_t>(height * width);
    std::vector<std::int32_t> semantic(pixels);
    for (std::int32_t& value : semantic) {
        value = static_cast<std::int32_t>(bytes.between(0, 200)) - 1;
    }
    std::vector<std::uint8_t> bits(pixels * static_cast<std::size_t>(count));
    for (std::uint8_t& bit : bits) {
        bit = static_cast<std::uint8_t>(bytes.byte() & 1U);
    }
    const ClassMap map{reinterpret_cast<const std::byte*>(semantic.data()), 4, height, width, {4 * width, 4}};
    const int threads = static_cast<int>(bytes.between(1, 2));
    const std::vector<float> scores = bytes.numbers(count), heat = bytes.numbers(height * width);
    const std::vector<float> offsets = bytes.numbers(2 * height * width);
    const std::vector<std::int64_t> class_ids(static_cast<std::size_t>(count), 1);
    const std::int64_t things[] = {1, 5};
    std::vector<std::int32_t> ids(pixels);
    const Map<std::int32_t> view{ids.data(), height, width, width};
    std::vector<Segment> segments;
    const auto check = [&] {
        for (const std::int32_t id : ids) {
            if (id < 0 || id > static_cast<std::int32_t>(segments.size())) {
                __builtin_trap();
            }
        }
    };
    try {
        const MaskStack masks{bits.data(), count, height, width, {height * width, width, 1}};
        const InstanceMergeOptions merge{0.2F, 0.5, 5, threads};
        merge_semantic_instances(map, masks, scores, class_ids, merge, view, segments);
        check();
        std::vector<std::string> codes;
        encode_masks(masks, threads, codes);
        const std::vector<std::int32_t> of_masks = ids;
        merge_semantic_instances(map, codes, scores, class_ids, merge, view, segments);
        if (ids != of_masks) {
            __builtin_trap();
        }
        if (count > 0) {  // bytes that are hardly a code
            codes[0].assign(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 40));
            merge_semantic_instances(map, codes, scores, class_ids, merge, view, segments);
            check();
        }
        GroupOptions options;
        options.thing_classes = things;
        options.nms_kernel = 2 * bytes.between(0, 4) + 1;
        options.top_k = bytes.between(1, 9);
        options.threads = threads;
        group_centers(map, fuzz::stack_of(heat, 1, height, width), fuzz::stack_of(offsets, 2, height, width), options,
                      view, segments);
        check();
    } catch (const std::invalid_argument&) {
        return 0;  // a negative class, or no code
    }
    return 0;
}
