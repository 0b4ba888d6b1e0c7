// Results painted over their pictures: tinted regions with lines between them, objects with soft outlines.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "mask_runs.h"
#include "views.h"

namespace segrt {

// shape (height, width, 3) of bytes; the pixels of a row are contiguous, rows lie `stride` bytes apart.
struct PictureView {
    const std::uint8_t* data = nullptr;
    Index height = 0, width = 0, stride = 0;
};

struct Canvas {
    std::uint8_t* data = nullptr;
    Index height = 0, width = 0, stride = 0;
};

// What the regions of a map become. `ids` are distinct; entry i has the value values[i] of 0 to 255, ids that are not
// listed have 0. Pixels of a value that is `painted` become keep * pixel + light[value].
struct RegionTints {
    std::span<const std::int32_t> ids;
    std::span<const std::uint8_t> values;
    float keep = 0;
    std::span<const float> light;           // (256, 3)
    std::span<const std::uint8_t> painted;  // (256,)
};

// Lines where values differ within `reach` pixels: the share of n of 3x3 pixels that are one is mixed with white by
// weights[n] / 256. No lines where reach is 0.
struct RegionLines {
    Index reach = 0;
    std::array<std::uint8_t, 10> weights{};
};

// Paints the regions of `map` over `image` into `out`, all of one size; `image` and `out` are the same or do not
// overlap.
void paint_regions(const PictureView& image, const ClassMap& map, const RegionTints& tints, const RegionLines& lines,
                   const Canvas& out);

// Which masks are painted, in which colours: the i-th is mask places[i] and has table tables[i] of `light` and `keep`,
// both (tables, 256, 4): of three channels and a spare. Level 0 changes nothing: light 0, keep 255.
struct ObjectColors {
    std::span<const std::int64_t> places, tables;
    std::span<const std::uint8_t> light, keep;
};

// Paints the masks of `places` over `canvas`, the first first. A mask is blurred by `weights` (odd in number, 256 in
// all, that in the middle above 0) in both directions, as if its pixels at the picture's border went on beyond it; each
// of the 256 levels that comes of it adds its light and keeps its share of the canvas.
void paint_objects(const Canvas& canvas, const MaskRunsView& masks, bool by_columns,
                   std::span<const std::uint16_t> weights, const ObjectColors& colors);

// A small picture, shape (height, width, 3), rows one after the other, whose corner is pixel (left, top) of the
// canvas; either may lie outside. It adds `light` and keeps the share `keep` / 255 of what lies below.
struct Sprite {
    const std::uint8_t* light = nullptr;
    const std::uint8_t* keep = nullptr;
    Index height = 0, width = 0;
    std::int64_t left = 0, top = 0;
};

// Lays sprites over `canvas`, the first first; what lies outside is cut off. Shares are rounded to the nearest, sums
// end at 255: as OpenCV's multiply and add do it.
void paste_sprites(const Canvas& canvas, std::span<const Sprite> sprites);

}  // namespace segrt
