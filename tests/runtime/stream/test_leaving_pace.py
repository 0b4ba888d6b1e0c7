"""The pace at which pictures of files leave."""

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from segrt.runtime.stream.sinks.leaving import leaving_sink
from segrt.runtime.stream.sinks.leaving.leaving_sink import _Track
from segrt.runtime.stream.sinks.leaving.outlet import Outlet

PICTURE = np.zeros((32, 32, 3), np.uint8)


class Unwatched(Outlet):
    """Wants nothing."""

    def is_wanted(self):  # noqa: D102
        return False

    def send(self, encoded, stream):  # noqa: ARG002, D102
        raise AssertionError

    def restart(self):  # noqa: D102
        raise AssertionError

    def close(self):  # noqa: D102
        pass


@pytest.fixture
def track():
    track = _Track(Unwatched(), Fraction(25), "sink", paced=True)
    track.write(PICTURE, 0.0)
    yield track
    track.close()


def test_a_picture_waits_until_it_is_due(track):
    began = time.monotonic()
    track.write(PICTURE, 1.4)
    assert time.monotonic() - began >= 1.3


def test_whoever_closes_the_sink_ends_the_waiting(track):
    closing = threading.Timer(0.1, track.close)
    closing.start()
    began = time.monotonic()
    track.write(PICTURE, 25.0)
    closing.join()
    assert time.monotonic() - began < 20


def test_a_leap_of_the_clock_holds_nothing_up(track, monkeypatch):
    monkeypatch.setattr(leaving_sink, "_LONGEST_WAIT", 0.2)
    began = time.monotonic()
    track.write(PICTURE, 3600.0)
    track.write(PICTURE, 3600.1)
    assert time.monotonic() - began < 20
