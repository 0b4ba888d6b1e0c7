// What labelling asks of the kernels, and the memory it lends them.
#pragma once

#include <cstdint>

#include "bilinear.h"
#include "ranking.h"
#include "segment.h"
#include "views.h"

namespace segrt {

// What labelling found out about one channel.
struct Tally {
    std::int64_t labelled = 0;  // pixels where it ranks first
    std::int64_t original = 0;  // pixels that it claims by itself
    Region visible;             // pixels that carry its label: the labelled ones less those left void
};

// For every target pixel, the first channel of the highest value.
struct LabelJob {
    FloatStack source;
    const std::int32_t* images = nullptr;  // channel k is image images[k] of the source
    Index channels = 0;
    bool probabilities = false;      // take the sigmoid of the source before interpolation
    const float* weights = nullptr;  // one per channel; null for Ranking::plain
    Ranking ranking = Ranking::plain;
    Axis rows, columns;  // columns with kBlock entries of padding
    bool tally = false;  // whether tallies are wanted at all
};

// Source rows that a thread which labels target rows [begin, ...) reads first: earlier ones belong to the thread
// before.
[[nodiscard]] inline Index first_own_row(const Axis& rows, Index begin) {
    return begin == 0 ? 0 : Index{rows.high[begin - 1]} + 1;
}

// Target pixels of a row that are decided together.
constexpr Index kBlock = 32;

// Channels whose bounds are worked on together; memory for bounds has entries for a multiple of it.
constexpr Index kChannelsAtOnce = 16;

// The values of channels lie between these: [block][channel].
struct BlockBounds {
    float* low = nullptr;
    float* high = nullptr;
};

// A source row of all channels, and the bounds of what lies under each block.
struct SourceRow {
    float* values = nullptr;  // [channel][column]
    BlockBounds bounds;
};

// What bounds say of kChannelsAtOnce channels in one block, a bit for each.
struct ChannelMarks {
    std::uint32_t may_win = 0, claims_some = 0, claims_all = 0;  // pixels of the block
};

// What bounds say of the channels of one block.
struct BlockContest {
    BlockBounds ranks;              // [channel]
    ChannelMarks* marks = nullptr;  // of kChannelsAtOnce channels each
};

// The channels that are evaluated in one block, and their source rows interpolated across it.
struct BlockCandidates {
    std::int32_t* channels = nullptr;  // and as many again to sort them
    float* upper = nullptr;            // [candidate][pixel of the block]
    float* lower = nullptr;
};

// Working memory of one thread for one job.
struct LabelMemory {
    Index row_stride = 0;           // from a channel's row to the next channel's
    Index bound_stride = 0;         // from a block's bounds to the next block's
    Index turned_columns = 0;       // at least as many as lie under any block
    std::int32_t* first = nullptr;  // [block]: source columns [first, last] lie under it
    std::int32_t* last = nullptr;
    float* weights = nullptr;  // [channel]
    SourceRow rows[2];         // those that a band lies between
    float* turned = nullptr;   // [column][channel]: some columns of a row
    BlockContest contest;
    BlockCandidates candidates;
};

}  // namespace segrt
