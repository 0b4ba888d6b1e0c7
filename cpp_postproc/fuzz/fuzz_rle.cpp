// Any bytes as a code: refused, or the code of a mask that packs to a mask of the same counts.
#include <stdexcept>
#include <string_view>

#include "bytes.h"
#include "rle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace segrt;
    fuzz::Bytes bytes(data, size);
    const Index height = bytes.between(1, 30), width = bytes.between(1, 30);
    const std::size_t used = std::min<std::size_t>(size, 2);
    std::vector<std::uint32_t> counts, again;
    try {
        unpack_counts({reinterpret_cast<const char*>(data) + used, size - used}, height, width, counts);
    } catch (const std::invalid_argument&) {
        return 0;
    }
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(height * width));
    decode_mask(counts, {mask.data(), height, width, width});
    box_of_counts(counts, height);
    encode_mask({mask.data(), 1, height, width, {height * width, width, 1}}, 0, again);
    if (area_of_counts(counts) != area_of_counts(again)) {
        __builtin_trap();
    }
    return 0;
}
