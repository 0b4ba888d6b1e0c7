#include "rle.h"

#include <algorithm>
#include <stdexcept>

#include "rle_number.h"
#include "thread_pool.h"

namespace segrt {

std::string pack_counts(std::span<const std::uint32_t> counts) {
    std::string bytes;
    bytes.reserve(counts.size() * 2);
    for (std::size_t i = 0; i < counts.size(); ++i) {
        std::int64_t rest = counts[i];
        if (i >= kToldWhole) {
            rest -= counts[i - 2];
        }
        spell_number(rest, [&](char character) { bytes.push_back(character); });
    }
    return bytes;
}

void unpack_counts(std::string_view bytes, Index height, Index width, std::vector<std::uint32_t>& counts) {
    counts.clear();
    const std::int64_t size = std::int64_t{height} * width;
    std::int64_t total = 0;
    for (std::size_t i = 0; i < bytes.size();) {
        std::int64_t value = 0;
        unsigned shift = 0;
        bool more = true;
        while (more) {
            if (i == bytes.size()) {
                throw std::invalid_argument("rle counts end in the middle of a number; the encoding is truncated");
            }
            const int group = static_cast<unsigned char>(bytes[i++]) - 48;
            if (group < 0 || group > 63 || shift > 30) {
                throw std::invalid_argument("rle counts hold a byte that COCO's encoding does not use");
            }
            value |= std::int64_t{group & 0x1F} << shift;
            shift += 5;
            more = (group & 0x20) != 0;
            if (!more && (group & 0x10) != 0) {
                value |= -(std::int64_t{1} << shift);
            }
        }
        if (counts.size() > 2) {
            value += counts[counts.size() - 2];
        }
        total += value;
        if (value < 0 || total > size) {
            break;
        }
        counts.push_back(static_cast<std::uint32_t>(value));
    }
    if (total != size) {
        throw std::invalid_argument("rle counts describe " + std::to_string(total) + " pixels or more, but size is " +
                                    std::to_string(height) + " x " + std::to_string(width));
    }
}

std::int64_t area_of_counts(std::span<const std::uint32_t> counts) {
    std::int64_t area = 0;
    for (std::size_t i = 1; i < counts.size(); i += 2) {
        area += counts[i];
    }
    return area;
}

PixelBox box_of_counts(std::span<const std::uint32_t> counts, Index height) {
    PixelBox box{.left = INT32_MAX, .top = INT32_MAX, .right = 0, .bottom = 0};
    std::int64_t position = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const std::int64_t end = position + counts[i];
        if (i % 2 == 1 && end > position) {
            const Index first_column = position / height, last_column = (end - 1) / height;
            box.left = std::min(box.left, first_column);
            box.right = std::max(box.right, last_column + 1);
            const bool crosses = first_column != last_column;
            box.top = std::min(box.top, crosses ? 0 : position % height);
            box.bottom = std::max(box.bottom, crosses ? height : (end - 1) % height + 1);
        }
        position = end;
    }
    return box.right == 0 ? PixelBox{} : box;
}

void encode_mask(const MaskStack& masks, Index image, std::vector<std::uint32_t>& counts) {
    RunWriter runs(counts);
    for (Index x = 0; x < masks.width; ++x) {
        for (Index y = 0; y < masks.height; ++y) {
            runs.set(x * masks.height + y, *(masks.row(image, y) + x * masks.strides[2]) != 0);
        }
    }
    runs.finish(masks.height * masks.width);
}

void decode_mask(std::span<const std::uint32_t> counts, Map<std::uint8_t> mask) {
    fill_map(mask, std::uint8_t{0});
    for_each_stretch(counts, mask.height, [&](Index x, Index top, Index bottom) {
        for (Index y = top; y < bottom; ++y) {
            mask.row(y)[x] = 1;
        }
    });
}

void encode_masks(const MaskStack& masks, int threads, std::vector<std::string>& codes) {
    codes.assign(static_cast<std::size_t>(masks.count), {});
    parallel_for(threads, masks.count, 1, [&](Index begin, Index end, int) {
        thread_local std::vector<std::uint32_t> counts;
        for (Index i = begin; i < end; ++i) {
            encode_mask(masks, i, counts);
            codes[static_cast<std::size_t>(i)] = pack_counts(counts);
        }
    });
}

void decode_masks(std::span<const std::string> codes, Size size, int threads, std::uint8_t* pictures) {
    parallel_for(threads, static_cast<Index>(codes.size()), 1, [&](Index begin, Index end, int) {
        thread_local std::vector<std::uint32_t> counts;
        for (Index i = begin; i < end; ++i) {
            unpack_counts(codes[static_cast<std::size_t>(i)], size.height, size.width, counts);
            decode_mask(counts, {pictures + i * size.height * size.width, size.height, size.width, size.width});
        }
    });
}

}  // namespace segrt
