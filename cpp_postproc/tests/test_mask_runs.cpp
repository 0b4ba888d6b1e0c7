// Masks as runs without Python: moved masks share what their pixels share.
#include <gtest/gtest.h>

#include <stdexcept>

#include "mask_runs.h"
#include "rle.h"
#include "scenes.h"

namespace segrt::test {
namespace {

TEST(MaskRuns, MovedMasksShareWhatTheirPixelsShare) {
    for (unsigned seed = 0; seed < 60; ++seed) {
        std::mt19937 random(seed);
        const Index height = between(random, 1, 9), width = between(random, 1, 150);
        const auto pixels = static_cast<std::size_t>(height * width);
        std::vector<std::uint8_t> first(pixels), second(pixels);
        for (std::size_t i = 0; i < pixels; ++i) {
            first[i] = i % 7 == 0 ? static_cast<std::uint8_t>(between(random, 0, 2)) : first[i - 1];
            second[i] = i % 5 == 0 ? static_cast<std::uint8_t>(between(random, 0, 2)) : second[i - 1];
        }
        const auto map = [&](const std::vector<std::uint8_t>& ids) {
            return ClassMap{reinterpret_cast<const std::byte*>(ids.data()), 1, height, width, {width, 1}};
        };
        const std::vector<std::int32_t> ids{2, 1};
        MaskRuns one, other;
        runs_of_map(map(first), ids, one);
        runs_of_map(map(second), ids, other);
        const std::vector<LineShift> shifts{{between(random, -2, 2), between(random, -5, 5)}, {0, 0}};
        std::vector<std::int64_t> counts(4), expected(4);
        count_shared({one.runs, one.starts}, shifts, {other.runs, other.starts}, counts);
        for (std::size_t i = 0; i < 2; ++i) {
            for (Index y = 0; y < height; ++y) {
                for (Index x = 0; x < width; ++x) {
                    const Index to_y = y + shifts[i].lines, to_x = x + shifts[i].along;
                    if (first[static_cast<std::size_t>(y * width + x)] != ids[i] || to_y < 0 || to_y >= height ||
                        to_x < 0 || to_x >= width) {
                        continue;
                    }
                    const std::uint8_t met = second[static_cast<std::size_t>(to_y * width + to_x)];
                    expected[2 * i] += met == 2 ? 1 : 0;
                    expected[2 * i + 1] += met == 1 ? 1 : 0;
                }
            }
        }
        EXPECT_EQ(counts, expected) << seed;
    }
}

TEST(MaskRuns, CodesAreThoseOfTheUnionOfRunsInAnyOrder) {
    // Columns of three pixels: 0 to 1 and 1 to 3 of the first one overlap, the second is whole, of the last one is
    // left.
    const std::vector<LineRun> runs{{3, 2, 3}, {1, 0, 3}, {0, 1, 3}, {0, 0, 2}, {2, 1, 1}};
    const std::vector<std::int64_t> starts{0, 5, 5};
    std::vector<std::string> codes;
    codes_of_runs({runs, starts}, {3, 4}, codes);
    const std::vector<std::uint32_t> counts{0, 6, 5, 1}, nothing{12};
    EXPECT_EQ(codes, (std::vector<std::string>{pack_counts(counts), pack_counts(nothing)}));
}

TEST(MaskRuns, CodesOfRunsOutsideOfThePictureAreRefused) {
    std::vector<std::string> codes;
    const std::vector<std::int64_t> starts{0, 1};
    for (const LineRun run :
         {LineRun{4, 0, 1}, LineRun{-1, 0, 1}, LineRun{0, -1, 1}, LineRun{0, 2, 4}, LineRun{0, 2, 1}}) {
        const std::vector<LineRun> runs{run};
        EXPECT_THROW(codes_of_runs({runs, starts}, {3, 4}, codes), std::invalid_argument);
    }
}

TEST(MaskRuns, StartsThatDescribeNoRunsAreRefused) {
    const std::vector<LineRun> runs(3);
    for (const std::vector<std::int64_t>& starts :
         {std::vector<std::int64_t>{}, {0, 4}, {1, 3}, {0, 2, 1, 3}, {0, 9, 3}}) {
        EXPECT_THROW(check_runs({runs, starts}, "masks"), std::invalid_argument);
    }
}

}  // namespace
}  // namespace segrt::test
