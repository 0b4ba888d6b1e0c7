#include "rle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "rle_number.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {

namespace {

// The lowest 35 bits in groups of 5, the lowest in the lowest byte.
std::uint64_t spread(std::uint64_t number) {
    std::uint64_t groups = (number & 0xFFFFFU) | (number & 0x7FFF00000U) << 12U;
    groups = (groups & 0x000003FF000003FFU) | (groups & 0x000FFC00000FFC00U) << 6U;
    return (groups & 0x001F001F001F001FU) | (groups & 0x03E003E003E003E0U) << 3U;
}

// How spell_number spells a number of so many bits, less its groups: 48 to each byte, 32 to all but the last.
struct Spelling {
    std::uint64_t added = 0;
    std::int32_t bytes = 0;
};

constexpr int kMostBits = 34;

constexpr std::array<Spelling, kMostBits + 1> kSpellings = [] {
    std::array<Spelling, kMostBits + 1> spellings{};
    for (std::size_t bits = 0; bits < spellings.size(); ++bits) {
        const auto bytes = static_cast<std::int32_t>(bits / 5 + 1);  // and one bit for the sign
        std::uint64_t added = 0x3030303030303030U;
        for (std::int32_t i = 0; i + 1 < bytes; ++i) {
            added += std::uint64_t{0x20} << (8 * i);
        }
        spellings[bits] = {added, bytes};
    }
    return spellings;
}();

}  // namespace

// Numbers of all lengths follow one another, so that branches on the length would often be foreseen wrongly: each is
// written as eight bytes, of which the next one keeps those that count.
std::string pack_counts(std::span<const std::uint32_t> counts) {
    static_assert(std::endian::native == std::endian::little);
    ScratchFrame frame;
    char* const bytes = frame.take<char>(static_cast<Index>(counts.size()) * kMostBytes + 8).data();
    char* end = bytes;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const std::int64_t number = std::int64_t{counts[i]} - (i >= kToldWhole ? counts[i - 2] : 0);
        const auto magnitude = static_cast<std::uint64_t>(number < 0 ? ~number : number);
        const Spelling& spelling = kSpellings[static_cast<std::size_t>(std::bit_width(magnitude))];
        const std::uint64_t spelled = spread(static_cast<std::uint64_t>(number)) + spelling.added;
        std::memcpy(end, &spelled, sizeof spelled);
        end += spelling.bytes;
    }
    return {bytes, end};
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
    Index x = 0, y = 0;
    // Divisions are slow, and few runs are longer than a column.
    const auto advance = [&](Index pixels) {
        y += pixels;
        if (y >= height) {
            const Index columns = y < 2 * height ? 1 : y / height;
            x += columns;
            y -= columns * height;
        }
    };
    for (std::size_t i = 0; i < counts.size(); ++i) {
        if (i % 2 == 0 || counts[i] == 0) {
            advance(counts[i]);
            continue;
        }
        const Index column = x, row = y;
        advance(Index{counts[i]} - 1);
        const bool crosses = x != column;
        box.left = std::min(box.left, column);
        box.right = x + 1;
        box.top = std::min(box.top, crosses ? 0 : row);
        box.bottom = std::max(box.bottom, crosses ? height : y + 1);
        advance(1);
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
