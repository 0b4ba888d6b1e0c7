// Class maps without Python.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "argmax.h"
#include "binary.h"
#include "blend.h"
#include "everywhere.h"
#include "query_semantic.h"
#include "scenes.h"

namespace segrt::test {
namespace {

TEST(Argmax, EveryKernelAndThreadCountGivesTheSameMap) {
    for (unsigned seed = 0; seed < 60; ++seed) {
        std::mt19937 random(seed);
        const Index classes = seed % 10 == 0 ? 300 : between(random, 2, 30);
        const Floats logits =
            random_grids(random, classes, between(random, 1, 20), between(random, 1, 40), kKinds[seed % 4]);
        const Size size{between(random, 1, 60), between(random, 1, 150)};
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint16_t> map(static_cast<std::size_t>(size.height * size.width));
            const std::int64_t nonfinite = argmax_map<std::uint16_t>(
                logits.stack(), std::nullopt, std::nullopt, threads, {map.data(), size.height, size.width, size.width});
            map.push_back(static_cast<std::uint16_t>(nonfinite));
            return map;
        });
    }
}

// More channels than are bounded together, blocks that few columns lie under, and classes that are nearly alike.
TEST(Argmax, ManyChannelsAreComparedAlikeEverywhere) {
    for (unsigned seed = 0; seed < 16; ++seed) {
        std::mt19937 random(seed);
        const Index classes = between(random, 14, 50), height = between(random, 2, 7), width = between(random, 2, 9);
        const Size size{between(random, 20, 60), between(random, 33, 150)};
        Floats logits = random_grids(random, classes, height, width, kKinds[seed % 4]);
        for (Index k = 1; k < classes && seed % 3 == 0; ++k) {
            for (Index i = 0; i < height * width; ++i) {
                float& value = logits.values[static_cast<std::size_t>(k * height * width + i)];
                value = logits.values[static_cast<std::size_t>(i)] + value * 1e-6F;
            }
        }
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint8_t> map(static_cast<std::size_t>(size.height * size.width), 99);
            argmax_map<std::uint8_t>(logits.stack(), std::nullopt, std::nullopt, threads,
                                     {map.data(), size.height, size.width, size.width});
            return map;
        });
    }
}

TEST(Argmax, OfOneClassIsRefused) {
    std::mt19937 random(0);
    const Floats logits = random_grids(random, 1, 4, 4, Kind::smooth);
    std::vector<std::uint8_t> map(16);
    EXPECT_THROW(argmax_map<std::uint8_t>(logits.stack(), std::nullopt, std::nullopt, 1, {map.data(), 4, 4, 4}),
                 std::invalid_argument);
}

TEST(Binary, EveryKernelAndThreadCountGivesTheSameMap) {
    for (unsigned seed = 0; seed < 120; ++seed) {
        std::mt19937 random(seed);
        const Floats scores = random_grids(random, 1, between(random, 1, 20), between(random, 1, 90), kKinds[seed % 4]);
        const Size size{between(random, 1, 60), between(random, 1, 150)};
        const BinaryCut cut{.probabilities = seed % 3 == 0,
                            .threshold = seed % 3 == 0 ? 0.4F : 0.25F,
                            .object = static_cast<std::uint8_t>(seed % 2),
                            .other = static_cast<std::uint8_t>(seed % 5 == 0 ? 255 : 1 - seed % 2)};
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint8_t> map(static_cast<std::size_t>(size.height * size.width));
            const std::int64_t nonfinite = binary_map(scores.stack(), cut, std::nullopt, threads,
                                                      {map.data(), size.height, size.width, size.width});
            EXPECT_TRUE(std::all_of(map.begin(), map.end(),
                                    [&](std::uint8_t value) { return value == cut.object || value == cut.other; }));
            map.push_back(static_cast<std::uint8_t>(nonfinite));
            return map;
        });
    }
}

TEST(Binary, TakesOneImageAlone) {
    std::mt19937 random(0);
    const Floats scores = random_grids(random, 2, 4, 4, Kind::smooth);
    std::vector<std::uint8_t> map(16);
    EXPECT_THROW(binary_map(scores.stack(), {}, std::nullopt, 1, {map.data(), 4, 4, 4}), std::invalid_argument);
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
        const Index queries = between(random, 2, 9), height = between(random, 1, 20), width = between(random, 1, 40);
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

// Views of several tiles, in turn with that of the whole, and with weights.
TEST(Blend, EveryKernelAndThreadCountGivesTheSameMap) {
    for (unsigned seed = 0; seed < 60; ++seed) {
        std::mt19937 random(seed);
        const Index classes = seed % 10 == 0 ? 300 : between(random, 2, 30), tiles = between(random, 1, 4);
        const Size size{between(random, 1, 40), between(random, 1, 150)};
        std::vector<Floats> grids;
        for (Index i = 0; i <= tiles; ++i) {
            grids.push_back(random_grids(random, classes, between(random, 1, 20), between(random, 1, 40),
                                         kKinds[(seed + static_cast<unsigned>(i)) % 4]));
        }
        std::vector<float> rows(static_cast<std::size_t>(size.height), 0.25F);
        std::vector<float> columns(static_cast<std::size_t>(size.width), 0.5F);
        std::vector<ScoreView> views;
        for (const Floats& grid : grids) {
            views.push_back({grid.stack(), whole_window({grid.height, grid.width}), {}, {}});
        }
        views[0].row_weights = rows;
        views[0].column_weights = columns;
        std::vector<std::uint8_t> things(static_cast<std::size_t>(classes), 0);
        for (Index c = 0; c < classes && seed % 3 > 0; ++c) {
            things[static_cast<std::size_t>(c)] = seed % 3 == 1 || c % 2 == 0 ? 1 : 0;
        }
        const auto both = seed % 4 == 0 ? std::nullopt : std::optional<TwoViews>({views.back(), things, seed % 8 == 1});
        views.pop_back();
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint16_t> map(static_cast<std::size_t>(size.height * size.width));
            blend_map<std::uint16_t>(views, both, threads, {map.data(), size.height, size.width, size.width});
            return map;
        });
    }
}

TEST(Blend, WhatDoesNotFitIsRefused) {
    std::mt19937 random(0);
    const Floats one = random_grids(random, 3, 4, 4, Kind::smooth), other = random_grids(random, 2, 4, 4, Kind::smooth);
    const Window window = whole_window({4, 4});
    const std::vector<float> short_weights(3, 1.0F);
    const std::vector<std::uint8_t> things(3, 1);
    std::vector<std::uint8_t> map(16);
    const Map<std::uint8_t> out{map.data(), 4, 4, 4};
    const auto refuses = [&](std::vector<ScoreView> views, std::optional<TwoViews> both) {
        EXPECT_THROW(blend_map<std::uint8_t>(views, both, 1, out), std::invalid_argument);
    };
    refuses({}, std::nullopt);
    refuses({{one.stack(), window, {}, {}}, {other.stack(), window, {}, {}}}, std::nullopt);
    refuses({{one.stack(), window, short_weights, {}}}, std::nullopt);
    refuses({{one.stack(), window, {}, short_weights}}, std::nullopt);
    refuses({{one.stack(), window, {}, {}}}, TwoViews{{other.stack(), window, {}, {}}, things, false});
    refuses({{other.stack(), window, {}, {}}}, TwoViews{{other.stack(), window, {}, {}}, things, false});
    refuses(std::vector<ScoreView>(17, {one.stack(), window, {}, {}}), std::nullopt);
}

}  // namespace
}  // namespace segrt::test
