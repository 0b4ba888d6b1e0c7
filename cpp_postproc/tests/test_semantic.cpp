// Class maps without Python.
#include <gtest/gtest.h>

#include "argmax.h"
#include "everywhere.h"
#include "query_semantic.h"
#include "scenes.h"

namespace segrt::test {
namespace {

TEST(Argmax, EveryKernelAndThreadCountGivesTheSameMap) {
    for (unsigned seed = 0; seed < 60; ++seed) {
        std::mt19937 random(seed);
        const Index classes = seed % 10 == 0 ? 300 : between(random, 1, 30);
        const Floats logits =
            random_grids(random, classes, between(random, 1, 20), between(random, 1, 40), kKinds[seed % 4]);
        const Size size{between(random, 1, 60), between(random, 1, 150)};
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint16_t> map(static_cast<std::size_t>(size.height * size.width));
            const std::int64_t nonfinite =
                argmax_map<std::uint16_t>(logits.stack(), std::nullopt, std::nullopt, threads,
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
            query_semantic<std::uint8_t>(classes.table(), masks.stack(), std::nullopt, std::nullopt, threads,
                                         {map.data(), 40, 70, 70});
            return map;
        });
    }
}

TEST(Processed, EveryKernelAndThreadCountGivesTheSameMaps) {
    for (unsigned seed = 0; seed < 40; ++seed) {
        std::mt19937 random(seed);
        const Index queries = between(random, 1, 9), height = between(random, 1, 20), width = between(random, 1, 40);
        const Floats classes = random_classes(random, queries, seed % 10 == 0 ? 260 : 7);
        const Floats masks = random_grids(random, queries, height, width, kKinds[seed % 4]);
        const Size processed{between(random, 1, 50), between(random, 1, 90)};
        const Size size{between(random, 1, 60), between(random, 1, 150)};
        const Window part{{0.25, static_cast<double>(height)}, {0, static_cast<double>(width) - 0.25}};
        const auto window = seed % 3 == 0 ? std::optional<Window>(part) : std::nullopt;
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint16_t> map(static_cast<std::size_t>(2 * size.height * size.width));
            const Map<std::uint16_t> first{map.data(), size.height, size.width, size.width};
            const Map<std::uint16_t> second{map.data() + size.height * size.width, size.height, size.width, size.width};
            const std::int64_t nonfinite =
                query_semantic<std::uint16_t>(classes.table(), masks.stack(), window, processed, threads, first) +
                argmax_map<std::uint16_t>(masks.stack(), window, processed, threads, second);
            map.push_back(static_cast<std::uint16_t>(nonfinite));
            return map;
        });
    }
}

}  // namespace
}  // namespace segrt::test
