// The inner loops by themselves, and which of them a processor gets.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "everywhere.h"
#include "kernels.h"
#include "kernels/features.h"
#include "scenes.h"

namespace segrt::test {
namespace {

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

TEST(Rows, CombiningClassesAtOnceIsCombiningThemOneByOne) {
    std::mt19937 random(8);
    for (const Index classes : {1, 3, 4, 5, 9}) {
        for (const Index width : {1, 15, 16, 31, 33, 100}) {
            const Index count = between(random, 1, 12);
            const Floats weights = random_grids(random, 1, count, classes + 1, Kind::noisy);
            const Floats rows = random_grids(random, 1, count, width + 3, Kind::noisy);
            expect_same_everywhere([&](int) {
                std::vector<float> together(static_cast<std::size_t>(classes * width)), apart(together.size());
                kernels().combine_classes(weights.values.data(), classes + 1, classes, rows.values.data(), width + 3,
                                          count, width, together.data(), width);
                for (Index c = 0; c < classes; ++c) {
                    kernels().combine(weights.values.data() + c, classes + 1, rows.values.data(), width + 3, count,
                                      width, apart.data() + c * width);
                }
                EXPECT_EQ(together, apart);
                return together;
            });
        }
    }
}

TEST(Rows, ProbabilitiesOfLogitsAboveZeroAreSummedTheSame) {
    std::mt19937 random(9);
    for (const Index count : {0, 1, 15, 16, 17, 64, 333}) {
        const Floats logits = random_grids(random, 1, 1, count, Kind::noisy);
        expect_same_everywhere([&](int) {
            Index cells = -1;
            const float sum = kernels().sum_probabilities(logits.values.data(), count, &cells);
            EXPECT_EQ(cells, std::count_if(logits.values.begin(), logits.values.end(), [](float v) { return v > 0; }));
            return std::pair(sum, cells);
        });
    }
}

TEST(Rows, ClassLogitsBecomeTheSameProbabilities) {
    std::mt19937 random(10);
    for (const Index count : {1, 2, 31, 32, 33, 64, 134, 200}) {
        const Floats logits = random_grids(random, 1, 1, count, Kind::noisy);
        expect_same_everywhere([&](int) {
            std::vector<float> row = logits.values;
            kernels().softmax(row.data(), count);
            EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1, 1e-5);
            const auto most = std::max_element(logits.values.begin(), logits.values.end());
            EXPECT_EQ(std::max_element(row.begin(), row.end()) - row.begin(), most - logits.values.begin());
            return row;
        });
    }
}

TEST(Rows, TheLeastDecayIsThatOfAnyMaskAndOneAtMost) {
    std::mt19937 random(11);
    std::uniform_real_distribution<float> share(0, 1);
    for (const Index count : {0, 1, 15, 16, 17, 50}) {
        std::vector<float> overlaps(static_cast<std::size_t>(count)), worst(overlaps.size());
        for (std::size_t i = 0; i < overlaps.size(); ++i) {
            overlaps[i] = i % 3 == 0 ? 0 : share(random);
            worst[i] = i % 5 == 0 ? 1 : share(random);
        }
        for (const bool gaussian : {true, false}) {
            expect_same_everywhere([&](int) {
                const float least = kernels().least_decay(gaussian, 2, overlaps.data(), worst.data(), count);
                EXPECT_LE(least, 1);
                EXPECT_EQ(least == 1, count <= 1);
                return least;
            });
        }
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

}  // namespace
}  // namespace segrt::test
