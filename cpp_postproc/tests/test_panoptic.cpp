// Panoptic segmentation without Python.
#include <gtest/gtest.h>

#include "everywhere.h"
#include "group_centers.h"
#include "merge_instances.h"
#include "merge_queries.h"
#include "scenes.h"

namespace segrt::test {
namespace {

TEST(Merge, EveryKernelAndThreadCountGivesTheSameMap) {
    for (unsigned seed = 0; seed < 48; ++seed) {
        std::mt19937 random(seed);
        const Index queries = between(random, 1, 14), height = between(random, 1, 20), width = between(random, 1, 40);
        const Size size{between(random, 1, 60), between(random, 1, 150)};
        const Floats classes = random_classes(random, queries, 3);
        const Floats masks = random_grids(random, queries, height, width, kKinds[seed % 4]);
        const std::int64_t stuff[] = {0, 1};
        for (const MergeRule rule : {MergeRule::maskformer, MergeRule::eomt, MergeRule::detr}) {
            expect_same_everywhere([&](int threads) {
                std::vector<std::int32_t> ids(static_cast<std::size_t>(size.height * size.width), -1);
                std::vector<Segment> segments;
                MergeOptions options;
                options.rule = rule;
                options.overlap_threshold = 0.3;
                options.stuff_classes = stuff;
                options.threads = threads;
                if (seed % 3 == 0 && rule != MergeRule::maskformer) {
                    options.processed_size = Size{33, 47};
                }
                const std::int64_t nonfinite =
                    merge_queries(classes.table(), masks.stack(), options,
                                  {ids.data(), size.height, size.width, size.width}, segments);
                for (const Segment& segment : segments) {
                    ids.push_back(segment.id);
                    ids.push_back(segment.class_id);
                    ids.push_back(static_cast<std::int32_t>(segment.area));
                    ids.push_back(segment.left + segment.top + segment.width + segment.height);
                }
                ids.push_back(static_cast<std::int32_t>(nonfinite));
                return ids;
            });
        }
    }
}

TEST(Fusion, ThreadsDoNotChangeTheMap) {
    for (unsigned seed = 0; seed < 20; ++seed) {
        std::mt19937 random(seed);
        const Index height = between(random, 1, 50), width = between(random, 1, 60), count = between(random, 0, 8);
        const auto pixels = static_cast<std::size_t>(height * width);
        std::vector<std::uint8_t> semantic(pixels), bits(pixels * static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < pixels; ++i) {
            semantic[i] = static_cast<std::uint8_t>(i * 5 / pixels);
        }
        for (std::size_t i = 0; i < bits.size(); ++i) {
            bits[i] = (i / 17 + seed) % 5 == 0 ? 1 : 0;
        }
        const Floats heat = random_grids(random, 1, height, width, Kind::noisy);
        const Floats offsets = random_grids(random, 2, height, width, kKinds[seed % 4]);
        std::vector<float> scores(static_cast<std::size_t>(count), 0.7F);
        std::vector<std::int64_t> class_ids(static_cast<std::size_t>(count), 3);
        const ClassMap map{reinterpret_cast<const std::byte*>(semantic.data()), 1, height, width, {width, 1}};
        const MaskStack masks{bits.data(), count, height, width, {height * width, width, 1}};
        const std::int64_t things[] = {1, 2};
        expect_same_everywhere([&](int threads) {
            std::vector<std::int32_t> ids(pixels, -1), other(pixels, -1);
            std::vector<Segment> segments;
            merge_semantic_instances(map, masks, scores, class_ids, {0.5F, 0.5, 20, threads},
                                     {ids.data(), height, width, width}, segments);
            GroupOptions options;
            options.thing_classes = things;
            options.stuff_area_limit = 10;
            options.threads = threads;
            group_centers(map, heat.stack(), offsets.stack(), options, {other.data(), height, width, width}, segments);
            ids.insert(ids.end(), other.begin(), other.end());
            return ids;
        });
    }
}

// Of masks that lie on one another every other one is refused, which no guess foresees.
TEST(Fusion, ThreadsAgreeOnMasksThatOthersCover) {
    constexpr Index kSide = 96, kMasks = 24;
    std::vector<std::uint8_t> semantic(kSide * kSide, 1), bits(kSide * kSide * kMasks, 0);
    for (Index k = 0; k < kMasks; ++k) {
        for (Index y = 0; y < kSide; ++y) {
            for (Index x = 3 * k; x < std::min(3 * k + 5, kSide); ++x) {
                bits[static_cast<std::size_t>((k * kSide + y) * kSide + x)] = 1;
            }
        }
    }
    std::vector<float> scores(kMasks, 0.7F);
    std::vector<std::int64_t> class_ids(kMasks, 3);
    const ClassMap map{reinterpret_cast<const std::byte*>(semantic.data()), 1, kSide, kSide, {kSide, 1}};
    const MaskStack masks{bits.data(), kMasks, kSide, kSide, {kSide * kSide, kSide, 1}};
    for (const double threshold : {0.0, 0.3, 0.39, 0.41, 1.0}) {
        expect_same_everywhere([&](int threads) {
            std::vector<std::int32_t> ids(kSide * kSide, -1);
            std::vector<Segment> segments;
            merge_semantic_instances(map, masks, scores, class_ids, {0.5F, threshold, 20, threads},
                                     {ids.data(), kSide, kSide, kSide}, segments);
            EXPECT_EQ(segments.size(), threshold < 0.4 ? 13U : 25U);
            for (const Segment& segment : segments) {
                ids.push_back(segment.left + 100 * segment.width + static_cast<std::int32_t>(segment.area));
            }
            return ids;
        });
    }
}

}  // namespace
}  // namespace segrt::test
