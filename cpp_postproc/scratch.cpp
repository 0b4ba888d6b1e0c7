#include "scratch.h"

#include <algorithm>
#include <cstdint>

namespace segrt {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmallestBlock = std::size_t{1} << 20U;

}  // namespace

Scratch& Scratch::of_this_thread() {
    thread_local Scratch scratch;
    return scratch;
}

void Scratch::add_block(std::size_t bytes) {
    Block block;
    block.size = std::max(bytes, kSmallestBlock);
    block.memory = std::unique_ptr<std::byte[]>(new std::byte[block.size + kAlignment]);
    const auto address = reinterpret_cast<std::uintptr_t>(block.memory.get());
    block.begin = block.memory.get() + (kAlignment - address % kAlignment) % kAlignment;
    blocks_.push_back(std::move(block));
}

std::byte* Scratch::take(std::size_t bytes) {
    bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (blocks_.empty() || blocks_.back().size - blocks_.back().used < bytes) {
        add_block(bytes);
    }
    Block& block = blocks_.back();
    std::byte* memory = block.begin + block.used;
    block.used += bytes;
    return memory;
}

void Scratch::merge_blocks() {
    if (blocks_.size() < 2) {
        return;
    }
    std::size_t total = 0;
    for (const Block& block : blocks_) {
        total += block.size;
    }
    blocks_.clear();
    add_block(total);
}

ScratchFrame::ScratchFrame() : scratch_(Scratch::of_this_thread()), block_(0), used_(0) {
    if (scratch_.blocks_.empty()) {
        scratch_.add_block(kSmallestBlock);
    }
    block_ = scratch_.blocks_.size() - 1;
    used_ = scratch_.blocks_.back().used;
    ++scratch_.open_frames_;
}

ScratchFrame::~ScratchFrame() {
    // Blocks that were added meanwhile stay until the outermost frame ends, when all become one block.
    for (std::size_t i = block_ + 1; i < scratch_.blocks_.size(); ++i) {
        scratch_.blocks_[i].used = 0;
    }
    scratch_.blocks_[block_].used = used_;
    if (--scratch_.open_frames_ == 0) {
        scratch_.merge_blocks();
    }
}

}  // namespace segrt
