#include "packed_instances.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>
#include <vector>

#include "kernels.h"
#include "rle.h"
#include "thread_pool.h"

namespace segrt {
namespace {

Stretch find_stretch(const std::uint64_t* bits, Index words) {
    Index first = 0, last = words;
    while (bits[first] == 0) {
        ++first;
    }
    while (bits[last - 1] == 0) {
        --last;
    }
    return {static_cast<std::int32_t>(first), static_cast<std::int32_t>(last)};
}

// Rows of one mask that are packed as one piece of work.
constexpr Index kPackRows = 128;
// How often the masks that stand are guessed before one thread decides mask by mask.
constexpr int kGuesses = 3;

bool may_stand(const Claimed& claimed, double threshold) {
    return claimed.area > 0 && !(static_cast<double>(claimed.taken) / static_cast<double>(claimed.area) > threshold);
}

}  // namespace

PackedInstances::PackedInstances(const MaskSource& masks, Map<std::int32_t> ids, std::span<std::uint64_t> taken,
                                 Index most, int threads)
    : masks_(masks),
      ids_(ids),
      words_((ids.width + 63) / 64),
      blocks_((ids.height + kPackRows - 1) / kPackRows),
      threads_(threads),
      taken_(taken),
      bits_(frame_.take<std::uint64_t>(most * ids.height * words_)),
      stretches_(frame_.take<Stretch>(most * ids.height)),
      areas_(frame_.take<std::int64_t>(most * blocks_)),
      rows_(frame_.take<std::uint8_t>(threads * ids.width)) {}

void PackedInstances::pack(std::span<const std::size_t> images) {
    const auto count = static_cast<Index>(images.size());
    if (masks_.pictures == nullptr) {
        parallel_for(threads_, count, 1, [&](Index begin, Index end, int) {
            for (Index k = begin; k < end; ++k) {
                pack_code(masks_.codes[images[static_cast<std::size_t>(k)]], k);
            }
        });
        return;
    }
    parallel_for(threads_, count * blocks_, threads_ == 1 ? count * blocks_ : 1, [&](Index begin, Index end, int slot) {
        for (Index piece = begin; piece < end; ++piece) {
            const Index k = piece / blocks_;
            pack_block(static_cast<Index>(images[static_cast<std::size_t>(k)]), k, piece % blocks_, slot);
        }
    });
}

void PackedInstances::claim(double threshold, std::span<Claimed> claims) {
    for (std::size_t k = 0; k < claims.size(); ++k) {
        claims[k] = {.area = area(static_cast<Index>(k)), .region = {}};
    }
    if (threads_ == 1 || !claim_together(threshold, claims)) {
        claim_in_turn(threshold, claims);
    }
}

void PackedInstances::claim_in_turn(double threshold, std::span<Claimed> claims) {
    for (std::size_t at = 0; at < claims.size(); ++at) {
        const auto k = static_cast<Index>(at);
        Claimed& claimed = claims[at];
        claimed.taken = 0;
        for (Index y = 0; y < ids_.height && claimed.area > 0; ++y) {
            const Stretch& stretch = stretch_of(k, y);
            claimed.taken +=
                kernels().count_common(bits_of(k, y) + stretch.first, taken_of(y) + stretch.first, stretch.words());
        }
        claimed.stands = may_stand(claimed, threshold);
        if (claimed.stands) {
            claim_rows(0, ids_.height, k, claimed.region);
        }
    }
}

// Whether a mask stands depends on those before it, in all rows. Mostly all of them do: that is assumed, and what is
// taken counted on all threads; where a mask does not stand after all, it is counted anew. Returns whether that went
// well, claims being made then.
bool PackedInstances::claim_together(double threshold, std::span<Claimed> claims) {
    for (Claimed& claimed : claims) {
        claimed.stands = claimed.area > 0;
    }
    for (int guess = 0; guess < kGuesses; ++guess) {
        count_taken(claims);
        const auto wrong = std::find_if(claims.begin(), claims.end(), [threshold](const Claimed& claimed) {
            return claimed.stands != may_stand(claimed, threshold);
        });
        if (wrong == claims.end()) {
            ScratchFrame frame;
            const auto count = static_cast<Index>(claims.size());
            const auto regions = frame.filled<Region>(threads_ * count, Region{});
            parallel_rows(threads_, ids_.height, [&](Index begin, Index end, int slot) {
                for (Index k = 0; k < count; ++k) {
                    if (claims[static_cast<std::size_t>(k)].stands) {
                        claim_rows(begin, end, k, regions[static_cast<std::size_t>(slot * count + k)]);
                    }
                }
            });
            for (std::size_t i = 0; i < regions.size(); ++i) {
                claims[i % claims.size()].region.add(regions[i]);
            }
            return true;
        }
        // All before it are right, so it is known; of those behind it, the same may be true.
        for (auto claimed = wrong; claimed != claims.end(); ++claimed) {
            claimed->stands = may_stand(*claimed, threshold);
        }
    }
    return false;
}

// Counts what masks before it that are assumed to stand have taken of each.
void PackedInstances::count_taken(std::span<Claimed> claims) {
    ScratchFrame frame;
    const auto count = static_cast<Index>(claims.size());
    const auto taken = frame.filled<std::int64_t>(threads_ * count, 0);
    const auto rows = frame.take<std::uint64_t>(threads_ * words_);
    parallel_rows(threads_, ids_.height, [&](Index begin, Index end, int slot) {
        std::uint64_t* row = rows.data() + slot * words_;
        for (Index y = begin; y < end; ++y) {
            std::copy_n(taken_of(y), words_, row);
            for (Index k = 0; k < count; ++k) {
                const Stretch& stretch = stretch_of(k, y);
                if (stretch.words() == 0) {
                    continue;
                }
                const std::uint64_t* bits = bits_of(k, y) + stretch.first;
                std::uint64_t* there = row + stretch.first;
                taken[static_cast<std::size_t>(slot * count + k)] +=
                    kernels().count_common(bits, there, stretch.words());
                if (claims[static_cast<std::size_t>(k)].stands) {
                    std::transform(bits, bits + stretch.words(), there, there, std::bit_or<>());
                }
            }
        }
    });
    for (Claimed& claimed : claims) {
        claimed.taken = 0;
    }
    for (std::size_t i = 0; i < taken.size(); ++i) {
        claims[i % claims.size()].taken += taken[i];
    }
}

void PackedInstances::claim_rows(Index begin, Index end, Index k, Region& region) {
    for (Index y = begin; y < end; ++y) {
        Stretch& stretch = stretch_of(k, y);
        std::uint64_t* free = bits_of(k, y) + stretch.first;
        std::uint64_t* taken = taken_of(y) + stretch.first;
        std::uint64_t any = 0;
        for (Index i = 0; i < stretch.words(); ++i) {
            free[i] &= ~taken[i];
            taken[i] |= free[i];
            any |= free[i];
        }
        if (any == 0) {
            stretch = Stretch{};
            continue;
        }
        const std::int64_t claimed = kernels().count_common(free, free, stretch.words());
        const Stretch inner = find_stretch(free, stretch.words());
        const Index first = 64 * (stretch.first + inner.first) + std::countr_zero(free[inner.first]);
        const Index last = 64 * (stretch.first + inner.last) - 1 - std::countl_zero(free[inner.last - 1]);
        region.add_row(y, first, last, claimed);
        stretch = {stretch.first + inner.first, stretch.first + inner.last};
    }
}

void PackedInstances::paint(std::span<const std::int32_t> id_of) {
    parallel_rows(threads_, ids_.height, [&](Index begin, Index end, int) {
        for (Index y = begin; y < end; ++y) {
            for (std::size_t k = 0; k < id_of.size(); ++k) {
                const Stretch& stretch = stretch_of(static_cast<Index>(k), y);
                if (id_of[k] != 0 && stretch.words() > 0) {
                    kernels().paint_bits(bits_of(static_cast<Index>(k), y) + stretch.first, stretch.words(), id_of[k],
                                         ids_.row(y) + 64 * stretch.first);
                }
            }
        }
    });
}
void PackedInstances::pack_block(Index image, Index k, Index block, int slot) {
    const Kernels& kernel = kernels();
    std::int64_t area = 0;
    for (Index y = block * kPackRows; y < std::min((block + 1) * kPackRows, ids_.height); ++y) {
        const std::uint8_t* mask = masks_.pictures->contiguous_row(image, y, rows_.data() + slot * ids_.width);
        const std::int64_t in_row = kernel.pack_row(mask, ids_.width, bits_of(k, y));
        stretch_of(k, y) = in_row == 0 ? Stretch{} : find_stretch(bits_of(k, y), words_);
        area += in_row;
    }
    areas_[static_cast<std::size_t>(k * blocks_ + block)] = area;
}

void PackedInstances::pack_code(std::string_view code, Index k) {
    thread_local std::vector<std::uint32_t> counts;
    unpack_counts(code, ids_.height, ids_.width, counts);
    std::fill_n(bits_of(k, 0), ids_.height * words_, std::uint64_t{0});
    for_each_stretch(counts, ids_.height, [&](Index x, Index top, Index bottom) {
        std::uint64_t* word = bits_of(k, top) + x / 64;
        const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(x % 64);
        for (Index y = top; y < bottom; ++y, word += words_) {
            *word |= bit;
        }
    });
    for (Index y = 0; y < ids_.height; ++y) {
        const std::uint64_t* row = bits_of(k, y);
        const bool is_empty = std::all_of(row, row + words_, [](std::uint64_t word) { return word == 0; });
        stretch_of(k, y) = is_empty ? Stretch{} : find_stretch(row, words_);
    }
    const auto areas = areas_.subspan(static_cast<std::size_t>(k * blocks_), static_cast<std::size_t>(blocks_));
    std::fill(areas.begin(), areas.end(), 0);
    areas[0] = area_of_counts(counts);
}

std::int64_t PackedInstances::area(Index k) const {
    const auto own = areas_.subspan(static_cast<std::size_t>(k * blocks_), static_cast<std::size_t>(blocks_));
    return std::accumulate(own.begin(), own.end(), std::int64_t{0});
}

}  // namespace segrt
