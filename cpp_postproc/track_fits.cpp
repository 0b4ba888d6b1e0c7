#include "track_fits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace segrt {
namespace {

double area_of(const Box& box) {
    return (box.x1 - box.x0) * (box.y1 - box.y0);
}

double box_iou(const Box& one, double one_area, const Box& other, double other_area) {
    const double width = std::min(one.x1, other.x1) - std::max(one.x0, other.x0);
    const double height = std::min(one.y1, other.y1) - std::max(one.y0, other.y0);
    if (width <= 0 || height <= 0) {  // as nearly all: nothing to divide
        return 0.0;
    }
    const double shared = width * height;
    return shared / std::max(one_area + other_area - shared, 1e-9);
}

// Boxes that are near meet when they are enlarged (C-BIoU, https://arxiv.org/abs/2211.14317).
Box grown(const Box& box, double share) {
    const double x = share * (box.x1 - box.x0), y = share * (box.y1 - box.y0);
    return {box.x0 - x, box.y0 - y, box.x1 + x, box.y1 + y};
}

// Sides that part to both sides tell of different sizes; both to one side tell of a distance.
double outside(double low, double high) {
    return low * high > 0 ? std::min(std::abs(low), std::abs(high)) : 0.0;
}

// How likely the smaller box is a part of the larger: 1 inside, 0.61 at one deviation outside.
double nearness(const PredictedTrack& track, const Box& thing) {
    const double off_x = outside(track.box.x0 - thing.x0, track.box.x1 - thing.x1);
    const double off_y = outside(track.box.y0 - thing.y0, track.box.y1 - thing.y1);
    if (off_x > 9 * track.deviation_x || off_y > 9 * track.deviation_y) {  // as nearly all; the exponent is below -40
        return 0.0;
    }
    const double x = off_x / track.deviation_x, y = off_y / track.deviation_y;
    const double exponent = -0.5 * (x * x + y * y);
    return exponent < -40 ? 0.0 : std::exp(exponent);  // below 1e-17: nothing
}

// What comes into view, or is covered, keeps a side that is its own, unless it is seen through a hole: how likely one
// of the four is where it should be, 1 there.
double keeps_side(const PredictedTrack& track, const Box& thing) {
    const double x = std::min(std::abs(track.box.x0 - thing.x0), std::abs(track.box.x1 - thing.x1));
    const double y = std::min(std::abs(track.box.y0 - thing.y0), std::abs(track.box.y1 - thing.y1));
    const double off = std::min(x / track.deviation_x, y / track.deviation_y);
    const double exponent = -0.5 * off * off;
    return exponent < -40 ? 0.0 : std::exp(exponent);
}

// Coordinates are doubles of any value; so far away nothing is met.
std::int64_t whole_pixels(double distance) {
    constexpr double kFarthest = 1e6;
    return std::isnan(distance) ? 0 : std::llrint(std::clamp(distance, -kFarthest, kFarthest));
}

// How many pixels of a moved mask are in the picture.
std::int64_t pixels_inside(std::span<const LineRun> runs, const RunExtent& extent, LineShift shift,
                           const FitMasks& masks) {
    if (extent.first_line + shift.lines >= 0 && extent.last_line + shift.lines <= masks.lines &&
        extent.begin + shift.along >= 0 && extent.end + shift.along <= masks.length) {
        return extent.area;
    }
    std::int64_t inside = 0;
    for (const LineRun& run : runs) {
        const std::int64_t line = run.line + shift.lines;
        const std::int64_t begin = std::max<std::int64_t>(run.begin + shift.along, 0);
        const std::int64_t end = std::min<std::int64_t>(run.end + shift.along, masks.length);
        inside += line >= 0 && line < masks.lines && begin < end ? end - begin : 0;
    }
    return inside;
}

// What a track is compared with once for all things.
struct TrackBoxes {
    Box moved, reaching;
    double area = 0, moved_area = 0, reaching_area = 0;
};

struct PixelsShared {
    double shared = 0, all = 0, inside = 0;  // with this thing, with all things, within the picture
};

// Most pairs share nothing: a division costs more than all that is compared here.
double share_of(double part, double whole) {
    return part == 0 ? 0.0 : part / whole;
}

void fit_pair(const KnownTrack& known, const PredictedTrack& track, const TrackBoxes& boxes, const SeenThing& thing,
              const PixelsShared& pixels, const FitWorth& worth, const FitTables& out, std::size_t at) {
    const double shared = pixels.shared;
    const double under = std::min(pixels.all, pixels.inside) - shared;
    const double hidden = std::max(under, 0.0) + known.area - pixels.inside;
    const double visible = share_of(shared, std::max(known.area - hidden + thing.area - shared, 1.0));
    out.hidden[at] = hidden / std::max(known.area, 1.0);
    out.visible[at] = visible;
    out.overlap[at] = out.near[at] = 0;
    const double alike = known.class_id == thing.class_id ? 1.0 : worth.other_class;
    if (alike == 0) {
        return;
    }
    const double thing_area = area_of(thing.box);
    double overlap = share_of(shared, std::max(known.area + thing.area - shared, 1.0));
    overlap = std::max(overlap, box_iou(track.box, boxes.area, thing.box, thing_area));
    overlap = std::max(overlap, worth.unseen * visible);
    overlap = std::max(overlap, worth.seen_last * box_iou(boxes.moved, boxes.moved_area, thing.box, thing_area));
    out.overlap[at] = overlap * alike;
    if (thing.area > worth.grown * known.area || known.area * (1 - out.hidden[at]) > worth.grown * thing.area) {
        return;
    }
    double near = 0;
    if (worth.reach > 0) {
        const Box reaching = grown(thing.box, worth.reach);
        near = box_iou(boxes.reaching, boxes.reaching_area, reaching, area_of(reaching));
    }
    if (near < worth.emerging) {  // which what follows cannot be above
        const double held = share_of(shared, std::max(std::min(known.area, thing.area), 1.0));
        const double part = std::max(held, held < 1 ? nearness(track, thing.box) : 0.0);
        near = std::max(near, part > 0 ? worth.emerging * part * keeps_side(track, thing.box) : 0.0);
    }
    out.near[at] = near * alike;
}

void check_tables(const FitMasks& masks, std::size_t tracks, std::size_t predicted, std::size_t things,
                  const FitTables& out) {
    const bool tables = std::ranges::all_of(std::array{out.overlap, out.near, out.hidden, out.visible},
                                            [&](std::span<double> table) { return table.size() == tracks * things; });
    if (masks.tracks.count() != tracks || predicted != tracks || masks.things.count() != things || !tables) {
        throw std::invalid_argument("tracks and things must each have one entry for each of their masks");
    }
}

}  // namespace

void fit_tracks(const FitMasks& masks, std::span<const KnownTrack> known, std::span<const PredictedTrack> predicted,
                std::span<const SeenThing> things, const FitWorth& worth, const FitTables& out) {
    check_tables(masks, known.size(), predicted.size(), things.size(), out);
    std::vector<LineShift> shifts;
    shifts.reserve(known.size());
    for (std::size_t i = 0; i < known.size(); ++i) {
        const std::int64_t x = whole_pixels(predicted[i].x - known[i].anchor_x);
        const std::int64_t y = whole_pixels(predicted[i].y - known[i].anchor_y);
        shifts.push_back(masks.by_columns ? LineShift{x, y} : LineShift{y, x});
    }
    std::vector<std::int64_t> counts(known.size() * things.size());
    check_runs(masks.tracks, "tracks");
    const std::vector<RunExtent> extents = extents_of(masks.tracks);
    count_shared(masks.tracks, extents, shifts, masks.things, counts);
    for (std::size_t i = 0; i < known.size(); ++i) {
        const Box& seen = known[i].seen;
        const double x = predicted[i].x - known[i].seen_x, y = predicted[i].y - known[i].seen_y;
        TrackBoxes boxes{{seen.x0 + x, seen.y0 + y, seen.x1 + x, seen.y1 + y}, grown(predicted[i].box, worth.reach)};
        boxes.area = area_of(predicted[i].box);
        boxes.moved_area = area_of(boxes.moved);
        boxes.reaching_area = area_of(boxes.reaching);
        const std::span<const std::int64_t> row = std::span(counts).subspan(i * things.size(), things.size());
        PixelsShared pixels;
        for (const std::int64_t count : row) {
            pixels.all += static_cast<double>(count);
        }
        pixels.inside = static_cast<double>(pixels_inside(masks.tracks.mask(i), extents[i], shifts[i], masks));
        for (std::size_t j = 0; j < things.size(); ++j) {
            pixels.shared = static_cast<double>(row[j]);
            fit_pair(known[i], predicted[i], boxes, things[j], pixels, worth, out, i * things.size() + j);
        }
    }
}

}  // namespace segrt
