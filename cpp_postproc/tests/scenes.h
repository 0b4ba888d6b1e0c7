// Random heads for the tests of the core.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernels.h"
#include "views.h"

namespace segrt::test {

inline const std::vector<const char*>& kernel_names() {
    static const std::vector<const char*> names = [] {
        std::vector<const char*> found;
        for (const char* name : {"scalar", "baseline", "avx2", "avx512"}) {
            try {
                choose_kernels(name);
                found.push_back(name);
            } catch (const std::exception&) {
                continue;  // not on this processor
            }
        }
        choose_kernels("auto");
        return found;
    }();
    return names;
}

struct Floats {
    std::vector<float> values;
    Index count, height, width;

    [[nodiscard]] FloatStack stack() const {
        constexpr Index kFloat = sizeof(float);
        return {reinterpret_cast<const std::byte*>(values.data()), FloatType::float32, count, height, width,
                {height * width * kFloat, width * kFloat, kFloat}};
    }
    [[nodiscard]] FloatTable table() const {
        constexpr Index kFloat = sizeof(float);
        return {reinterpret_cast<const std::byte*>(values.data()),
                FloatType::float32,
                height,
                width,
                {width * kFloat, kFloat}};
    }
};

enum class Kind { smooth, noisy, ties, nonfinite };

constexpr Kind kKinds[] = {Kind::smooth, Kind::noisy, Kind::ties, Kind::nonfinite};

inline Floats random_grids(std::mt19937& random, Index count, Index height, Index width, Kind kind) {
    Floats floats{{}, count, height, width};
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<float> uniform;
    for (Index k = 0; k < count; ++k) {
        const float y0 = uniform(random) * static_cast<float>(height), x0 = uniform(random) * static_cast<float>(width);
        const float radius = uniform(random) * static_cast<float>(height + width) / 3;
        for (Index y = 0; y < height; ++y) {
            for (Index x = 0; x < width; ++x) {
                float value = radius - std::hypot(static_cast<float>(y) - y0, static_cast<float>(x) - x0);
                value += normal(random) * (kind == Kind::noisy ? 6.0F : 0.2F);
                if (kind == Kind::ties) {
                    value = std::round(value / 2) * 2;
                }
                if (kind == Kind::nonfinite && uniform(random) < 0.1F) {
                    const float specials[] = {std::numeric_limits<float>::quiet_NaN(),
                                              std::numeric_limits<float>::infinity(),
                                              -std::numeric_limits<float>::infinity()};
                    value = specials[random() % 3];
                }
                floats.values.push_back(value);
            }
        }
    }
    return floats;
}

inline Floats random_classes(std::mt19937& random, Index queries, Index classes) {
    Floats floats{{}, 1, queries, classes + 1};
    std::normal_distribution<float> normal;
    for (Index q = 0; q < queries; ++q) {
        const auto favourite = static_cast<Index>(random() % static_cast<unsigned>(classes + 1));
        for (Index c = 0; c <= classes; ++c) {
            floats.values.push_back(normal(random) + (c == favourite ? 5.0F : 0.0F));
        }
    }
    return floats;
}

inline Index between(std::mt19937& random, Index low, Index high) {
    return std::uniform_int_distribution<Index>(low, high)(random);
}

}  // namespace segrt::test
