// COCO run-length encoding: counts of 0s and 1s in turn, down the columns, and their packing into bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "views.h"

namespace segrt {

// Collects the runs of one mask from the positions (column-major) where its value changes.
class RunWriter {
public:
    explicit RunWriter(std::vector<std::uint32_t>& counts) : counts_(counts) { counts_.clear(); }

    // From `position` on, the mask has `value`. Positions never decrease; a repeated value is no change.
    void set(std::int64_t position, bool value) {
        if (value == value_) {
            return;
        }
        counts_.push_back(static_cast<std::uint32_t>(position - last_));
        last_ = position;
        value_ = value;
    }

    void finish(std::int64_t size) {
        if (size > last_ || counts_.empty()) {
            counts_.push_back(static_cast<std::uint32_t>(size - last_));
        }
    }

private:
    std::vector<std::uint32_t>& counts_;
    std::int64_t last_ = 0;
    bool value_ = false;
};

// Calls function(x, top, bottom) for each stretch of ones in a column, from left to right and downwards.
template <class F>
void for_each_stretch(std::span<const std::uint32_t> counts, Index height, F&& function) {
    Index x = 0, y = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        for (Index left = counts[i]; left > 0;) {
            const Index taken = std::min(left, height - y);
            if (i % 2 == 1) {
                function(x, y, y + taken);
            } else if (left >= height && y == 0) {  // whole columns at once
                x += left / height;
                left %= height;
                continue;
            }
            left -= taken;
            y += taken;
            if (y == height) {
                y = 0;
                ++x;
            }
        }
    }
}

struct PixelBox {
    Index left = 0, top = 0, right = 0, bottom = 0;  // right and bottom are exclusive; all 0 when empty
};

// pycocotools' rleToString: differences to the count before last, in groups of 5 bits from character 48 on.
std::string pack_counts(std::span<const std::uint32_t> counts);

// The reverse. Throws std::invalid_argument when the bytes do not describe exactly height * width pixels.
void unpack_counts(std::string_view bytes, Index height, Index width, std::vector<std::uint32_t>& counts);

std::int64_t area_of_counts(std::span<const std::uint32_t> counts);
PixelBox box_of_counts(std::span<const std::uint32_t> counts, Index height);

void encode_mask(const MaskStack& masks, Index image, std::vector<std::uint32_t>& counts);
void decode_mask(std::span<const std::uint32_t> counts, Map<std::uint8_t> mask);

// Packed codes of all masks of a stack, and the reverse into pictures of one size that lie one after the other.
void encode_masks(const MaskStack& masks, int threads, std::vector<std::string>& codes);
void decode_masks(std::span<const std::string> codes, Size size, int threads, std::uint8_t* pictures);

}  // namespace segrt
