"""The channel: order, bounds, and the rule by which both sides learn that the other has gone."""

import threading

import pytest

from segrt.runtime.stream.channel import Channel, Ended, Stopped

pytestmark = pytest.mark.timeout(20)


def in_thread(work):
    outcome = []

    def run():
        try:
            outcome.append(work())
        except (Ended, Stopped) as end:
            outcome.append(type(end))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def test_items_come_out_in_order():
    channel = Channel(3)
    for item in (1, 2, 3):
        channel.put(item)
    assert [channel.get() for _ in range(3)] == [1, 2, 3]


def test_put_blocks_until_there_is_room():
    channel = Channel(1)
    channel.put(1)
    thread, outcome = in_thread(lambda: channel.put(2))
    thread.join(0.05)
    assert thread.is_alive()
    assert channel.get() == 1
    thread.join()
    assert outcome == [None]
    assert channel.get() == 2


def test_close_delivers_what_is_left_and_then_the_end():
    channel = Channel(2)
    channel.put(1)
    channel.close()
    assert channel.get() == 1
    for _ in range(2):
        with pytest.raises(Ended):
            channel.get()


def test_close_wakes_a_waiting_consumer():
    channel = Channel(1)
    thread, outcome = in_thread(channel.get)
    channel.close()
    thread.join()
    assert outcome == [Ended]


def test_abort_wakes_a_waiting_producer_and_returns_what_is_left():
    channel = Channel(1)
    channel.put("left")
    thread, outcome = in_thread(lambda: channel.put("new"))
    assert channel.abort() == ["left"]
    thread.join()
    assert outcome == [Stopped]
    assert channel.abort() == []


@pytest.mark.parametrize("call", ["get", "reserve"])
def test_abort_wakes_whoever_waits_on_the_other_side(call):
    channel = Channel(1)
    if call == "reserve":
        channel.reserve()
    thread, outcome = in_thread(getattr(channel, call))
    channel.abort()
    thread.join()
    assert outcome == [Stopped]


def test_newest_only_never_blocks_and_returns_what_it_displaces():
    channel = Channel(1, newest_only=True)
    assert channel.put(1) is None
    assert channel.put(2) == 1
    assert channel.put(3) == 2
    assert channel.get() == 3


def test_lanes_are_read_in_turn_and_the_end_is_that_of_all():
    channel = Channel(4, lanes=2)
    for item in ("a1", "a2", "a3"):
        channel.put(item, 0)
    channel.put("b1", 1)
    channel.close(0)
    assert [channel.get() for _ in range(4)] == ["a1", "b1", "a2", "a3"]
    channel.put("b2", 1)
    channel.close(1)
    assert channel.get() == "b2"
    with pytest.raises(Ended):
        channel.get()


def test_a_lane_that_was_closed_takes_nothing_more():
    channel = Channel(4, lanes=2)
    channel.close()
    with pytest.raises(Stopped):
        channel.put(1, 1)


def test_reserve_counts_what_is_promised_until_it_is_taken():
    channel = Channel(2)
    channel.reserve()
    channel.put(1)
    channel.reserve()
    thread, outcome = in_thread(channel.reserve)
    thread.join(0.05)
    assert thread.is_alive()
    channel.get()
    thread.join()
    assert outcome == [None]


def test_pause_ends_as_soon_as_the_consumer_leaves():
    channel = Channel(1)
    thread, outcome = in_thread(lambda: channel.pause(60))
    channel.abort()
    thread.join(5)
    assert outcome == [Stopped]


@pytest.mark.parametrize(("capacity", "lanes"), [(0, 1), (1, 0)])
def test_empty_channels_are_refused(capacity, lanes):
    with pytest.raises(ValueError, match="at least 1"):
        Channel(capacity, lanes=lanes)
