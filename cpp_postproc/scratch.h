// Memory that is asked for once and used again: no heap allocation after the first frames of a stream.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace segrt {

// A growing stack of bytes. Each thread has its own; it keeps the largest size it ever needed.
class Scratch {
public:
    static Scratch& of_this_thread();

    std::byte* take(std::size_t bytes);

private:
    friend class ScratchFrame;
    struct Block {
        std::unique_ptr<std::byte[]> memory;
        std::byte* begin = nullptr;  // aligned to a cache line
        std::size_t size = 0, used = 0;
    };
    void add_block(std::size_t bytes);
    void merge_blocks();

    std::vector<Block> blocks_;
    int open_frames_ = 0;
};

// What is taken from a frame lives until the frame ends.
class ScratchFrame {
public:
    ScratchFrame();
    ~ScratchFrame();
    ScratchFrame(const ScratchFrame&) = delete;
    ScratchFrame& operator=(const ScratchFrame&) = delete;

    template <class T>
    std::span<T> take(std::ptrdiff_t count) {
        static_assert(std::is_trivially_destructible_v<T>);
        const auto size = static_cast<std::size_t>(count);
        return {reinterpret_cast<T*>(scratch_.take(size * sizeof(T))), size};
    }

    template <class T>
    std::span<T> filled(std::ptrdiff_t count, const T& value) {
        const std::span<T> span = take<T>(count);
        for (T& element : span) {
            element = value;
        }
        return span;
    }

private:
    Scratch& scratch_;
    std::size_t block_, used_;
};

}  // namespace segrt
