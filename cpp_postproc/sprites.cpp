#include <algorithm>

#include "overlay.h"

namespace segrt {
namespace {

constexpr Index kAhead = 4, kCacheLine = 64;

// In 16 bits, of which a register holds most: the nearest whole number to product / 255 of two bytes' product is
// (product + 128) * 257 / 65536, for no product lies in the middle between two.
void paste_row(const std::uint8_t* light, const std::uint8_t* keep, std::uint8_t* pixels, Index count) {
    for (Index i = 0; i < count; ++i) {
        const auto rounded = static_cast<std::uint16_t>(pixels[i] * keep[i] + 128);
        const auto kept = static_cast<std::uint16_t>((rounded + (rounded >> 8)) >> 8);
        const auto sum = static_cast<std::uint16_t>(kept + light[i]);
        pixels[i] = static_cast<std::uint8_t>(sum > 255 ? 255 : sum);
    }
}

}  // namespace

void paste_sprites(const Canvas& canvas, std::span<const Sprite> sprites) {
    for (const Sprite& sprite : sprites) {
        if (sprite.top >= canvas.height || sprite.left >= canvas.width || sprite.top <= -sprite.height ||
            sprite.left <= -sprite.width) {
            continue;
        }
        const Index first_row = std::max<Index>(0, -sprite.top), first_column = std::max<Index>(0, -sprite.left);
        const Index last_row = std::min<Index>(sprite.height, canvas.height - sprite.top);
        const Index count = std::min<Index>(sprite.width, canvas.width - sprite.left) - first_column;
        for (Index y = first_row; y < last_row; ++y) {
            const Index place = 3 * (y * sprite.width + first_column);
            std::uint8_t* row = canvas.data + (sprite.top + y) * canvas.stride + 3 * (sprite.left + first_column);
            if (y + kAhead < last_row) {  // rows lie pages apart, which no processor foresees
                for (Index byte = 0; byte < 3 * count; byte += kCacheLine) {
                    __builtin_prefetch(row + kAhead * canvas.stride + byte, 1);
                }
            }
            paste_row(sprite.light + place, sprite.keep + place, row, 3 * count);
        }
    }
}

}  // namespace segrt
