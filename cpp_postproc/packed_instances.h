// Instances as bits, 64 pixels to a word, and which pixels they claim of those that are free.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "scratch.h"
#include "segment.h"
#include "views.h"

namespace segrt {

// The words [first, last) of a row of bits between which its pixels lie.
struct Stretch {
    std::int32_t first = 0, last = 0;

    [[nodiscard]] Index words() const { return last - first; }
};

// Where masks come from: pictures of bytes, or else run-length codes.
struct MaskSource {
    const MaskStack* pictures = nullptr;
    std::span<const std::string> codes;
};

// What became of a packed mask: its pixels, how many of them better ones had taken, and where those lie that it got.
struct Claimed {
    std::int64_t area = 0, taken = 0;
    bool stands = false;
    Region region;
};

// Masks are read once, into bits; overlaps and free pixels are found by words of 64 pixels.
class PackedInstances {
public:
    // `taken`: [row][word], the pixels that are not free. At most `most` masks are packed together.
    PackedInstances(const MaskSource& masks, Map<std::int32_t> ids, std::span<std::uint64_t> taken, Index most,
                    int threads);

    // Reads the masks at these positions.
    void pack(std::span<const std::size_t> images);

    // Gives the packed masks, the first one first, their free pixels, which stay as their bits, and takes them; all but
    // empty ones, and those of which more than `threshold` is taken. One for each mask is written.
    void claim(double threshold, std::span<Claimed> claims);

    // Paints what the packed masks claimed; id_of[k] is 0 for one that does not stand.
    void paint(std::span<const std::int32_t> id_of);

private:
    void pack_block(Index image, Index k, Index block, int slot);
    void pack_code(std::string_view code, Index k);
    [[nodiscard]] std::int64_t area(Index k) const;
    void claim_in_turn(double threshold, std::span<Claimed> claims);
    bool claim_together(double threshold, std::span<Claimed> claims);
    void count_taken(std::span<Claimed> claims);
    void claim_rows(Index begin, Index end, Index k, Region& region);

    [[nodiscard]] std::uint64_t* bits_of(Index k, Index y) const {
        return bits_.data() + (k * ids_.height + y) * words_;
    }
    [[nodiscard]] std::uint64_t* taken_of(Index y) const { return taken_.data() + y * words_; }
    [[nodiscard]] Stretch& stretch_of(Index k, Index y) const {
        return stretches_[static_cast<std::size_t>(k * ids_.height + y)];
    }

    ScratchFrame frame_;
    MaskSource masks_;
    Map<std::int32_t> ids_;
    Index words_, blocks_;
    int threads_;
    std::span<std::uint64_t> taken_, bits_;
    std::span<Stretch> stretches_;
    std::span<std::int64_t> areas_;  // [mask][block]
    std::span<std::uint8_t> rows_;
};

}  // namespace segrt
