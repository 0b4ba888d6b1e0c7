// The inner loops by themselves, and which of them a processor gets.
#include <gtest/gtest.h>

#include <algorithm>

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
