// Any regions and objects painted over any picture: nothing else of it changes, and what does not fit is refused.
#include <algorithm>
#include <stdexcept>

#include "bytes.h"
#include "overlay.h"

namespace {

using namespace segrt;
using Pixels = std::vector<std::uint8_t>;

constexpr float kKeep = 0.5F;
constexpr Index kLight = 60;

Pixels pixels_of(fuzz::Bytes& bytes, Index count, Index most) {
    Pixels pixels(static_cast<std::size_t>(count));
    for (std::uint8_t& pixel : pixels) {
        pixel = static_cast<std::uint8_t>(bytes.between(0, most));
    }
    return pixels;
}

// Without lines each pixel depends on its own id alone.
void check_tints(const Pixels& image, const Pixels& ids, const Pixels& painted, const Pixels& out) {
    for (std::size_t i = 0; i < image.size(); ++i) {
        const std::uint8_t id = ids[i / 3];
        const bool is_painted = painted[id == 1 ? 7 : 0] != 0;
        const auto tinted = static_cast<Index>(image[i]) / 2 + kLight;
        const auto got = static_cast<Index>(out[i]);
        if (is_painted ? got < tinted || got > tinted + 1 : got != image[i]) {
            __builtin_trap();
        }
    }
}

// Pixels that no mask comes near stay what they are: level 0 adds nothing and keeps all.
void check_far(const Pixels& before, const Pixels& after, const Pixels& ids, Size size, Index radius) {
    for (Index y = 0; y < size.height; ++y) {
        for (Index x = 0; x < size.width; ++x) {
            bool near = false;
            for (Index v = std::max<Index>(y - radius, 0); v <= std::min(y + radius, size.height - 1); ++v) {
                for (Index u = std::max<Index>(x - radius, 0); u <= std::min(x + radius, size.width - 1); ++u) {
                    near = near || ids[static_cast<std::size_t>(v * size.width + u)] == 1;
                }
            }
            const auto at = static_cast<std::size_t>(3 * (y * size.width + x));
            if (!near && !std::equal(&before[at], &before[at] + 3, &after[at])) {
                __builtin_trap();
            }
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes bytes(data, size);
    const Size picture{bytes.between(1, 9), bytes.between(1, 150)};
    const Index area = picture.height * picture.width, stride = 3 * picture.width;
    const Index reach = bytes.between(0, 12), radius = bytes.between(0, 5);
    const bool by_columns = bytes.between(0, 1) == 1;
    LineRun stray{static_cast<std::int32_t>(bytes.between(0, 160)) - 2,
                  static_cast<std::int32_t>(bytes.between(0, 160)) - 2,
                  static_cast<std::int32_t>(bytes.between(0, 160)) - 2};
    const auto unlisted_painted = static_cast<std::uint8_t>(bytes.between(0, 1));
    const Pixels ids = pixels_of(bytes, area, 3), image = pixels_of(bytes, 3 * area, 255);
    const ClassMap map{
        reinterpret_cast<const std::byte*>(ids.data()), 1, picture.height, picture.width, {picture.width, 1}};

    Pixels painted(256), out(image.size());
    painted[7] = 1;
    painted[0] = unlisted_painted;
    const std::vector<float> light(768, static_cast<float>(kLight));
    const std::vector<std::int32_t> listed{1};
    const Pixels values{7};
    try {
        paint_regions({image.data(), picture.height, picture.width, stride}, map,
                      {listed, values, kKeep, light, painted}, {reach, {0, 14, 28, 43, 57, 72, 86, 100, 115, 129}},
                      {out.data(), picture.height, picture.width, stride});
        if (reach == 0) {
            check_tints(image, ids, painted, out);
        }
    } catch (const std::invalid_argument&) {
        if (reach != 1) {
            __builtin_trap();
        }
    }

    std::vector<std::uint16_t> weights(static_cast<std::size_t>(2 * radius + 1), 1);
    weights[static_cast<std::size_t>(radius)] = static_cast<std::uint16_t>(256 - 2 * radius);
    Pixels lights(1024, 90), keeps(1024, 128);
    std::fill_n(lights.begin(), 4, std::uint8_t{0});
    std::fill_n(keeps.begin(), 4, std::uint8_t{255});
    MaskRuns masks;
    runs_of_map(map, listed, masks);
    Pixels canvas = image;
    const std::vector<std::int64_t> tables{0};
    const Canvas target{canvas.data(), picture.height, picture.width, stride};
    paint_objects(target, {masks.runs, masks.starts}, false, weights, {tables, tables, lights, keeps});
    check_far(image, canvas, ids, picture, radius);
    const std::vector<std::int64_t> starts{0, 1};
    const Index tall = bytes.between(0, picture.height), wide = bytes.between(0, picture.width);
    const Sprite sprite{image.data(), image.data(), tall, wide, bytes.between(0, 400) - 200, bytes.between(0, 40) - 20};
    paste_sprites(target, {&sprite, 1});
    try {  // a run that may lie anywhere
        paint_objects(target, {{&stray, 1}, starts}, by_columns, weights, {tables, tables, lights, keeps});
    } catch (const std::invalid_argument&) {
    }
    return 0;
}
