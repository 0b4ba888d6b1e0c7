"""Clips that a rule keeps: the source's own packets, from before it to after it, whatever the source is."""

import av
import numpy as np
import pytest
from walkers import DOOR, lines_of, plan, run, wait_for, write_film

from segrt.runtime.draw.picture_edits import PictureEdits, Plain
from segrt.runtime.errors import SegrtError
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream.clips.clip_keeper import ClipKeeper
from segrt.runtime.stream.clips.packet_ring import PacketRing
from segrt.runtime.stream.edits_step import EditsStep
from segrt.runtime.stream.events.event_kinds import open_events
from segrt.runtime.stream.sources.source_kinds import open_source
from segrt.runtime.stream.zones_step import ZonesStep
from segrt.runtime.zones.rules import read_rules


def shown(path):
    """Return the grey value of each picture of a film, divided by 4: the index of its frame."""
    with av.open(str(path)) as film:
        return [
            round(float(frame.to_ndarray(format="gray")[10:40, 10:50].mean()) / 4) for frame in film.decode(video=0)
        ]


def keeper(folder, before=1.0, after=0.5):
    return ClipKeeper(folder, SinkOptions(), before=before, after=after)


def test_a_clip_has_the_films_own_packets_from_before_the_rule_to_after_it(fakes, tmp_path):
    film, events = tmp_path / "film.mp4", tmp_path / "events.jsonl"
    write_film(film)
    zones = plan(DOOR)
    rules = read_rules(["person in door"], zones, "--record-on")
    step = ZonesStep(zones, [open_events(str(events))], recorded=rules, clips=keeper(tmp_path / "clips"))
    pipeline = run(fakes, str(film), step, [*range(25, 30), *range(50, 52)])
    clips = [path for path in pipeline.written() if path.suffix == ".mp4"]
    assert [path.name for path in clips] == ["person-in-door.mp4", "person-in-door-00001.mp4"]
    # The key frame before the second that is asked for, and half a second behind the last frame of the stay.
    first, second = shown(clips[0]), shown(clips[1])
    assert first[0] == 10
    assert first == list(range(10, 10 + len(first)))
    assert 31 <= first[-1] <= 34
    assert second[0] == 40
    assert 54 <= second[-1] <= 56
    told = [one for one in lines_of(events) if one["event"] == "recording"]
    assert [(one["index"], one["file"]) for one in told] == [(25, str(clips[0])), (50, str(clips[1]))]


def test_a_clip_shows_edited_pictures_and_not_the_cameras_packets(fakes, tmp_path):
    film, zones = tmp_path / "film.mp4", plan(DOOR)
    write_film(film)
    rules = read_rules(["person in door"], zones, "--record-on")
    step = ZonesStep(zones, recorded=rules, clips=keeper(tmp_path / "clips"))
    edits = EditsStep(PictureEdits(background=Plain((0, 255, 0)), subject=frozenset()))
    source = open_source(str(film))
    pipeline = run(fakes, source, [edits, step], range(25, 30))
    assert source.tap is None, "nobody is given packets, whatever kind of source it is"
    (clip,) = [path for path in pipeline.written() if path.suffix == ".mp4"]
    with av.open(str(clip)) as recorded:
        pictures = [frame.to_ndarray(format="bgr24") for frame in recorded.decode(video=0)]
    assert len(pictures) >= 5
    for picture in pictures:
        assert np.abs(picture.astype(int) - (0, 255, 0)).max() < 40
    with pytest.raises(SegrtError, match="must come before the zones"):
        run(fakes, str(film), [step, edits], [])


def test_frames_of_a_source_without_packets_are_encoded(fakes, tmp_path):
    zones = plan(DOOR)
    rules = read_rules(["person in door"], zones, "--record-on")
    step = ZonesStep(zones, recorded=rules, clips=keeper(tmp_path, before=1.0))
    run(fakes, fakes.ListSource(90, pts_step=0.1, size=(48, 64)), step, range(55, 60))
    (clip,) = tmp_path.glob("*.mp4")
    with av.open(str(clip)) as film:
        times = [frame.time for frame in film.decode(video=0)]
    assert times[0] == 0
    assert 15 <= len(times) <= 45  # from frame 45, or the key frame before it, to frame 64
    assert np.diff(times) == pytest.approx(0.1)


def test_clips_of_a_live_source_are_written_beside_the_stream(fakes, tmp_path):
    zones = plan(DOOR)
    rules = read_rules(["person enters door"], zones, "--record-on")
    step = ZonesStep(zones, recorded=rules, clips=keeper(tmp_path, before=0.3, after=0.3))
    source = fakes.ListSource(60, pts_step=0.04, seconds=0.005, size=(48, 64), live=True)
    pipeline = run(fakes, source, step, [*range(20, 24), *range(50, 60)])
    clips = pipeline.written()
    assert [path.name for path in clips] == ["person-enters-door.mp4", "person-enters-door-00001.mp4"]
    for clip in clips:
        assert 5 <= len(shown(clip)) <= 45
    wait_for(lambda: not fakes.stage_threads())


def test_a_live_run_goes_on_when_a_clip_cannot_be_written(fakes, tmp_path, caplog):
    zones = plan(DOOR)
    folder = tmp_path / "clips"
    step = ZonesStep(zones, recorded=read_rules(["person in door"], zones, "--record-on"), clips=keeper(folder))
    folder.rmdir()
    folder.write_text("in the way")
    source = fakes.ListSource(20, size=(48, 64), seconds=0.005, live=True)
    pipeline = run(fakes, source, step, range(3, 18))
    metrics = pipeline.recorder.metrics()
    assert metrics.frames_out + metrics.dropped == 20
    assert metrics.sinks["clips"].failures == 1
    assert caplog.text.count("cannot be made a folder") == 1


def test_a_ring_is_bounded_in_seconds_and_bytes():
    ring = PacketRing(5.0, most_bytes=100_000)
    ring.usable = True
    for number in range(5000):
        ring.keep(bytes(1000), number / 10, number, number, 1, is_key=number % 10 == 0)
        assert ring.size()[1] <= 100_000
    kept = ring.from_time(0.0)
    assert kept[0].is_key
    roomy = PacketRing(5.0)
    for number in range(5000):
        roomy.keep(bytes(1000), number / 10, number, number, 1, is_key=number % 10 == 0)
    assert 150 <= roomy.size()[0] <= 170
    assert roomy.from_time(495.0)[0].time == 495.0
    endless = PacketRing(1.0, most_bytes=50_000)
    for number in range(200):  # one key frame and no other
        endless.keep(bytes(1000), number, number, number, 1, is_key=number == 0)
    assert endless.size()[1] <= 50_000
