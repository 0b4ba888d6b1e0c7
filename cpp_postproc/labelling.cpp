#include "labelling.h"

#include <algorithm>

#include "kernels.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

Index round_up(Index number, Index step) {
    return (number + step - 1) / step * step;
}

LabelMemory label_memory(ScratchFrame& frame, const LabelJob& job) {
    constexpr Index kRegister = 16;  // floats of the widest
    const Index blocks = round_up((job.columns.length + kBlock - 1) / kBlock, kRegister);
    const Index width = round_up(job.source.width + kRowPadding, kRowPadding);
    const auto floats = [&frame](Index count) { return frame.take<float>(count).data(); };
    const auto integers = [&frame](Index count) { return frame.take<std::int32_t>(count).data(); };
    const auto bounds = [&] { return BlockBounds{floats(job.channels * blocks), floats(job.channels * blocks)}; };
    LabelMemory memory;
    memory.row_stride = width;
    memory.bound_stride = blocks;
    memory.first = integers(blocks);
    memory.last = integers(blocks);
    for (SourceRow& row : memory.rows) {
        row = {floats(job.channels * width), bounds()};
    }
    memory.sliding_low = floats(width);
    memory.sliding_high = floats(width);
    memory.band = bounds();
    memory.contest = {floats(blocks), integers(blocks), integers(blocks)};
    memory.candidates = {integers(job.channels), floats(job.channels * kBlock), floats(job.channels * kBlock)};
    return memory;
}

}  // namespace

template <class Label>
std::int64_t label_pixels(LabelJob job, const Window& window, int threads, Map<Label> labels,
                          std::span<Tally> tallies) {
    ScratchFrame frame;
    job.rows = bilinear_axis(frame, job.source.height, window.rows, labels.height);
    job.columns = bilinear_axis(frame, job.source.width, window.columns, labels.width, kBlock);
    job.tally = !tallies.empty();
    const Kernels& loops = kernels();
    const auto memory = frame.take<LabelMemory>(threads);
    std::generate(memory.begin(), memory.end(), [&] { return label_memory(frame, job); });
    const Index tallied = job.tally ? job.channels : 0;
    const auto own_tallies = frame.filled<Tally>(threads * tallied, Tally{});
    const auto nonfinite = frame.filled<std::int64_t>(threads, 0);
    parallel_for(threads, labels.height, rows_per_chunk(labels.height, threads), [&](Index begin, Index end, int slot) {
        Tally* own = own_tallies.data() + slot * tallied;
        const LabelMemory& own_memory = memory[static_cast<std::size_t>(slot)];
        std::int64_t& bad = nonfinite[static_cast<std::size_t>(slot)];
        if constexpr (sizeof(Label) == 1) {
            bad += loops.label8(job, begin, end, labels, own, own_memory);
        } else {
            bad += loops.label16(job, begin, end, labels, own, own_memory);
        }
    });
    std::fill(tallies.begin(), tallies.end(), Tally{});
    for (std::size_t i = 0; i < own_tallies.size(); ++i) {
        Tally& total = tallies[i % tallies.size()];
        total.labelled += own_tallies[i].labelled;
        total.original += own_tallies[i].original;
        total.visible.add(own_tallies[i].visible);
    }
    return sum(nonfinite);
}

template std::int64_t label_pixels(LabelJob, const Window&, int, Map<std::uint8_t>, std::span<Tally>);
template std::int64_t label_pixels(LabelJob, const Window&, int, Map<std::uint16_t>, std::span<Tally>);

}  // namespace segrt
