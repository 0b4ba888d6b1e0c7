#include "overlaps.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "id_table.h"

namespace segrt {
namespace {

template <class T>
T load(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
void read_row(const ClassMap& map, Index y, std::int32_t* ids) {
    const std::byte* row = map.data + y * map.strides[0];
    if (map.strides[1] == static_cast<Index>(sizeof(T))) {
        for (Index x = 0; x < map.width; ++x) {
            ids[x] = static_cast<std::int32_t>(load<T>(row + x * static_cast<Index>(sizeof(T))));
        }
        return;
    }
    for (Index x = 0; x < map.width; ++x) {
        ids[x] = static_cast<std::int32_t>(load<T>(row + x * map.strides[1]));
    }
}

// Blue first: R + 256 G + 65536 B are the three bytes from last to first.
void read_colors(const std::byte* row, Index width, Index step, std::int32_t* ids) {
    const auto* pixel = reinterpret_cast<const std::uint8_t*>(row);
    Index x = 0;
    if constexpr (std::endian::native == std::endian::little) {
        // Four bytes at a time: the fourth is the next pixel's first, so the last pixel is left to the loop below.
        for (; x + 1 < width; ++x, pixel += step) {
            const auto word = load<std::uint32_t>(pixel);
            ids[x] = static_cast<std::int32_t>((word & 0xFFU) << 16U | (word & 0xFF00U) | (word >> 16U & 0xFFU));
        }
    }
    for (; x < width; ++x, pixel += step) {
        ids[x] = pixel[2] | pixel[1] << 8 | pixel[0] << 16;
    }
}

// Returns row y as int32: in place where it is that already, else copied to `buffer`.
const std::int32_t* row_of(const ClassMap& map, Index y, std::vector<std::int32_t>& buffer) {
    const std::byte* row = map.data + y * map.strides[0];
    switch (map.item_size) {
        case 1:
            read_row<std::uint8_t>(map, y, buffer.data());
            return buffer.data();
        case 2:
            read_row<std::uint16_t>(map, y, buffer.data());
            return buffer.data();
        case 3:
            read_colors(row, map.width, map.strides[1], buffer.data());
            return buffer.data();
        default:
            if (map.strides[1] == 4 && reinterpret_cast<std::uintptr_t>(row) % alignof(std::int32_t) == 0) {
                return reinterpret_cast<const std::int32_t*>(row);
            }
            read_row<std::int32_t>(map, y, buffer.data());
            return buffer.data();
    }
}

void check_type(const ClassMap& map, const char* name) {
    if (map.item_size < 1 || map.item_size > 4) {
        throw std::invalid_argument(std::string(name) + " must be uint8, uint16, int32 or colours of three bytes");
    }
}

// Calls run(first pixel, end) for every run of pixels of a row in which both maps keep their ids. Label maps are
// patches: where something changes is marked first, without a branch, and the marks are then looked through eight at a
// time.
template <class F>
void for_runs(const std::int32_t* first, const std::int32_t* second, Index width, std::vector<std::uint8_t>& marks,
              F&& run) {
    std::uint8_t* changes = marks.data();  // changes[x]: a run ends after pixel x
    for (Index x = 0; x + 1 < width; ++x) {
        changes[x] = static_cast<std::uint8_t>(((first[x] ^ first[x + 1]) | (second[x] ^ second[x + 1])) != 0);
    }
    changes[width - 1] = 1;
    Index begin = 0;
    for (Index x = 0; x < width; x += 8) {
        auto word = load<std::uint64_t>(changes + x);
        if constexpr (std::endian::native == std::endian::big) {
            word = __builtin_bswap64(word);
        }
        for (; word != 0; word &= word - 1) {
            const Index end = x + std::countr_zero(word) / 8 + 1;
            run(begin, end);
            begin = end;
        }
    }
}

// Marks for a row, whole words long; those beyond the row stay 0.
std::vector<std::uint8_t> marks_for(Index width) {
    return std::vector<std::uint8_t>(static_cast<std::size_t>(width) + 8);
}

}  // namespace

void count_overlaps(const ClassMap& first, const ClassMap& second, std::span<const std::int32_t> first_ids,
                    std::span<const std::int32_t> second_ids, std::span<std::int64_t> counts) {
    check_type(first, "first");
    check_type(second, "second");
    if (first.height != second.height || first.width != second.width) {
        throw std::invalid_argument("first and second must have one shape, but got (" + std::to_string(first.height) +
                                    ", " + std::to_string(first.width) + ") and (" + std::to_string(second.height) +
                                    ", " + std::to_string(second.width) + ")");
    }
    const std::size_t columns = second_ids.size() + 1;
    if (counts.size() != (first_ids.size() + 1) * columns) {
        throw std::invalid_argument("counts must have shape (first_ids + 1, second_ids + 1)");
    }
    const IdTable rows(first_ids), places(second_ids);
    std::ranges::fill(counts, 0);
    std::vector<std::int32_t> first_row(static_cast<std::size_t>(first.width));
    std::vector<std::int32_t> second_row(static_cast<std::size_t>(second.width));
    std::vector<std::uint8_t> marks = marks_for(first.width);
    if (first.width == 0) {
        return;
    }
    for (Index y = 0; y < first.height; ++y) {
        const std::int32_t* a = row_of(first, y, first_row);
        const std::int32_t* b = row_of(second, y, second_row);
        for_runs(a, b, first.width, marks, [&](Index begin, Index end) {
            counts[rows.find(a[begin]) * columns + places.find(b[begin])] += end - begin;
        });
    }
}

void count_ids(const ClassMap& map, std::span<const std::int32_t> ids, std::span<std::int64_t> counts) {
    check_type(map, "map");
    if (counts.size() != ids.size() + 1) {
        throw std::invalid_argument("counts must have shape (ids + 1,)");
    }
    const IdTable places(ids);
    std::ranges::fill(counts, 0);
    std::vector<std::int32_t> buffer(static_cast<std::size_t>(map.width));
    std::vector<std::uint8_t> marks = marks_for(map.width);
    if (map.width == 0) {
        return;
    }
    for (Index y = 0; y < map.height; ++y) {
        const std::int32_t* row = row_of(map, y, buffer);
        for_runs(row, row, map.width, marks,
                 [&](Index begin, Index end) { counts[places.find(row[begin])] += end - begin; });
    }
}

void ids_of_colors(const ClassMap& image, Map<std::int32_t> ids) {
    for (Index y = 0; y < image.height; ++y) {
        read_colors(image.data + y * image.strides[0], image.width, image.strides[1], ids.row(y));
    }
}

}  // namespace segrt
