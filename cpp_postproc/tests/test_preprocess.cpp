// Network inputs without Python.
#include <gtest/gtest.h>

#include "antialias.h"
#include "everywhere.h"
#include "preprocess.h"
#include "resize_floor.h"
#include "scenes.h"

namespace segrt::test {
namespace {

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

TEST(ResizeFloor, EveryThreadCountGivesTheSamePicture) {
    std::mt19937 random(3);
    for (int seed = 0; seed < 6; ++seed) {
        const Index height = between(random, 1, 50), width = between(random, 1, 60);
        const Index rows = between(random, 1, 70), columns = between(random, 1, 90);
        std::vector<std::uint8_t> picture(static_cast<std::size_t>(height * width * 3));
        for (std::uint8_t& value : picture) {
            value = static_cast<std::uint8_t>(random());
        }
        expect_same_everywhere([&](int threads) {
            std::vector<std::uint8_t> out(static_cast<std::size_t>(rows * columns * 3));
            resize_floor({picture.data(), height, width, width * 3}, rows, columns, threads, out.data());
            return out;
        });
    }
}

}  // namespace
}  // namespace segrt::test
