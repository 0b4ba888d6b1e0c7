#include "class_map.h"

#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace segrt {
namespace {

template <class T>
void read_row(const ClassMap& map, Index y, std::uint16_t* classes) {
    using Bits = std::make_unsigned_t<T>;
    const std::byte* row = map.data + y * map.strides[0];
    Bits all = 0;  // a negative id has the highest bits set, too
    const auto read = [&](Index x, Index stride) {
        T value;
        std::memcpy(&value, row + x * stride, sizeof value);
        classes[x] = static_cast<std::uint16_t>(value);
        all = static_cast<Bits>(all | static_cast<Bits>(value));
    };
    if (map.strides[1] == Index{sizeof(T)}) {
        for (Index x = 0; x < map.width; ++x) {
            read(x, sizeof(T));
        }
    } else {
        for (Index x = 0; x < map.width; ++x) {
            read(x, map.strides[1]);
        }
    }
    if (static_cast<std::uint64_t>(all) >= static_cast<std::uint64_t>(kClasses)) {
        throw std::invalid_argument("semantic must hold class ids from 0 to 65535, but row " + std::to_string(y) +
                                    " holds others");
    }
}

}  // namespace

void read_classes(const ClassMap& map, Index y, std::uint16_t* classes) {
    switch (map.item_size) {
        case 1:
            return read_row<std::uint8_t>(map, y, classes);
        case 2:
            return read_row<std::uint16_t>(map, y, classes);
        case 4:
            return read_row<std::int32_t>(map, y, classes);
        default:
            return read_row<std::int64_t>(map, y, classes);
    }
}

}  // namespace segrt
