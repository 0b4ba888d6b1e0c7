// Arguments out of the fuzzer's bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "views.h"

namespace segrt::fuzz {

class Bytes {
public:
    Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

    std::uint8_t byte() {
        if (position_ >= size_) {
            return 0;
        }
        return data_[position_++];
    }

    Index between(Index low, Index high) { return low + byte() % (high - low + 1); }

    // Small numbers mostly, any bit pattern now and then.
    float number() {
        const std::uint8_t kind = byte();
        if (kind < 240) {
            return (static_cast<float>(kind) - 120.0F) / 8.0F;
        }
        std::uint32_t bits = 0;
        for (int i = 0; i < 4; ++i) {
            bits = bits << 8U | byte();
        }
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    }

    std::vector<float> numbers(Index count) {
        std::vector<float> values(static_cast<std::size_t>(count));
        for (float& value : values) {
            value = number();
        }
        return values;
    }

private:
    const std::uint8_t* data_;
    std::size_t size_, position_ = 0;
};

inline FloatStack stack_of(const std::vector<float>& values, Index count, Index height, Index width) {
    constexpr Index kFloat = sizeof(float);
    return {reinterpret_cast<const std::byte*>(values.data()), FloatType::float32, count, height, width,
            {height * width * kFloat, width * kFloat, kFloat}};
}

inline FloatTable table_of(const std::vector<float>& values, Index rows, Index columns) {
    constexpr Index kFloat = sizeof(float);
    return {reinterpret_cast<const std::byte*>(values.data()),
            FloatType::float32,
            rows,
            columns,
            {columns * kFloat, kFloat}};
}

}  // namespace segrt::fuzz
