// The core without Python: every kernel table and thread count gives the scalar result, and wrong input is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "antialias.h"
#include "argmax.h"
#include "detections.h"
#include "group_centers.h"
#include "instances.h"
#include "kernels/features.h"
#include "merge_instances.h"
#include "merge_queries.h"
#include "preprocess.h"
#include "query_semantic.h"
#include "rle.h"
#include "scenes.h"
#include "thread_pool.h"

namespace segrt::test {
namespace {

constexpr Kind kKinds[] = {Kind::smooth, Kind::noisy, Kind::ties, Kind::nonfinite};

// Runs `function` once with every kernel table, on one or two threads, and expects the first result each time.
template <class F>
void expect_same_everywhere(F&& function) {
    choose_kernels("scalar");
    const auto expected = function(1);
    for (const char* name : kernel_names()) {
        choose_kernels(name);
        for (const int threads : {1, 2}) {
            EXPECT_EQ(function(threads), expected) << name << ", threads: " << threads;
        }
    }
    choose_kernels("auto");
}

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

TEST(Argmax, EveryKernelAndThreadCountGivesTheSameMap) {
    for (unsigned seed = 0; seed < 60; ++seed) {
        std::mt19937 random(seed);
        const Index classes = seed % 10 == 0 ? 300 : between(random, 1, 30);
        const Floats logits =
            random_grids(random, classes, between(random, 1, 20), between(random, 1, 40), kKinds[seed % 4]);
        const Size size{between(random, 1, 60), between(random, 1, 150)};
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint16_t> map(static_cast<std::size_t>(size.height * size.width));
            const std::int64_t nonfinite = argmax_map<std::uint16_t>(logits.stack(), std::nullopt, threads,
                                                                     {map.data(), size.height, size.width, size.width});
            map.push_back(static_cast<std::uint16_t>(nonfinite));
            return map;
        });
    }
}

TEST(QuerySemantic, EveryKernelAndThreadCountGivesTheSameMap) {
    for (unsigned seed = 0; seed < 12; ++seed) {
        std::mt19937 random(seed);
        const Index queries = between(random, 1, 9);
        const Floats classes = random_classes(random, queries, 5);
        const Floats masks = random_grids(random, queries, 13, between(random, 1, 80), kKinds[seed % 4]);
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint8_t> map(40 * 70);
            query_semantic<std::uint8_t>(classes.table(), masks.stack(), std::nullopt, threads,
                                         {map.data(), 40, 70, 70});
            return map;
        });
    }
}

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
            prototype_masks_rle(masks.stack(), weights.table(), boxes.table(), size, threads, codes);
            all.insert(all.end(), codes.begin(), codes.end());
            QueryInstanceOptions options;
            options.threads = threads;
            const QueryInstances found = query_instances(classes.table(), masks.stack(), size, options);
            all.insert(all.end(), found.codes.begin(), found.codes.end());
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

TEST(Bits, EveryKernelPacksCountsAndPaintsTheSame) {
    std::mt19937 random(4);
    for (const Index width : {1, 7, 63, 64, 65, 127, 128, 200, 333}) {
        std::vector<std::uint8_t> row(static_cast<std::size_t>(width));
        for (Index x = 0; x < width; ++x) {
            const std::uint8_t values[] = {0, 1, 128, 255};
            // Long runs of either kind, and a mixture.
            const bool mixed = x % 150 >= 130;
            row[static_cast<std::size_t>(x)] = mixed ? values[random() % 4] : values[x / 65 % 2 * 3];
        }
        expect_same_everywhere([&](int) {
            const auto words = static_cast<std::size_t>((width + 63) / 64);
            std::vector<std::uint64_t> bits(words, ~std::uint64_t{0});
            std::vector<std::int32_t> ids(static_cast<std::size_t>(width), -1);
            const std::int64_t set = kernels().pack_row(row.data(), width, bits.data());
            EXPECT_EQ(set, width - std::count(row.begin(), row.end(), 0));
            EXPECT_EQ(kernels().count_common(bits.data(), bits.data(), static_cast<Index>(words)), set);
            kernels().paint_bits(bits.data(), static_cast<Index>(words), 5, ids.data());
            for (std::size_t x = 0; x < row.size(); ++x) {
                EXPECT_EQ(ids[x], row[x] != 0 ? 5 : -1);
            }
            return bits;
        });
    }
}

TEST(Bits, ClearingPicturesLeavesTheirNeighboursAlone) {
    for (const char* name : kernel_names()) {
        choose_kernels(name);
        for (const Index offset : {1, 3, 17, 63, 64, 65}) {
            for (const Index count : {0, 1, 20, 64, 300}) {
                std::vector<std::uint8_t> bytes(500, 9);
                kernels().clear_pictures(bytes.data() + offset, count);
                EXPECT_EQ(std::count(bytes.begin() + offset, bytes.begin() + offset + count, 0), count) << name;
                EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 9), 500 - count) << name;
            }
        }
    }
    choose_kernels("auto");
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

TEST(Preprocess, EveryKernelAndThreadCountGivesTheSameFloats) {
    for (unsigned seed = 0; seed < 20; ++seed) {
        std::mt19937 random(seed);
        const Index height = between(random, 1, 50), width = between(random, 1, 60);
        const Index rows = between(random, 1, 70), columns = between(random, 1, 90);
        std::vector<std::uint8_t> picture(static_cast<std::size_t>(height * width * 3));
        for (std::uint8_t& value : picture) {
            value = static_cast<std::uint8_t>(random());
        }
        expect_same_everywhere([&](int threads) {
            std::vector<float> out(static_cast<std::size_t>(3 * rows * columns));
            const Normalization normalization{{0.5F, 2.0F, 1.0F}, {1.0F, 0.0F, -3.0F}, seed % 2 == 0};
            const FloatTarget planar{out.data(), rows, columns, rows * columns, columns, 1};
            const FloatTarget interleaved{out.data(), rows, columns, 1, 3 * columns, 3};
            resize_normalize({picture.data(), height, width, width * 3}, normalization, threads,
                             seed % 3 == 0 ? interleaved : planar);
            return out;
        });
    }
}

TEST(Antialias, EveryKernelAndThreadCountGivesTheSamePicture) {
    std::mt19937 random(9);
    for (int seed = 0; seed < 6; ++seed) {
        const Index height = 1 + static_cast<Index>(random() % 70), width = 1 + static_cast<Index>(random() % 90);
        const Index rows = 1 + static_cast<Index>(random() % 70), columns = 1 + static_cast<Index>(random() % 90);
        std::vector<std::uint8_t> picture(static_cast<std::size_t>(height * width * 3));
        for (std::uint8_t& value : picture) {
            value = static_cast<std::uint8_t>(random() % 2 * 255);
        }
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint8_t> out(static_cast<std::size_t>(rows * columns * 3));
            resize_antialias({picture.data(), height, width, width * 3},
                             seed % 2 == 0 ? Filter::bilinear : Filter::bicubic, rows, columns, threads, out.data());
            return out;
        });
    }
}

TEST(Dispatch, AProcessorThatLacksOneInstructionSetRunsTheNextBestKernels) {
    EXPECT_STREQ(best_kernels(0).name, "baseline");
#if defined(__x86_64__)
    const std::uint32_t avx2 = kAvx2Kernels.needs, avx512 = kAvx512Kernels.needs;
    EXPECT_EQ(avx512 & avx2, avx2);
    EXPECT_STREQ(best_kernels(~0U).name, "avx512");
    for (const auto& [feature, name] : kFeatures) {
        const char* const expected = (avx2 & feature) != 0 ? "baseline" : "avx2";
        EXPECT_STREQ(best_kernels(avx512 & ~feature).name, expected) << "without " << name;
        EXPECT_STREQ(best_kernels(avx2 & ~feature).name, expected) << "without " << name;
    }
#endif
}

TEST(Refusals, NameTheArgument) {
    std::mt19937 random(0);
    const Floats classes = random_classes(random, 3, 2), masks = random_grids(random, 2, 4, 4, Kind::smooth);
    std::vector<std::int32_t> ids(16);
    std::vector<Segment> segments;
    EXPECT_THROW(merge_queries(classes.table(), masks.stack(), {}, {ids.data(), 4, 4, 4}, segments),
                 std::invalid_argument);
    std::vector<std::uint32_t> counts;
    for (const char* code : {"", "9", "~~~~", "o", "Po"}) {
        EXPECT_THROW(unpack_counts(code, 5, 5, counts), std::invalid_argument) << code;
    }
    EXPECT_THROW(choose_kernels("mmx"), std::invalid_argument);
}

TEST(ThreadPool, VisitsEveryElementOnceAndPassesExceptionsOn) {
    for (const int threads : {1, 2, 5}) {
        std::vector<int> visits(1000, 0);
        parallel_for(threads, 1000, 7, [&](Index begin, Index end, int slot) {
            EXPECT_LT(slot, threads);
            for (Index i = begin; i < end; ++i) {
                ++visits[static_cast<std::size_t>(i)];
            }
        });
        EXPECT_EQ(visits, std::vector<int>(1000, 1));
        EXPECT_THROW(parallel_for(threads, 100, 1,
                                  [](Index begin, Index, int) {
                                      if (begin == 50) {
                                          throw std::runtime_error("stop");
                                      }
                                  }),
                     std::runtime_error);
    }
}

TEST(ThreadPool, ServesSeveralCallersAtOnce) {
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i) {
        callers.emplace_back([] {
            for (int round = 0; round < 50; ++round) {
                std::vector<std::int64_t> sums(3, 0);
                parallel_for(3, 300, 10, [&](Index begin, Index end, int slot) {
                    for (Index at = begin; at < end; ++at) {
                        sums[static_cast<std::size_t>(slot)] += at;
                    }
                });
                EXPECT_EQ(sums[0] + sums[1] + sums[2], 299 * 300 / 2);
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
}

}  // namespace
}  // namespace segrt::test

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
