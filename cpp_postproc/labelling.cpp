#include "labelling.h"

#include <algorithm>
#include <numeric>

#include "kernels.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

Index round_up(Index number, Index step) {
    return (number + step - 1) / step * step;
}

}  // namespace

LabelMemory label_memory(ScratchFrame& frame, const LabelJob& job) {
    constexpr Index kFewestTurned = 64;
    const Axis& columns = job.columns;
    const Index blocks = (columns.length + kBlock - 1) / kBlock;
    const Index width = round_up(job.source.width + kRowPadding, kRowPadding);
    const Index channels = round_up(job.channels, kChannelsAtOnce);
    const auto floats = [&frame](Index count) { return frame.take<float>(count).data(); };
    const auto bounds = [&](Index count) { return BlockBounds{floats(count * channels), floats(count * channels)}; };
    LabelMemory memory;
    memory.row_stride = width;
    memory.bound_stride = channels;
    memory.first = frame.take<std::int32_t>(blocks).data();
    memory.last = frame.take<std::int32_t>(blocks).data();
    memory.turned_columns = kFewestTurned;
    for (Index b = 0; b < blocks; ++b) {
        memory.first[b] = columns.low[b * kBlock];
        memory.last[b] = columns.high[std::min((b + 1) * kBlock, columns.length) - 1];
        memory.turned_columns = std::max<Index>(memory.turned_columns, memory.last[b] - memory.first[b] + 1);
    }
    memory.weights = frame.filled<float>(channels, 0).data();
    if (job.weights != nullptr) {
        std::copy_n(job.weights, job.channels, memory.weights);
    }
    for (SourceRow& row : memory.rows) {
        row = {floats(job.channels * width), bounds(blocks)};
    }
    memory.turned = frame.filled<float>(memory.turned_columns * channels, 0).data();
    memory.contest = {bounds(1), frame.take<ChannelMarks>(channels / kChannelsAtOnce).data()};
    memory.candidates = {frame.take<std::int32_t>(2 * job.channels).data(), floats(job.channels * kBlock),
                         floats(job.channels * kBlock)};
    return memory;
}

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
    parallel_rows(threads, labels.height, [&](Index begin, Index end, int slot) {
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

Index made_rows_at_once(Index row_floats) {
    constexpr Index kFloats = Index{1} << 18;
    return std::clamp(kFloats / row_floats, Index{4}, Index{32});
}

template <class Label>
void run_label(const LabelJob& job, Map<Label> labels, const LabelMemory& memory) {
    if constexpr (sizeof(Label) == 1) {
        kernels().label8(job, 0, labels.height, labels, nullptr, memory);
    } else {
        kernels().label16(job, 0, labels.height, labels, nullptr, memory);
    }
}

template void run_label(const LabelJob&, Map<std::uint8_t>, const LabelMemory&);
template void run_label(const LabelJob&, Map<std::uint16_t>, const LabelMemory&);

namespace {

// The made rows of one thread: [channel][row][column].
struct Band {
    float* values;
    Index first = 0, end = 0;  // source rows that it holds

    // Makes it hold source rows [begin, stop); those that it holds already move to the front.
    void hold(Index begin, Index stop, Index channels, Index width, Index rows, RowMaker make, int slot) {
        const Index kept = std::max(begin < first ? 0 : std::min(end, stop) - begin, Index{0});
        if (kept > 0 && begin > first) {
            for (Index c = 0; c < channels; ++c) {
                float* channel = values + c * rows * width;
                std::copy_n(channel + (begin - first) * width, kept * width, channel);
            }
        }
        first = begin;
        end = stop;
        if (begin + kept < stop) {
            make(begin + kept, stop, values + kept * width, rows * width, slot);
        }
    }
};

}  // namespace

template <class Label>
void label_made_rows(Size source, Index channels, const Window& window, int threads, RowMaker make, Map<Label> labels) {
    constexpr Index kFloat = sizeof(float);
    ScratchFrame frame;
    const Axis rows = bilinear_axis(frame, source.height, window.rows, labels.height);
    const Index at_once = made_rows_at_once(channels * source.width);
    const auto images = frame.take<std::int32_t>(channels);
    std::iota(images.begin(), images.end(), 0);
    LabelJob job{.source = {.data = nullptr,
                            .type = FloatType::float32,
                            .count = channels,
                            .height = at_once,
                            .width = source.width,
                            .strides = {at_once * source.width * kFloat, source.width * kFloat, kFloat}},
                 .images = images.data(),
                 .channels = channels,
                 .rows = {},
                 .columns = bilinear_axis(frame, source.width, window.columns, labels.width, kBlock)};
    const auto memory = frame.take<LabelMemory>(threads);
    std::generate(memory.begin(), memory.end(), [&] { return label_memory(frame, job); });
    float* bands = frame.take<float>(threads * channels * at_once * source.width).data();
    std::int32_t* low = frame.take<std::int32_t>(labels.height).data();
    std::int32_t* high = frame.take<std::int32_t>(labels.height).data();
    parallel_rows(threads, labels.height, [&](Index begin, Index end, int slot) {
        Band band{.values = bands + slot * channels * at_once * source.width};
        LabelJob own = job;
        own.source.data = reinterpret_cast<const std::byte*>(band.values);
        for (Index top = begin; top < end;) {
            const Index first = rows.low[top];
            Index bottom = top;
            while (bottom < end && rows.high[bottom] < first + at_once) {
                low[bottom] = static_cast<std::int32_t>(rows.low[bottom] - first);
                high[bottom] = static_cast<std::int32_t>(rows.high[bottom] - first);
                ++bottom;
            }
            band.hold(first, rows.high[bottom - 1] + 1, channels, source.width, at_once, make, slot);
            own.rows = {at_once, bottom - top, low + top, high + top, rows.low_weight + top, rows.high_weight + top};
            run_label(own, Map<Label>{labels.row(top), bottom - top, labels.width, labels.stride},
                      memory[static_cast<std::size_t>(slot)]);
            top = bottom;
        }
    });
}

template void label_made_rows(Size, Index, const Window&, int, RowMaker, Map<std::uint8_t>);
template void label_made_rows(Size, Index, const Window&, int, RowMaker, Map<std::uint16_t>);
template std::int64_t label_pixels(LabelJob, const Window&, int, Map<std::uint8_t>, std::span<Tally>);
template std::int64_t label_pixels(LabelJob, const Window&, int, Map<std::uint16_t>, std::span<Tally>);

}  // namespace segrt
