// Where tracks will be: a Kalman filter of constant velocity for each number of their boxes, all tracks in one call.
#pragma once

#include <cstdint>
#include <span>

#include "track_fits.h"

namespace segrt {

// Centre x and y, width, height in pixels, or the same a second.
struct MotionNumbers {
    double of[4];
};

// Of each of the four: the variance of place, of both, and of speed.
struct MotionVariance {
    double of[4][3];
};

// One entry a track each.
struct MotionState {
    std::span<MotionNumbers> place, speed;
    std::span<MotionVariance> variance;
};

// In sizes of the thing: see runtime/tracking/motion.py, which has their values.
struct MotionModel {
    double measured = 0, agility = 0, doubt = 0, sudden = 0;
};

// Seconds since the last frame, and their second and third powers.
struct MotionTime {
    double seconds = 0, squared = 0, cubed = 0;
};

// Goes on by that time; what is `lost`, one entry a track, keeps its size.
void predict_motion(const MotionState& state, const MotionTime& time, std::span<const bool> lost,
                    const MotionModel& model);

// Takes in where the tracks of `rows`, all different, were seen; of what is `part` no size, and the place less.
void correct_motion(const MotionState& state, std::span<const std::int64_t> rows, std::span<const Box> boxes,
                    std::span<const bool> part, const MotionModel& model);

// What the comparison with things wants of each track, deviations taken `turning` times.
void predicted_tracks(const MotionState& state, double turning, std::span<PredictedTrack> tracks);

}  // namespace segrt
