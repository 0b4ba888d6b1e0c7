// Wrong input is refused by the core, too; and the program that runs all of its tests.
#include <gtest/gtest.h>

#include <stdexcept>

#include "merge_queries.h"
#include "rle.h"
#include "scenes.h"

namespace segrt::test {
namespace {

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

}  // namespace
}  // namespace segrt::test

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
