"""Results out: videos that others can play, lines that others can parse, pictures that others can see."""

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction

import av
import numpy as np
import pytest

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.files.images import read_image
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.video_writer import TICKS, Clock, Mp4Writer
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle
from segrt.runtime.stream import run_stream
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink_kinds import open_sink
from segrt.runtime.stream.sources.source import SourceInfo
from segrt.runtime.stream.sources.source_kinds import open_source

LABELS = (
    Label(name="road", dataset_id=7, isthing=False, color=(1, 2, 3)),
    Label(name="car", dataset_id=9, isthing=True, color=(4, 5, 6)),
)


def write(path, images, pts=None, **options):
    writer = Mp4Writer(path, **options)
    for index, image in enumerate(images):
        writer.write(image, None if pts is None else pts[index])
    writer.close()


def decode(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return stream, [frame.time for frame in frames], [frame.to_ndarray(format="bgr24") for frame in frames]


def test_an_mp4_holds_every_frame_as_h264(tmp_path, fakes):
    path = tmp_path / "a.mp4"
    write(path, fakes.shades(40), rate=Fraction(25, 2))
    stream, times, images = decode(path)
    assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert stream.frames == len(images) == 40, "the closed file counts its frames in its index"
    assert times == pytest.approx([index * 0.08 for index in range(40)], abs=1e-4)
    assert float(stream.average_rate) == pytest.approx(12.5, rel=1e-3)
    for image, expected in zip(images, fakes.shades(40), strict=True):
        assert np.abs(image.astype(int) - expected).max() <= 8


@pytest.mark.parametrize("size", [(48, 64), (720, 64)])
def test_colours_survive_the_mp4(tmp_path, fakes, size):
    write(tmp_path / "a.mp4", [fakes.quadrants(size)] * 3)
    images = [frame.image for frame in open_source(tmp_path / "a.mp4").frames()]
    height, width = size
    for y in (height // 4, 3 * height // 4):
        for x in (width // 4, 3 * width // 4):
            assert images[1][y, x].astype(int) == pytest.approx(fakes.quadrants(size)[y, x].astype(int), abs=8)


def test_variable_rates_are_kept_and_begin_at_zero(tmp_path, fakes):
    pts = [7.0, 7.01, 7.5, 7.52, 9.0]
    write(tmp_path / "a.mp4", fakes.shades(5), pts)
    assert decode(tmp_path / "a.mp4")[1] == pytest.approx([0.0, 0.01, 0.5, 0.52, 2.0], abs=1e-4)


@pytest.mark.parametrize("size", [(47, 63), (1, 1), (3, 2), (48, 33)])
def test_odd_sizes_gain_a_line_and_lose_nothing(tmp_path, size):
    image = np.random.default_rng(0).integers(60, 200, (*size, 3), np.uint8)
    image = np.full_like(image, 0) + image.mean(axis=(0, 1), dtype=int).astype(np.uint8)
    write(tmp_path / "a.mp4", [image] * 4)
    _, _, images = decode(tmp_path / "a.mp4")
    assert images[0].shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    assert len(images) == 4
    assert np.abs(images[3][: size[0], : size[1]].astype(int) - image).max() <= 10


def test_a_picture_of_another_size_is_fitted_in(tmp_path):
    wide, tall = np.full((40, 80, 3), 200, np.uint8), np.full((80, 20, 3), 200, np.uint8)
    write(tmp_path / "a.mp4", [wide, tall, wide])
    _, _, images = decode(tmp_path / "a.mp4")
    assert {image.shape for image in images} == {(40, 80, 3)}
    assert images[1][20, 40].mean() > 180
    assert images[1][20, 5].mean() < 30


def test_clock_rises_whatever_the_source_says():
    clock = Clock(Fraction(25))
    period = TICKS // 25
    assert [clock.ticks(pts) for pts in (None, None, 5.0, 5.04, 4.0, 4.04, 4.04, None, 4.5)] == [
        0,
        period,
        2 * period,
        3 * period,
        4 * period,
        5 * period,
        6 * period,
        7 * period,
        7 * period + round((4.5 - 4.04) * TICKS) - period,
    ]


def test_without_a_frame_there_is_no_file(tmp_path):
    Mp4Writer(tmp_path / "a.mp4").close()
    assert list(tmp_path.iterdir()) == []


def test_pictures_too_large_for_h264_are_refused_in_one_line(tmp_path):
    writer = Mp4Writer(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=r"pictures of 16386x2 are too large for H\.264, .* 16384 pixels"):
        writer.write(np.zeros((2, 16386, 3), np.uint8), 0.0)
    writer.close()
    assert list(tmp_path.iterdir()) == []
    writer = Mp4Writer(tmp_path / "b.mp4")
    writer.write(np.zeros((2, 16384, 3), np.uint8), 0.0)
    writer.close()
    assert (tmp_path / "b.mp4").stat().st_size > 0


@pytest.mark.parametrize(("name", "better"), [("f.png", "f-%06d.png"), ("%s.png", "frame-%06d.png")])
def test_one_picture_for_all_frames_is_told_what_to_write(tmp_path, name, better):
    with pytest.raises(VideoError, match=f"one for each frame; use {better}$"):
        open_sink(str(tmp_path / name))


WRITE_AND_DIE = """
import os, signal, sys
import numpy as np
from fractions import Fraction
from pathlib import Path
from segrt.runtime.outputs.video_writer import Mp4Writer
writer = Mp4Writer(Path(sys.argv[1]), rate=Fraction(25))
rng = np.random.default_rng(0)
for index in range(100):
    writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8), index / 25)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_a_playable_file(tmp_path):
    path = tmp_path / "a.mp4"
    done = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    _, times, images = decode(path)
    assert len(images) >= 90, "all but the few frames inside the encoder"
    assert times[-1] > 4.0 - 1.0
    assert len(images) == pytest.approx(times[-1] * 25 + 1, abs=0.5)


FILL_THE_DISK = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from segrt.runtime.errors import SegrtError
from segrt.runtime.outputs.video_writer import Mp4Writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = Mp4Writer(Path(sys.argv[1]))
rng = np.random.default_rng(0)
try:
    for index in range(500):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8), index / 25)
except SegrtError as error:
    print(error)
writer.close()
"""


def test_a_full_disk_is_said_and_what_was_written_plays(tmp_path):
    path = tmp_path / "a.mp4"
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(path)], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith(f"{path}: cannot be written")
    assert "frames were encoded" in done.stdout
    _, _, images = decode(path)
    assert len(images) >= 5


def frame_of(result, index=0, pts: float | None = 0.5, source_id="cam"):
    return Frame(np.zeros((*result.size, 3), np.uint8), index, pts, time.monotonic(), source_id)


def lines_of(path, results):
    sink = open_sink(path)
    sink.open([SourceInfo("cam")])
    try:
        for index, result in enumerate(results):
            sink.write(frame_of(result, index), result, None)
    finally:
        sink.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jsonl_of_a_panoptic_result(tmp_path):
    ids = np.zeros((4, 6), np.int32)
    ids[1:3, 2:5] = 3
    segment = Segment(id=3, class_id=1, isthing=True, score=0.87654321, area=6, bbox=(2, 1, 3, 2))
    (line,) = lines_of(tmp_path / "a.jsonl", [PanopticResult(ids, [segment], LABELS)])
    assert line == {
        "format": "1.1",
        "source": "cam",
        "index": 0,
        "pts": 0.5,
        "size": [4, 6],
        "technique": "panoptic",
        "segments": [
            {"id": 3, "class_id": 1, "name": "car", "isthing": True, "score": 0.8765, "area": 6, "bbox": [2, 1, 3, 2]}
        ],
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside pycocotools
@pytest.mark.parametrize("kind", ["panoptic", "instance"])
def test_masks_are_in_the_lines_when_asked_for_and_coco_reads_them(tmp_path, kind):
    from pycocotools import mask as coco

    where = np.zeros((4, 6), bool)
    where[1:3, 2:5] = True
    segment = Segment(id=3, class_id=1, isthing=True, score=0.9, area=6, bbox=(2, 1, 3, 2))
    box, score = np.array([[2, 1, 5, 3]], np.float32), np.array([0.5], np.float32)
    result = {
        "panoptic": PanopticResult(where.astype(np.int32) * 3, [segment], LABELS),
        "instance": InstanceResult(box, score, np.array([1]), [rle.encode(where)], (4, 6), LABELS),
    }[kind]
    sink = open_sink(tmp_path / "a.jsonl", SinkOptions(rle=True))
    sink.open([SourceInfo("cam")])
    sink.write(frame_of(result), result, None)
    sink.close()
    line = json.loads((tmp_path / "a.jsonl").read_text())
    (one,) = line["segments" if kind == "panoptic" else "instances"]
    assert np.array_equal(coco.decode(one["rle"]), where)


def test_jsonl_of_an_instance_result(tmp_path):
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    result = InstanceResult(
        boxes=np.array([[2, 1, 5, 3]], np.float32),
        scores=np.array([0.5], np.float32),
        class_ids=np.array([1]),
        rles=[rle.encode(mask)],
        size=(4, 6),
        labels=LABELS,
    )
    (line,) = lines_of(tmp_path / "a.jsonl", [result])
    assert line["instances"] == [{"class_id": 1, "name": "car", "score": 0.5, "area": 6, "bbox": [2.0, 1.0, 3.0, 2.0]}]


def test_jsonl_of_an_instance_result_without_objects(tmp_path):
    empty = InstanceResult(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int), [], (4, 6), LABELS)
    (line,) = lines_of(tmp_path / "a.jsonl", [empty])
    assert line["instances"] == []


def test_jsonl_of_a_semantic_result_leaves_void_out(tmp_path):
    class_map = np.zeros((4, 6), np.uint8)
    class_map[0] = 255
    (line,) = lines_of(tmp_path / "a.jsonl", [SemanticResult(class_map, LABELS)])
    assert (line["technique"], line["areas"]) == ("semantic", {"road": 18})


def test_every_line_reaches_the_file_at_once(tmp_path):
    sink = open_sink(tmp_path / "a.jsonl")
    sink.open([SourceInfo("cam")])
    result = SemanticResult(np.zeros((4, 6), np.uint8), LABELS)
    for count in (1, 2):
        sink.write(frame_of(result), result, None)
        assert (tmp_path / "a.jsonl").read_bytes().count(b"\n") == count
    sink.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_lines_that_cannot_be_written_are_an_error(tmp_path):
    (tmp_path / "a.jsonl").symlink_to("/dev/full")
    result = SemanticResult(np.zeros((4, 6), np.uint8), LABELS)
    with pytest.raises(VideoError, match=r"cannot be written.*space"):
        lines_of(tmp_path / "a.jsonl", [result])


@pytest.mark.parametrize(
    ("spec", "first"), [("out", "out/000000.jpg"), ("out/", "out/000000.jpg"), ("out/f-%03d.png", "out/f-000.png")]
)
def test_pictures_are_numbered_by_frame(tmp_path, segmenter, fakes, spec, first, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_stream(segmenter, fakes.ListSource(3, size=(16, 24)), [spec], draw=lambda image, _: image + np.uint8(40))
    written = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(written) == 3
    assert written[0] == tmp_path / first
    assert read_image(written[2]).mean() == pytest.approx(42, abs=2)


def test_several_sources_have_files_of_their_own(tmp_path, segmenter, fakes):
    sources = [fakes.ListSource(4, source_id="a", size=(16, 24)), fakes.ListSource(6, source_id="b", size=(32, 24))]
    sinks = [tmp_path / "out.mp4", tmp_path / "out.jsonl", tmp_path / "pictures"]
    run_stream(segmenter, sources, sinks, draw=lambda image, _: image)
    assert len(decode(tmp_path / "out-a.mp4")[2]) == 4
    assert len(decode(tmp_path / "out-b.mp4")[2]) == 6
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(line["source"] for line in lines) == ["a"] * 4 + ["b"] * 6
    assert len(list((tmp_path / "pictures" / "b").iterdir())) == 6


def test_sources_whose_names_look_alike_do_not_overwrite_each_other(tmp_path, segmenter, fakes):
    sources = [
        fakes.ListSource(2, source_id="x/a b", size=(16, 24)),
        fakes.ListSource(3, source_id="y/a_b", size=(16, 24)),
    ]
    run_stream(segmenter, sources, [tmp_path / "out.mp4", tmp_path / "pictures"], draw=lambda image, _: image)
    assert sorted(len(decode(path)[2]) for path in tmp_path.glob("*.mp4")) == [2, 3]
    assert sorted(len(list(path.iterdir())) for path in (tmp_path / "pictures").iterdir()) == [2, 3]


def test_a_sink_never_overwrites_its_source_or_another_sink(tmp_path, segmenter, fakes):
    path = fakes.write_video(tmp_path / "a.mp4", fakes.shades(3))
    before = path.read_bytes()
    with pytest.raises(SegrtError, match="is the source itself"):
        run_stream(segmenter, path, [path])
    with pytest.raises(SegrtError, match="is given twice"):
        run_stream(segmenter, path, [tmp_path / "b.mp4", tmp_path / "b.mp4"])
    assert path.read_bytes() == before
    assert not (tmp_path / "b.mp4").exists()
