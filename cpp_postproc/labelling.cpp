#include "labelling.h"

#include <algorithm>

#include "thread_pool.h"

namespace segrt {

template <class Label>
std::int64_t label_pixels(LabelJob job, const Window& window, int threads, Map<Label> labels,
                          std::span<Tally> tallies) {
    ScratchFrame frame;
    job.rows = bilinear_axis(frame, job.source.height, window.rows, labels.height);
    job.columns = bilinear_axis(frame, job.source.width, window.columns, labels.width, kBlock);
    job.tally = !tallies.empty();
    const Kernels& loops = kernels();
    const Index memory_size = loops.label_memory(job);
    float* memory = frame.take<float>(threads * memory_size).data();
    const Index tallied = job.tally ? job.channels : 0;
    const auto own_tallies = frame.filled<Tally>(threads * tallied, Tally{});
    const auto nonfinite = frame.filled<std::int64_t>(threads, 0);
    parallel_for(threads, labels.height, rows_per_chunk(labels.height, threads), [&](Index begin, Index end, int slot) {
        Tally* own = own_tallies.data() + slot * tallied;
        float* own_memory = memory + slot * memory_size;
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
