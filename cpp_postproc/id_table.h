// Where ids of label maps stand in a list of them.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace segrt {

// Finds the place of an id in a list: an open-addressed table, so empty that most ids are found at once.
class IdTable {
public:
    explicit IdTable(std::span<const std::int32_t> ids)
        : mask_(std::bit_ceil(16 * ids.size() + 16) - 1), slots_(mask_ + 1, Slot{}) {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            Slot& slot = slots_[place(ids[i])];
            if (slot.index != 0) {
                throw std::invalid_argument("ids must be distinct, but id " + std::to_string(ids[i]) +
                                            " is listed twice");
            }
            slot = {ids[i], i + 1};
        }
    }

    // 1 + the position of `id`, 0 when it is not listed.
    [[nodiscard]] std::size_t find(std::int32_t id) const { return slots_[place(id)].index; }

private:
    struct Slot {
        std::int32_t id = 0;
        std::size_t index = 0;
    };

    [[nodiscard]] std::size_t place(std::int32_t id) const {
        // Multiplication by the golden ratio spreads ids that differ in high bits alone, as colours do.
        std::size_t at = (static_cast<std::uint32_t>(id) * 2654435769U >> 15U) & mask_;
        while (slots_[at].index != 0 && slots_[at].id != id) {
            at = (at + 1) & mask_;
        }
        return at;
    }

    std::size_t mask_;
    std::vector<Slot> slots_;
};

}  // namespace segrt
