"""HLS folders: what players find there at every moment, what goes, and how a restart goes on."""

# ruff: noqa: D102 (names say it)

import re
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from leaving_camera import picture

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream import run_stream, timecode
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.output_conflicts import refuse_conflicts
from segrt.runtime.stream.sinks.leaving import hls_folder
from segrt.runtime.stream.sinks.sink_kinds import files_of, open_sink
from segrt.runtime.stream.sources.source import SourceInfo

FPS = 5


class Run:
    """A run of the sink, fed five pictures a second of the stream's time."""

    def __init__(self, path, *, live=True, keep=None, sources=("cam",)):
        self.sink = open_sink(str(path), SinkOptions(live=live, keep_bytes=keep))
        self.sink.open([SourceInfo(name, Fraction(FPS), live=live) for name in sources])
        self._sources, self.index = sources, 0

    def feed(self, seconds, size=(32, 160), shift=0.0):
        for _ in range(round(seconds * FPS)):
            for source in self._sources:
                image = picture(shift + self.index / FPS, size)
                self.sink.write(Frame(image, self.index, self.index / FPS, 0.0, source), None, image)
            self.index += 1
        return self


def lines(path):
    return path.read_text().splitlines()


def names(path):
    return [line for line in lines(path) if not line.startswith("#")]


def codes(folder, name):
    with av.open(str(folder / name)) as container:
        return [timecode.read(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def test_segments_hold_all_pictures_once_and_each_plays_by_itself(tmp_path):
    path = tmp_path / "web" / "live.m3u8"
    run = Run(path).feed(5)
    assert names(path) == ["live-00001.ts", "live-00002.ts"], "what is whole is there while it runs"
    run.sink.close()
    assert lines(path)[:5] == [
        "#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-TARGETDURATION:2",
        "#EXT-X-MEDIA-SEQUENCE:1",
    ]  # fmt: skip
    lengths = [line for line in lines(path) if line.startswith("#EXTINF")]
    assert lengths == ["#EXTINF:2.00000,"] * 2 + ["#EXTINF:1.00000,"]
    found = [code for name in names(path) for code in codes(path.parent, name)]
    assert found == [index / FPS for index in range(5 * FPS)]
    assert "#EXT-X-ENDLIST" not in lines(path), "a live stream may go on"
    whole = path.with_name("whole.m3u8")  # a player would wait for more
    whole.write_text(path.read_text() + "#EXT-X-ENDLIST\n")
    with av.open(str(whole)) as container:
        times = [packet.pts * packet.time_base for packet in container.demux(video=0) if packet.pts is not None]
        assert [float(after - before) for before, after in pairwise(times)] == [0.2] * 24


def test_of_a_live_stream_the_oldest_go_later_than_they_leave_the_list(tmp_path, monkeypatch):
    monkeypatch.setattr(hls_folder, "_LISTED", 3)
    path = tmp_path / "live.m3u8"
    run = Run(path).feed(21)
    assert names(path) == ["live-00008.ts", "live-00009.ts", "live-00010.ts"]
    assert "#EXT-X-MEDIA-SEQUENCE:8" in lines(path)
    there = sorted(file.name for file in tmp_path.glob("*.ts"))
    assert there == [f"live-{number:05d}.ts" for number in range(5, 11)], "players may still fetch what was listed"
    run.sink.close()


def test_keep_bounds_the_bytes(tmp_path):
    path = tmp_path / "live.m3u8"
    Run(path, keep=40_000).feed(60).sink.close()
    sizes = {file.name: file.stat().st_size for file in tmp_path.glob("*.ts")}
    assert sum(sizes.values()) <= 40_000
    assert 0 < sum(sizes[name] for name in names(path)) <= 30_000
    assert len(sizes) > len(names(path))


def test_a_restart_goes_on_behind_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(hls_folder, "_LISTED", 4)
    path = tmp_path / "live.m3u8"
    Run(path).feed(5).sink.close()
    first = {name: (tmp_path / name).read_bytes() for name in names(path)}
    run = Run(path).feed(3, shift=100)
    assert names(path) == [*first, "live-00004.ts"]
    assert {name: (tmp_path / name).read_bytes() for name in first} == first
    assert lines(path)[lines(path).index("live-00003.ts") + 1] == "#EXT-X-DISCONTINUITY"
    run.feed(8).sink.close()
    assert names(path)[0] == "live-00006.ts"
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:1" in lines(path), "players count breaks that have left the list"
    Run(path).feed(13).sink.close()
    kept = sorted(file.name for file in tmp_path.glob("*.ts"))
    assert len(kept) <= 2 * 4 + 1, "what an earlier run has passed goes, too"


def test_another_size_and_a_failure_are_breaks(tmp_path, monkeypatch):
    path = tmp_path / "live.m3u8"
    run = Run(path).feed(3).feed(3, size=(64, 160))
    real = hls_folder.write_atomic

    def full(path, data, **given):  # noqa: ARG001
        raise SegrtError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(hls_folder, "write_atomic", full)
    with pytest.raises(SegrtError, match="No space left"):
        run.feed(2, size=(64, 160))
    monkeypatch.setattr(hls_folder, "write_atomic", real)
    run.sink.reopen()
    run.feed(3, size=(64, 160)).sink.close()
    text = path.read_text()
    breaks = [re.search(r"\n(live-\d+\.ts)", part).group(1) for part in text.split("#EXT-X-DISCONTINUITY\n")[1:]]
    assert len(breaks) == 2
    sizes = {}
    for name in names(path):
        with av.open(str(tmp_path / name)) as container:
            sizes[name] = container.streams.video[0].height
    assert list(sizes.values()) == [32, 32, 64, 64, 64]
    assert sizes[breaks[0]] == 64


def test_files_give_a_whole_recording_that_a_live_stream_does_not_touch(tmp_path, segmenter, fakes):
    path = tmp_path / "clip.m3u8"
    for _ in range(2):
        run_stream(segmenter, fakes.ListSource(80, size=(32, 160)), [str(path)])
        assert names(path) == ["clip-00001.ts", "clip-00002.ts"]
        assert lines(path)[-1] == "#EXT-X-ENDLIST"
        assert sorted(file.name for file in tmp_path.iterdir()) == ["clip-00001.ts", "clip-00002.ts", "clip.m3u8"]
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 80
    with pytest.raises(VideoError, match="holds a finished recording; write to another name"):
        Run(path)


def test_sources_have_a_list_each_and_their_segments_overwrite_nothing(tmp_path):
    path = tmp_path / "live.m3u8"
    Run(path, sources=("h/gate", "h/yard")).feed(3).sink.close()
    assert sorted(file.name for file in tmp_path.glob("*.m3u8")) == ["live-gate.m3u8", "live-yard.m3u8"]
    assert names(tmp_path / "live-yard.m3u8")[0] == "live-yard-00001.ts"
    written = files_of(str(path), ["h/gate", "h/yard"])
    assert [file.name for file in written.files] == ["live-gate.m3u8", "live-yard.m3u8"]
    source = tmp_path / "live-00003.ts"
    source.write_bytes(b"x")
    with pytest.raises(VideoError, match=r"may overwrite the source live-00003\.ts"):
        refuse_conflicts([str(source)], [SourceInfo("live-00003.ts", Fraction(5), live=False)], [str(path)])
