// Painting over pictures without Python: every kernel paints what the readable ones paint, at any width and strides.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "everywhere.h"
#include "overlay.h"
#include "scenes.h"
#include "track_fits.h"

namespace segrt::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes noise(std::mt19937& random, Index count) {
    Bytes bytes(static_cast<std::size_t>(count));
    for (std::uint8_t& byte : bytes) {
        byte = static_cast<std::uint8_t>(random());
    }
    return bytes;
}

// Patches of ids 0 to 4.
Bytes patches(std::mt19937& random, Index height, Index width) {
    Bytes ids(static_cast<std::size_t>(height * width));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        ids[i] = i % 23 == 0 ? static_cast<std::uint8_t>(random() % 5) : ids[i - 1];
    }
    return ids;
}

TEST(Overlay, EveryKernelTintsRegionsAndDrawsTheirLines) {
    std::mt19937 random(3);
    for (const Index width : {1, 2, 17, 63, 64, 65, 130, 200}) {
        const Index height = between(random, 1, 12);
        const Bytes image = noise(random, 3 * height * width), ids = patches(random, height, width);
        const ClassMap map{reinterpret_cast<const std::byte*>(ids.data()), 1, height, width, {width, 1}};
        const std::vector<std::int32_t> listed{1, 3, 4};
        const Bytes values{7, 255, 0};
        std::vector<float> light(768, 41.25F);
        Bytes painted(256);
        painted[7] = 1;
        const RegionLines lines{between(random, 2, 9), {0, 14, 28, 43, 57, 72, 86, 100, 115, 129}};
        expect_same_everywhere([&](int) {
            Bytes out(image.size());
            paint_regions({image.data(), height, width, 3 * width}, map, {listed, values, 0.58F, light, painted}, lines,
                          {out.data(), height, width, 3 * width});
            return out;
        });
    }
}

TEST(Overlay, LinesOfNoWeightLeaveThePicture) {
    const Index height = 3, width = 40;
    const Bytes image(static_cast<std::size_t>(3 * height * width), 200);
    Bytes ids(static_cast<std::size_t>(height * width), 1);
    std::fill_n(ids.begin() + 20, 20, std::uint8_t{2});
    const ClassMap map{reinterpret_cast<const std::byte*>(ids.data()), 1, height, width, {width, 1}};
    const std::vector<std::int32_t> listed{1, 2};
    const Bytes values{1, 2}, painted(256);
    const std::vector<float> light(768);
    expect_same_everywhere([&](int) {
        Bytes out(image.size());
        paint_regions({image.data(), height, width, 3 * width}, map, {listed, values, 1.0F, light, painted}, {2, {}},
                      {out.data(), height, width, 3 * width});
        EXPECT_EQ(out, image);
        return out;
    });
}

TEST(Overlay, EveryKernelPaintsObjectsWithSoftEdges) {
    std::mt19937 random(5);
    const std::vector<std::uint16_t> weights{1, 4, 13, 28, 45, 74, 45, 28, 13, 4, 1};
    Bytes light = noise(random, 2048), keep = noise(random, 2048);
    for (const std::size_t table : {std::size_t{0}, std::size_t{1024}}) {
        std::fill_n(light.begin() + static_cast<Index>(table), 4, std::uint8_t{0});
        std::fill_n(keep.begin() + static_cast<Index>(table), 4, std::uint8_t{255});
    }
    for (const Index width : {1, 5, 15, 16, 17, 40, 111}) {
        const Index height = between(random, 1, 40);
        const Bytes image = noise(random, 3 * height * width), ids = patches(random, height, width);
        const ClassMap map{reinterpret_cast<const std::byte*>(ids.data()), 1, height, width, {width, 1}};
        MaskRuns masks;
        runs_of_map(map, std::vector<std::int32_t>{2, 9, 1}, masks);
        expect_same_everywhere([&](int) {
            Bytes canvas = image;
            const std::vector<std::int64_t> places{2, 0, 1}, tables{1, 0, 0};
            paint_objects({canvas.data(), height, width, 3 * width}, {masks.runs, masks.starts}, false, weights,
                          {places, tables, light, keep});
            return canvas;
        });
    }
}

TEST(Overlay, EveryKernelPaintsTheInsideOfLargeObjects) {
    std::mt19937 random(6);
    const std::vector<std::uint16_t> weights{20, 40, 136, 40, 20};
    const Index height = 24, width = 150;
    const Bytes image = noise(random, 3 * height * width);
    Bytes light = noise(random, 1024), keep = noise(random, 1024);
    std::fill_n(light.begin(), 4, std::uint8_t{0});
    std::fill_n(keep.begin(), 4, std::uint8_t{255});
    std::vector<LineRun> runs;  // a board with a hole, beyond the right border
    for (std::int32_t y = 3; y < 22; ++y) {
        runs.push_back({y, 5, y > 12 ? 60 : 150});
        if (y > 12) {
            runs.push_back({y, 63, 150});
        }
    }
    const std::vector<std::int64_t> starts{0, std::ssize(runs)}, tables{0};
    expect_same_everywhere([&](int) {
        Bytes canvas = image;
        paint_objects({canvas.data(), height, width, 3 * width}, {runs, starts}, false, weights,
                      {tables, tables, light, keep});
        const std::size_t inside = 3 * (8 * width + 140);
        for (std::size_t i = inside; i < inside + 3; ++i) {
            const double kept = std::rint(image[i] * keep[4 * 255 + i - inside] / 255.0);
            EXPECT_EQ(canvas[i], std::min(kept + light[4 * 255 + i - inside], 255.0));
        }
        return canvas;
    });
}

TEST(Overlay, MasksBeyondTheCanvasAreRefused) {
    Bytes canvas(3 * 4 * 4), light(1024), keep(1024);
    const std::vector<std::uint16_t> weights{64, 128, 64};
    const std::vector<std::int64_t> tables{0}, starts{0, 1};
    for (const LineRun& run : {LineRun{4, 0, 2}, LineRun{-1, 0, 2}, LineRun{0, 2, 5}, LineRun{0, -1, 2}}) {
        const std::vector<LineRun> runs{run};
        for (const bool by_columns : {false, true}) {
            EXPECT_THROW(paint_objects({canvas.data(), 4, 4, 12}, {runs, starts}, by_columns, weights,
                                       {tables, tables, light, keep}),
                         std::invalid_argument);
        }
    }
}

TEST(Overlay, SpritesAreCutAtTheCanvasEdges) {
    const Bytes light(3 * 5 * 7, 10), keep(3 * 5 * 7, 128);
    constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t left : {-kFar - 1, std::int64_t{-8}, std::int64_t{-3}, std::int64_t{2}, kFar}) {
        for (const std::int64_t top : {-kFar - 1, std::int64_t{-5}, std::int64_t{-4}, std::int64_t{3}, kFar}) {
            Bytes canvas(3 * 6 * 4, 200);
            paste_sprites({canvas.data(), 6, 4, 12}, std::array{Sprite{light.data(), keep.data(), 5, 7, left, top}});
            for (Index i = 0; i < std::ssize(canvas); ++i) {
                const Index y = i / 12, x = i % 12 / 3;
                const bool inside = y >= top && x >= left && y - 5 < top && x - 7 < left;
                EXPECT_EQ(canvas[static_cast<std::size_t>(i)], inside ? 110 : 200);
            }
        }
    }
}

TEST(TrackFits, AMaskThatMovedAsPredictedFitsWholly) {
    const std::vector<LineRun> track{{2, 3, 7}, {3, 3, 7}}, thing{{4, 8, 12}, {5, 8, 12}};
    const std::vector<std::int64_t> starts{0, 2};
    const KnownTrack known{5, 3, 8, {3, 2, 7, 4}, 5, 3, 1};
    const PredictedTrack predicted{10, 5, {8, 4, 12, 6}, 1, 1};
    for (const double class_id : {1.0, 2.0}) {
        std::array<double, 4> fits{};
        const std::span<double> all(fits);
        fit_tracks({{track, starts}, {thing, starts}, false, 20, 20}, {&known, 1}, {&predicted, 1},
                   std::array{SeenThing{8, {8, 4, 12, 6}, class_id}}, {0.7, 0.9, 0.3, 0, 0.5, 64},
                   {all.subspan(0, 1), all.subspan(1, 1), all.subspan(2, 1), all.subspan(3, 1)});
        const double same = class_id == 1.0 ? 1.0 : 0.0;
        EXPECT_EQ(fits, (std::array{same, same, 0.0, 1.0}));
    }
}

}  // namespace
}  // namespace segrt::test
