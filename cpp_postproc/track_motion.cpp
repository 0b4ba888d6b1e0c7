#include "track_motion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace segrt {
namespace {

double square(double value) {
    return value * value;
}

void check_state(const MotionState& state) {
    if (state.speed.size() != state.place.size() || state.variance.size() != state.place.size()) {
        throw std::invalid_argument("place, speed and variance must have one entry for each track");
    }
}

Box box_of(const MotionNumbers& place) {
    const double x = place.of[2] / 2, y = place.of[3] / 2;
    return {place.of[0] - x, place.of[1] - y, place.of[0] + x, place.of[1] + y};
}

// How far a side of a box has moved at its low and its high end, and what that says.
struct SideMove {
    bool sudden = false;
    double steady = 0;
};

SideMove side_move(double low, double high, double side, const MotionModel& model) {
    return {std::abs(high - low) > model.sudden * side, std::abs(low) < std::abs(high) ? low : high};
}

struct Seen {
    Box box;
    bool part = false;
};

void correct_one(MotionNumbers& place, MotionNumbers& speed, MotionVariance& variance, const Seen& seen,
                 const MotionModel& model) {
    const Box& box = seen.box;
    const std::array<double, 4> now{(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, std::max(box.x1 - box.x0, 1.0),
                                    std::max(box.y1 - box.y0, 1.0)};
    const double measured = square(model.measured * std::sqrt(now[2] * now[3]));
    const Box expected = box_of(place);
    const std::array<SideMove, 2> moves{
        side_move(box.x0 - expected.x0, box.x1 - expected.x1, std::min(now[2], place.of[2]), model),
        side_move(box.y0 - expected.y0, box.y1 - expected.y1, std::min(now[3], place.of[3]), model)};
    for (std::size_t i = 0; i < 4; ++i) {
        const bool size = i >= 2, sudden = moves[i % 2].sudden;
        double off = now[i] - place.of[i];
        if (size && (sudden || seen.part)) {
            off = 0;
        } else if (!size && sudden) {
            off = moves[i].steady;
        }
        double noise = measured * (sudden ? square(model.doubt) : 1.0);
        noise *= seen.part ? square(model.doubt) : 1.0;
        auto& [of_place, of_both, of_speed] = variance.of[i];
        const double gain = of_place / (of_place + noise), speed_gain = of_both / (of_place + noise);
        place.of[i] = sudden && !seen.part ? now[i] : place.of[i] + gain * off;
        speed.of[i] = size && (sudden || seen.part) ? 0.0 : speed.of[i] + speed_gain * off;
        of_speed -= speed_gain * of_both;
        of_place *= 1 - gain;
        of_both *= 1 - gain;
    }
}

}  // namespace

void predict_motion(const MotionState& state, const MotionTime& time, std::span<const bool> lost,
                    const MotionModel& model) {
    check_state(state);
    if (lost.size() != state.place.size()) {
        throw std::invalid_argument("lost must have one entry for each track");
    }
    for (std::size_t track = 0; track < lost.size(); ++track) {
        MotionNumbers& place = state.place[track];
        MotionNumbers& speed = state.speed[track];
        for (std::size_t i = 0; i < 4; ++i) {
            speed.of[i] = lost[track] && i >= 2 ? 0.0 : speed.of[i];
            place.of[i] += speed.of[i] * time.seconds;
        }
        place.of[2] = std::max(place.of[2], 1.0);
        place.of[3] = std::max(place.of[3], 1.0);
        const double push = square(model.agility * std::sqrt(place.of[2] * place.of[3]));
        for (auto& [of_place, of_both, of_speed] : state.variance[track].of) {
            of_place += time.seconds * (2 * of_both + time.seconds * of_speed) + push * time.cubed / 3;
            of_both += time.seconds * of_speed + push * time.squared / 2;
            of_speed += push * time.seconds;
        }
    }
}

void correct_motion(const MotionState& state, std::span<const std::int64_t> rows, std::span<const Box> boxes,
                    std::span<const bool> part, const MotionModel& model) {
    check_state(state);
    const auto count = static_cast<std::int64_t>(state.place.size());
    const bool known = std::ranges::all_of(rows, [&](std::int64_t row) { return row >= 0 && row < count; });
    if (boxes.size() != rows.size() || part.size() != rows.size() || !known) {
        throw std::invalid_argument("rows must be tracks, and boxes and part have one entry for each");
    }
    for (std::size_t seen = 0; seen < rows.size(); ++seen) {
        const auto track = static_cast<std::size_t>(rows[seen]);
        correct_one(state.place[track], state.speed[track], state.variance[track], {boxes[seen], part[seen]}, model);
    }
}

void predicted_tracks(const MotionState& state, double turning, std::span<PredictedTrack> tracks) {
    check_state(state);
    if (tracks.size() != state.place.size()) {
        throw std::invalid_argument("tracks must have one entry for each place");
    }
    for (std::size_t track = 0; track < tracks.size(); ++track) {
        const MotionNumbers& place = state.place[track];
        const MotionVariance& variance = state.variance[track];
        tracks[track] = {place.of[0], place.of[1], box_of(place), turning * std::sqrt(variance.of[0][0]),
                         turning * std::sqrt(variance.of[1][0])};
    }
}

}  // namespace segrt
