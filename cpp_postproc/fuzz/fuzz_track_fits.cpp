// Tracks of any numbers compared with things: what is of another class fits nowhere, and equal things fit equally.
#include <array>

#include "bytes.h"
#include "track_fits.h"

namespace {

using namespace segrt;

Box box_of(fuzz::Bytes& bytes) {
    const double x = bytes.number(), y = bytes.number();
    return {x, y, x + bytes.number(), y + bytes.number()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes bytes(data, size);
    const Size picture{bytes.between(1, 8), bytes.between(1, 80)};
    std::vector<std::uint8_t> ids(static_cast<std::size_t>(picture.height * picture.width));
    for (std::uint8_t& id : ids) {
        id = static_cast<std::uint8_t>(bytes.between(0, 3));
    }
    const ClassMap map{
        reinterpret_cast<const std::byte*>(ids.data()), 1, picture.height, picture.width, {picture.width, 1}};
    MaskRuns tracks, things;
    runs_of_map(map, std::vector<std::int32_t>{1, 2}, tracks);
    runs_of_map(map, std::vector<std::int32_t>{3}, things);
    // The one thing, twice.
    const auto count = static_cast<std::int64_t>(things.runs.size());
    things.runs.insert(things.runs.end(), things.runs.begin(), things.runs.begin() + count);
    things.starts = {0, count, 2 * count};

    std::array<KnownTrack, 2> known{};
    std::array<PredictedTrack, 2> predicted{};
    for (std::size_t i = 0; i < 2; ++i) {
        known[i] = {bytes.number(), bytes.number(), bytes.number(),        box_of(bytes),
                    bytes.number(), bytes.number(), static_cast<double>(i)};
        predicted[i] = {bytes.number(), bytes.number(), box_of(bytes), bytes.number(), bytes.number()};
    }
    const SeenThing thing{bytes.number(), box_of(bytes), 1};
    const FitWorth worth{0.7, 0.9, 0.3, 0, bytes.number(), 64};
    std::array<double, 16> tables{};
    const std::span<double> all(tables);
    fit_tracks({{tracks.runs, tracks.starts}, {things.runs, things.starts}, false, picture.height, picture.width},
               known, predicted, std::array{thing, thing}, worth,
               {all.subspan(0, 4), all.subspan(4, 4), all.subspan(8, 4), all.subspan(12, 4)});
    for (std::size_t table = 0; table < 4; ++table) {
        for (std::size_t track = 0; track < 2; ++track) {
            const double one = tables[4 * table + 2 * track], other = tables[4 * table + 2 * track + 1];
            const bool both_none = one != one && other != other;
            if (one != other && !both_none) {
                __builtin_trap();
            }
            if (track == 0 && table < 2 && one != 0) {  // overlap and near of another class
                __builtin_trap();
            }
        }
    }
    return 0;
}
