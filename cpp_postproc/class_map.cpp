#include "class_map.h"

#include <cstring>
#include <stdexcept>
#include <string>

namespace segrt {
namespace {

template <class T>
void read_row(const ClassMap& map, Index y, std::uint16_t* classes) {
    const std::byte* row = map.data + y * map.strides[0];
    std::int64_t refused = 0;
    for (Index x = 0; x < map.width; ++x) {
        T value;
        std::memcpy(&value, row + x * map.strides[1], sizeof value);
        const auto id = static_cast<std::int64_t>(value);
        classes[x] = static_cast<std::uint16_t>(id);
        refused = id < 0 || id >= kClasses ? id : refused;
    }
    if (refused != 0) {
        throw std::invalid_argument("semantic must hold class ids from 0 to 65535, but holds " +
                                    std::to_string(refused));
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
