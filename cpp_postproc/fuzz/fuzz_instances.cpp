// Any masks, boxes and coefficients: every code describes exactly the picture.
#include "bytes.h"
#include "instances.h"
#include "rle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace segrt;
    fuzz::Bytes bytes(data, size);
    const Index count = bytes.between(0, 4), height = bytes.between(1, 9), width = bytes.between(1, 9);
    const Size target{bytes.between(1, 60), bytes.between(1, 60)};
    const int threads = static_cast<int>(bytes.between(1, 2));
    const auto rule = bytes.between(0, 1) == 0 ? PasteRule::torchvision : PasteRule::detectron2;
    const float threshold = bytes.number();
    std::vector<float> boxes = bytes.numbers(count * 4);
    const float scale = bytes.between(0, 1) == 0 ? 1.0F : 1e4F;
    for (float& edge : boxes) {
        edge *= scale;
    }
    const std::vector<float> masks = bytes.numbers(count * height * width);
    const FloatStack stack = fuzz::stack_of(masks, count, height, width);
    std::vector<std::string> codes, all;
    paste_masks_rle(stack, fuzz::table_of(boxes, count, 4), rule, threshold, target, threads, codes);
    all.insert(all.end(), codes.begin(), codes.end());
    std::vector<std::uint8_t> pictures(static_cast<std::size_t>(count * target.height * target.width));
    paste_masks(stack, fuzz::table_of(boxes, count, 4), rule, threshold, target, threads, pictures.data(), true);
    if (count > 0) {
        const std::vector<float> weights = bytes.numbers(count * count);
        PrototypeMaskOptions prototypes;
        const double top = bytes.between(0, 9) / 10.0, left = bytes.between(0, 9) / 10.0;
        prototypes.window = Window{{top * static_cast<double>(height), static_cast<double>(height)},
                                   {left * static_cast<double>(width), static_cast<double>(width)}};
        if (bytes.between(0, 1) == 1) {
            prototypes.processed = Size{bytes.between(1, 40), bytes.between(1, 40)};
        }
        prototypes.compat = bytes.between(0, 1) == 1;
        prototypes.threads = threads;
        prototype_masks_rle(stack, fuzz::table_of(weights, count, count), fuzz::table_of(boxes, count, 4), target,
                            prototypes, codes);
        all.insert(all.end(), codes.begin(), codes.end());
        whole_masks_rle(stack, threshold, target, threads, codes, prototypes.window);
        all.insert(all.end(), codes.begin(), codes.end());
        const Size between = prototypes.processed.value_or(Size{height, width});
        const Window part = {{top * static_cast<double>(between.height), static_cast<double>(between.height)},
                             {left * static_cast<double>(between.width), static_cast<double>(between.width)}};
        stepwise_masks_rle(stack, {threshold, between, part}, target, threads, codes);
        all.insert(all.end(), codes.begin(), codes.end());
        QueryInstanceOptions options;
        options.activation = bytes.between(0, 1) == 0 ? Activation::softmax : Activation::sigmoid;
        options.threads = threads;
        if (bytes.between(0, 1) == 1) {
            options.processed_size = Size{bytes.between(1, 40), bytes.between(1, 40)};
            options.score_at = bytes.between(0, 1) == 0 ? ScoreAt::processed : ScoreAt::picture;
        }
        const std::vector<float> classes = bytes.numbers(count * 3);
        const QueryInstances found = query_instances(fuzz::table_of(classes, count, 3), stack, target, options);
        all.insert(all.end(), found.codes.begin(), found.codes.end());
    }
    std::vector<std::uint32_t> counts;
    for (const std::string& code : all) {
        unpack_counts(code, target.height, target.width, counts);
    }
    return 0;
}
