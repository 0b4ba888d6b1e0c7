// Labelling of a whole target: which channel is highest at every pixel, on several threads.
#pragma once

#include <span>
#include <type_traits>

#include "label_job.h"
#include "processed.h"
#include "views.h"

namespace segrt {

// Completes `job` with the axes from `window` to the size of `labels` and runs it. Label is std::uint8_t or
// std::uint16_t and holds `channels` too. `tallies` (one per channel, or empty) are written.
// Returns how many source values that were read are not finite.
template <class Label>
std::int64_t label_pixels(LabelJob job, const Window& window, int threads, Map<Label> labels, std::span<Tally> tallies);

// The memory of one thread for a job whose columns and source are known.
LabelMemory label_memory(ScratchFrame& frame, const LabelJob& job);

// Runs a complete job without tallies, on this thread.
template <class Label>
void run_label(const LabelJob& job, Map<Label> labels, const LabelMemory& memory);

// Source rows that do not exist until they are needed: writes rows [begin, end) of channel c to `out` + c *
// channel_stride, one after the other. `slot` is that of parallel_for. A reference to a callable, which must outlive
// it.
class RowMaker {
public:
    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, RowMaker>)
    explicit RowMaker(F& function)
        : object_(&function),
          call_([](void* object, Index begin, Index end, float* out, Index channel_stride, int slot) {
              (*static_cast<F*>(object))(begin, end, out, channel_stride, slot);
          }) {}

    void operator()(Index begin, Index end, float* out, Index channel_stride, int slot) const {
        call_(object_, begin, end, out, channel_stride, slot);
    }

private:
    void* object_;
    void (*call_)(void*, Index, Index, float*, Index, int);
};

// The most rows that label_made_rows asks for at once, where rows of all channels are `row_floats` long together.
[[nodiscard]] Index made_rows_at_once(Index row_floats);

// label_pixels without tallies, over rows of `source` that `make` writes: never more of them are in memory than a band.
template <class Label>
void label_made_rows(Size source, Index channels, const Window& window, int threads, RowMaker make, Map<Label> labels);

}  // namespace segrt
