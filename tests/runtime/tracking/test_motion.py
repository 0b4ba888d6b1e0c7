"""The core's Kalman filter of all tracks does what the formulas say, written out for whole arrays."""

import numpy as np
import pytest

from segrt.runtime.postproc import ArgumentError, MotionModel, MotionState

MODEL = MotionModel(measured=0.08, agility=0.5, doubt=2.0, sudden=0.2)


def boxes_of(place):
    return np.concatenate((place[:, :2] - place[:, 2:] / 2, place[:, :2] + place[:, 2:] / 2), axis=1)


def predicted_slowly(place, speed, variance, seconds, lost):
    speed = np.where(lost[:, None] & (np.arange(4) >= 2), 0, speed)
    place = place + speed * seconds
    place[:, 2:] = np.maximum(place[:, 2:], 1)
    push = ((MODEL.agility * np.sqrt(place[:, 2] * place[:, 3])) ** 2)[:, None]
    of_place, both, of_speed = np.moveaxis(variance, -1, 0)
    of_place = of_place + (seconds * (2 * both + seconds * of_speed) + push * seconds**3 / 3)
    both = both + (seconds * of_speed + push * seconds**2 / 2)
    return place, speed, np.stack((of_place, both, of_speed + push * seconds), axis=-1)


def corrected_slowly(place, speed, variance, boxes, part):
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    seen = np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, sides), axis=1)
    expected = boxes_of(place)
    low, high = boxes[:, :2] - expected[:, :2], boxes[:, 2:] - expected[:, 2:]
    sudden = np.abs(high - low) > MODEL.sudden * np.minimum(sides, place[:, 2:])
    off = seen - place
    off[:, :2] = np.where(sudden, np.where(np.abs(low) < np.abs(high), low, high), off[:, :2])
    resized = sudden | part[:, None]
    off[:, 2:] = np.where(resized, 0, off[:, 2:])
    both_sudden = np.hstack((sudden, sudden))
    noise = (MODEL.measured * np.sqrt(sides[:, :1] * sides[:, 1:])) ** 2 * np.where(both_sudden, MODEL.doubt**2, 1)
    noise = noise * np.where(part[:, None], MODEL.doubt**2, 1)
    of_place, both, of_speed = np.moveaxis(variance, -1, 0)
    gain, speed_gain = of_place / (of_place + noise), both / (of_place + noise)
    variance = np.stack(((1 - gain) * of_place, (1 - gain) * both, of_speed - speed_gain * both), axis=-1)
    place = np.where(both_sudden & ~part[:, None], seen, place + gain * off)
    speed = speed + speed_gain * off
    speed[:, 2:] = np.where(resized, 0, speed[:, 2:])
    return place, speed, variance


def test_prediction_and_correction_are_the_formulas_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    count = 60
    place = np.hstack((rng.uniform(0, 900, (count, 2)), rng.uniform(0.5, 90, (count, 2))))
    state = MotionState(place, rng.normal(0, 40, (count, 4)), rng.uniform(0, 9, (count, 4, 3)))
    for _ in range(20):
        before = state.place.copy(), state.speed.copy(), state.variance.copy()
        seconds, lost = float(rng.uniform(0, 0.3)), rng.random(count) < 0.3
        state.predict(seconds, lost, MODEL)
        expected = predicted_slowly(*before, seconds, lost)
        for found, wanted in zip((state.place, state.speed, state.variance), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
        rows = state.predicted(3.0)
        np.testing.assert_array_equal(rows[:, :2], state.place[:, :2])
        np.testing.assert_array_equal(rows[:, 2:6], boxes_of(state.place))
        np.testing.assert_array_equal(rows[:, 6:], 3.0 * np.sqrt(state.variance[:, :2, 0]))

        seen = rng.permutation(count)[: int(rng.integers(0, count))]
        boxes = boxes_of(state.place)[seen] + rng.normal(0, 1, (len(seen), 4)) * rng.choice([0.5, 9], (len(seen), 1))
        part = rng.random(len(seen)) < 0.3
        others = np.setdiff1d(np.arange(count), seen)
        before = state.place.copy(), state.speed.copy(), state.variance.copy()
        state.correct(seen, np.asfortranarray(boxes), part, MODEL)
        expected = corrected_slowly(*(one[seen] for one in before), boxes, part)
        for found, wanted, old in zip((state.place, state.speed, state.variance), expected, before, strict=True):
            np.testing.assert_array_equal(found[seen], wanted)
            np.testing.assert_array_equal(found[others], old[others])


def test_what_is_no_state_is_refused() -> None:
    state = MotionState(np.ones((2, 4)), np.zeros((2, 4)), np.ones((2, 4, 3)))
    with pytest.raises(ArgumentError, match="rows must be tracks"):
        state.correct(np.array([2]), np.ones((1, 4)), np.array([False]), MODEL)
    with pytest.raises(ArgumentError, match="lost must have one entry for each track"):
        state.predict(0.1, np.zeros(3, bool), MODEL)
    with pytest.raises(ArgumentError, match=r"variance must be float64 with shape \(N, 4, 3\)"):
        MotionState(state.place, state.speed, np.ones((2, 4, 2))).predicted(1.0)
    with pytest.raises(ArgumentError, match="place, speed and variance must have one entry"):
        MotionState(state.place, np.zeros((3, 4)), state.variance).predicted(1.0)
    locked = np.ones((2, 4))
    locked.setflags(write=False)
    with pytest.raises(ArgumentError, match="place must be float64"):
        MotionState(locked, state.speed, state.variance).predict(0.1, np.zeros(2, bool), MODEL)
