// Instances, detections and their codes without Python.
#include <gtest/gtest.h>

#include <limits>

#include "detections.h"
#include "everywhere.h"
#include "instances.h"
#include "rle.h"
#include "scenes.h"

namespace segrt::test {
namespace {

TEST(Instances, CodesOfQueriesBoxesAndPrototypesAreTheSameEverywhere) {
    for (unsigned seed = 0; seed < 24; ++seed) {
        std::mt19937 random(seed);
        const Index count = between(random, 1, 6);
        const Floats classes = random_classes(random, count, 3);
        const Floats masks =
            random_grids(random, count, between(random, 1, 30), between(random, 1, 30), kKinds[seed % 4]);
        Floats boxes{{}, 1, count, 4};
        for (Index i = 0; i < count; ++i) {
            const float x = static_cast<float>(between(random, -50, 100)),
                        y = static_cast<float>(between(random, -50, 80));
            boxes.values.insert(boxes.values.end(), {x, y, x + static_cast<float>(between(random, -5, 120)),
                                                     y + static_cast<float>(between(random, 0, 90))});
        }
        Floats weights = random_grids(random, 1, count, count, Kind::noisy);
        const Size size{between(random, 1, 90), between(random, 1, 110)};
        expect_same_everywhere([&](int threads) {
            std::vector<std::string> codes, all;
            for (const PasteRule rule : {PasteRule::torchvision, PasteRule::detectron2}) {
                paste_masks_rle(masks.stack(), boxes.table(), rule, 0.5F, size, threads, codes);
                all.insert(all.end(), codes.begin(), codes.end());
                std::vector<std::uint8_t> pictures(static_cast<std::size_t>(count * size.height * size.width), 7);
                paste_masks(masks.stack(), boxes.table(), rule, 0.5F, size, threads, pictures.data(), false);
                const MaskStack stack{
                    pictures.data(), count, size.height, size.width, {size.height * size.width, size.width, 1}};
                std::vector<std::uint32_t> counts;
                for (Index i = 0; i < count; ++i) {
                    encode_mask(stack, i, counts);
                    EXPECT_EQ(pack_counts(counts), codes[static_cast<std::size_t>(i)]);
                }
            }
            const auto h = static_cast<double>(masks.height), w = static_cast<double>(masks.width);
            for (const bool stepwise : {false, true}) {
                for (const bool compat : {false, true}) {
                    PrototypeMaskOptions options{
                        .window = Window{{h * 0.1, h}, {0, w * 0.9}}, .processed = {}, .compat = compat};
                    if (stepwise) {
                        options.processed = Size{masks.height * 3, masks.width * 2};
                    }
                    options.threads = threads;
                    prototype_masks_rle(masks.stack(), weights.table(), boxes.table(), size, options, codes);
                    all.insert(all.end(), codes.begin(), codes.end());
                }
            }
            whole_masks_rle(masks.stack(), 0.5F, size, threads, codes, Window{{h * 0.1, h}, {0, w * 0.9}});
            all.insert(all.end(), codes.begin(), codes.end());
            const StepwiseMasks steps{0.5F,
                                      {masks.height * 3, masks.width * 2},
                                      {{h * 0.3, h * 3}, {0, static_cast<double>(masks.width) * 1.7}}};
            stepwise_masks_rle(masks.stack(), steps, size, threads, codes);
            all.insert(all.end(), codes.begin(), codes.end());
            QueryInstanceOptions options;
            options.threads = threads;
            const QueryInstances found = query_instances(classes.table(), masks.stack(), size, options);
            all.insert(all.end(), found.codes.begin(), found.codes.end());
            options.processed_size = Size{size.height / 2 + 1, size.width / 2 + 1};
            for (const ScoreAt score_at : {ScoreAt::grid, ScoreAt::processed, ScoreAt::picture}) {
                options.score_at = score_at;
                const QueryInstances scored = query_instances(classes.table(), masks.stack(), size, options);
                all.insert(all.end(), scored.codes.begin(), scored.codes.end());
                for (const Instance& instance : scored.instances) {
                    all.push_back(std::to_string(instance.mask) + " " + std::to_string(instance.score));
                }
            }
            return all;
        });
    }
}

TEST(Rle, PackedCountsComeBack) {
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        const Index height = between(random, 1, 40), width = between(random, 1, 40);
        std::vector<std::uint8_t> mask(static_cast<std::size_t>(height * width)), back(mask.size());
        for (std::uint8_t& pixel : mask) {
            pixel = random() % 4 == 0 ? 1 : 0;
        }
        std::vector<std::uint32_t> counts, read;
        encode_mask({mask.data(), 1, height, width, {height * width, width, 1}}, 0, counts);
        unpack_counts(pack_counts(counts), height, width, read);
        EXPECT_EQ(read, counts);
        decode_mask(read, {back.data(), height, width, width});
        EXPECT_EQ(back, mask);
    }
}

TEST(Detections, AreTheSameEverywhere) {
    std::mt19937 random(3);
    const Floats predictions = random_grids(random, 1, 9, 300, Kind::nonfinite);
    expect_same_everywhere([&](int) {
        std::vector<Detection> detections;
        decode_yolo(predictions.table(), {}, detections);
        return detections.size();
    });
    std::vector<std::uint8_t> bits(6 * 20 * 70, 1);
    const std::vector<float> scores{0.9F, 0.8F, 0.8F, 0.1F, 0.5F, std::numeric_limits<float>::quiet_NaN()};
    const std::vector<std::int64_t> class_ids{0, 0, 1, 1, 2, 0};
    expect_same_everywhere([&](int threads) {
        std::vector<float> decayed(6);
        matrix_nms({bits.data(), 6, 20, 70, {1400, 70, 1}}, scores, class_ids, DecayKernel::gaussian, 2.0F, threads,
                   decayed);
        decayed.pop_back();
        return decayed;
    });
}

}  // namespace
}  // namespace segrt::test
