// Memory of large results that were let go, used again: pages that the system has to find and to fill with zeros first
// cost more than the work on them.
#pragma once

#include <cstddef>

namespace segrt {

struct KeptMemory {
    std::byte* data = nullptr;
    bool zeroed = false;  // fresh from the system; else it holds what was there before
};

// What is kept while nobody uses it, at most; more goes back to the system at once.
inline constexpr std::size_t kMostKept = std::size_t{256} << 20U;
// What nobody asked for so long goes back at the next call of either function.
inline constexpr int kIdleSeconds = 10;

// At least `bytes`, aligned to a page, for one owner, who gives it back. For any thread. Throws std::bad_alloc.
KeptMemory take_memory(std::size_t bytes);
void give_memory(std::byte* data, std::size_t bytes);  // as many as were asked for

// How many bytes are kept now.
std::size_t kept_memory();

}  // namespace segrt
