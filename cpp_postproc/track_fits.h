// How well each track of a video fits each thing of its next frame: what association weighs.
#pragma once

#include <cstdint>
#include <span>

#include "mask_runs.h"

namespace segrt {

// x0, y0, x1, y1 in pixels.
struct Box {
    double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

// A track: where its centre was when its mask was whole (`anchor`), the mask's area, its box when it was seen last, and
// where its centre was then.
struct KnownTrack {
    double anchor_x = 0, anchor_y = 0, area = 0;
    Box seen;
    double seen_x = 0, seen_y = 0, class_id = 0;
};

// Where a track should be now, and how far its centre may be off, as a deviation in pixels.
struct PredictedTrack {
    double x = 0, y = 0;
    Box box;
    double deviation_x = 0, deviation_y = 0;
};

struct SeenThing {
    double area = 0;
    Box box;
    double class_id = 0;
};

// What overlaps of a kind are worth beside the IoU of whole masks, 0 to 1; `reach` enlarges boxes by that share of
// their sides, 0 compares none. Nothing is near that has more than `grown` times the pixels of the other: of the track
// all, or those of it that are not hidden.
struct FitWorth {
    double unseen = 0, seen_last = 0, emerging = 0, other_class = 0, reach = 0, grown = 0;
};

// Masks of both have lines of one kind in a picture of `lines` lines of `length` pixels.
struct FitMasks {
    MaskRunsView tracks, things;
    bool by_columns = false;
    std::int64_t lines = 0, length = 0;
};

// Of each pair, (tracks, things), row-major: see runtime/tracking/matching.py.
struct FitTables {
    std::span<double> overlap, near, hidden, visible;
};

void fit_tracks(const FitMasks& masks, std::span<const KnownTrack> known, std::span<const PredictedTrack> predicted,
                std::span<const SeenThing> things, const FitWorth& worth, const FitTables& out);

}  // namespace segrt
