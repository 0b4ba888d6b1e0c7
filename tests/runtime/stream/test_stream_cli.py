"""`segrt stream` as a user meets it: exit codes, an error in one line, files that stay valid."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from stream_commands import command, frames_of

from segrt.runtime.cli import main
from segrt.runtime.console.quantities import size_text

pytestmark = pytest.mark.timeout(120)


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch, capfd, fakes):
    """Run the command line in this process, with a fake network."""

    def run_here(*arguments, seconds=0.0):
        monkeypatch.setattr(
            "segrt.runtime.segmenter.open_bundle", lambda *_, **__: fakes.FakeSegmenter(seconds=seconds)
        )
        monkeypatch.setattr("sys.argv", ["segrt", "stream", "bundle", *map(str, arguments)])
        monkeypatch.setattr("segrt.runtime.console.exits.leave_at_once", sys.exit)  # else it would end the tests
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capfd.readouterr())

    return run_here


def test_a_video_becomes_a_video_of_as_many_frames(run, tmp_path, video):
    out, lines, metrics = tmp_path / "sub" / "out.mp4", tmp_path / "out.jsonl", tmp_path / "m.json"
    done = run(video, "--sink", out, "--sink", lines, "--sink", "null", "--metrics", metrics)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("30 frames at ")
    sizes = [f"wrote {path} ({size_text(float(f'{path.stat().st_size:.2g}'))})" for path in (out, lines, metrics)]
    assert done.stdout.splitlines()[1:] == sizes
    assert "0 dropped, latency p50 " in done.stdout
    assert frames_of(out) == 30
    assert [json.loads(line)["index"] for line in lines.read_text().splitlines()] == list(range(30))
    measured = json.loads(metrics.read_text())
    assert (measured["frames_in"], measured["frames_out"], measured["dropped"]) == (30, 30, 0)
    assert (measured["reconnects"], measured["nonfinite_heads"]) == (0, 0)
    assert set(measured["frame_age_ms"]) == {"p50", "p95", "p99"}
    assert {"decode", "preprocess", "inference", "postprocess", "draw", "mp4", "jsonl", "null", "total"} == set(
        measured["stages"]
    )
    for times in measured["stages"].values():
        assert set(times) == {"mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms"}
    assert "sources" not in measured


def test_a_run_that_saves_nothing_says_so_before_it_begins_and_one_that_saves_lists_it(run, tmp_path, video):
    nothing = "segrt: no sink saves anything; add --sink out.mp4, out.jsonl or a folder to keep the results\n"
    done = run(video, "--max-frames", 3)
    assert (done.returncode, done.stderr) == (0, nothing)
    assert done.stdout.count("\n") == 1
    assert run(video, "--sink", "null", "--max-frames", 3).stderr == ""
    pictures = tmp_path / "pictures"
    done = run(video, "--sink", pictures, "--max-frames", 3)
    assert done.stdout.endswith(f"\nwrote {pictures}/ (3 pictures)\n")
    assert done.stderr == ""


def test_rotated_files_are_listed_and_quantities_said_back(run, tmp_path, video):
    lines = tmp_path / "out.jsonl"
    done = run(video, "--sink", lines, "--segment", "0.4", "--keep", "2GB")
    assert done.stderr == "segrt: a new file every 400 ms, at most 2 GB of each sink\n"
    written = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("wrote ")]
    assert written == [str(path) for path in sorted(tmp_path.glob("out-*.jsonl"))]
    assert len(written) == 3
    done = run(video, "--keep", "2")
    assert done.returncode == 2
    assert "with its unit, but got '2'" in done.stderr


def test_classes_that_are_not_wanted_leave_the_stream(run, tmp_path, video, monkeypatch, fakes):
    labels = fakes.FakeSegmenter.labels
    bundle = SimpleNamespace(manifest=SimpleNamespace(labels=labels))
    monkeypatch.setattr("segrt.runtime.segmenter.find_bundle", lambda _: bundle)
    every, some = tmp_path / "every.jsonl", tmp_path / "some.jsonl"
    assert run(video, "--sink", every).returncode == 0
    areas = [json.loads(line)["areas"] for line in every.read_text().splitlines()]
    name = next(iter(areas[7]))
    done = run(video, "--sink", some, "--classes", name.upper())
    assert (done.returncode, done.stderr) == (0, "")
    kept = [json.loads(line)["areas"] for line in some.read_text().splitlines()]
    assert kept == [seen if name in seen else {} for seen in areas]
    assert {} in kept
    done = run(video, "--classes", "unicorn")
    assert done.returncode == 2
    assert "--classes unicorn: bundle has no such class" in done.stderr


def test_show_is_a_window_where_there_is_one_and_the_live_page_elsewhere(run, video, monkeypatch):
    pytest.importorskip("uvicorn")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    done = run(video, "--show", "--max-frames", 2)
    assert done.returncode == 0
    assert done.stderr.startswith("segrt: --show: there is no display; open the live page instead\n")
    assert re.search(r"^live page: http://127.0.0.1:[1-9][0-9]*/$", done.stdout, re.MULTILINE)
    shown = []
    monkeypatch.setattr("segrt.runtime.stream.sinks.window.why_no_window", lambda: None)
    for name, answer in (("namedWindow", None), ("waitKey", -1), ("getWindowProperty", 1.0), ("destroyWindow", None)):
        monkeypatch.setattr(f"cv2.{name}", lambda *_, answer=answer: answer)
    monkeypatch.setattr("cv2.imshow", lambda title, picture: shown.append((title, picture.shape)))
    done = run(video, "--show", "--max-frames", 2)
    assert done.returncode == 0
    assert "live page" not in done.stdout
    assert shown == [(f"segrt: {video}", (96, 128, 3))] * 2
    monkeypatch.setattr("cv2.waitKey", lambda _: ord("q"))
    shown.clear()
    assert run(video, "--show", "--max-frames", 5).returncode == 0
    assert len(shown) == 1


def test_several_sources_have_metrics_of_their_own(run, tmp_path, video):
    metrics = tmp_path / "m.json"
    done = run(video, video, "--metrics", metrics, "--max-frames", 40)
    assert done.returncode == 0
    measured = json.loads(metrics.read_text())
    assert measured["frames_out"] == 40
    assert set(measured["sources"]) == {str(video), f"{video}#2"}
    assert sum(source["frames_out"] for source in measured["sources"].values()) == 40


def test_latest_reports_the_age_of_frames(run, video):
    done = run(video, "--policy", "latest", seconds=0.05)
    assert done.returncode == 0
    assert "frame age p50" in done.stdout


def test_a_video_that_ends_early_leaves_its_frames_and_says_how_many(run, tmp_path, video):
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 8 // 10])
    out, metrics = tmp_path / "out.mp4", tmp_path / "m.json"
    done = run(video, "--sink", out, "--sink", tmp_path / "out.jsonl", "--metrics", metrics)
    assert done.returncode == 2
    count = json.loads(metrics.read_text())["frames_out"]
    assert 0 < count < 30
    assert frames_of(out) == count
    assert (tmp_path / "out.jsonl").read_text().count("\n") == count
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"segrt: error: {video}: ends early")
    assert f"{count} of 30 frames" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.mp4"], "missing.mp4: cannot be opened"),
        (["missing.mp4", "--sink", "out.mp4"], "missing.mp4: cannot be opened"),
        (["text.mp4"], "text.mp4"),
        (["in.mp4", "--sink", "out.avi"], "out.avi: sinks of type '.avi' are not known; use FILE.mp4"),
        (["in.mp4", "--sink", "text.mp4/out.mp4"], "text.mp4: cannot be made a folder"),
        (["in.mp4", "--sink", "in.mp4"], "in.mp4: is the source itself"),
        (["in.mp4", "--metrics", "in.mp4"], "--metrics in.mp4: is the source itself"),
        (["in.mp4", "--sink", "a.jsonl", "--metrics", "./a.jsonl"], "--metrics a.jsonl: is given twice"),
        (["photos", "--sink", "photos"], "photos: writes pictures into the source's folder"),
        (["photos", "--sink", "photos/%06d.png"], "writes pictures into the source's folder"),
        (["photos", "in.mp4", "--sink", "."], "sink .: writes pictures into the source's folder"),
        (["photos/000000.jpg", "--sink", "photos/"], "may overwrite the source 000000.jpg"),
        (["photos", "--metrics", "photos/000000.jpg"], "000000.jpg: is the source itself"),
        (["ftp://me:hunter2@host/x"], "ftp://***@host/x: sources of scheme 'ftp' are not known"),
        (["in.mp4", "--sink", "amqp://me:hunter2@host/x"], "amqp://***@host/x: scheme 'amqp' is not known"),
        (["in.mp4", "--policy", "some"], "--policy"),
        (["in.mp4", "--max-frames", "0"], "--max-frames"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(run, tmp_path, video, fakes, monkeypatch, arguments, message):  # noqa: ARG001
    monkeypatch.chdir(tmp_path)
    Path("text.mp4").write_text("no video")
    fakes.write_picture(Path("photos/000000.jpg"))
    before = Path("in.mp4").read_bytes()
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    if not done.stderr.startswith("Usage"):  # click shows how a command is used before its line
        assert done.stderr.count("\n") == 1
    assert Path("in.mp4").read_bytes() == before
    assert not Path("out.mp4").exists()


def test_metrics_that_cannot_be_written_are_one_line(run, tmp_path, video):
    done = run(video, "--metrics", video / "m.json", "--sink", tmp_path / "out.mp4")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.mp4").exists(), "found before the work"


def test_a_terminal_sees_a_progress_bar(video):
    leader, follower = os.openpty()
    with subprocess.Popen(
        command(video, seconds=0.02), stdout=subprocess.DEVNULL, stderr=follower, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                data = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown += data
    os.close(leader)
    assert process.returncode == 0
    assert b"/30" in shown
    assert b"fps" in shown


def test_the_segmenters_own_loop(video):
    from segrt.runtime.segmenter import open_bundle

    with open_bundle("street-semantic", threads=1) as segmenter:
        seen = []
        for frame, result in segmenter.stream(video):
            assert result.size == frame.size
            assert result.timings.total_ms > 0
            seen.append(frame.index)
            if len(seen) == 4:
                break
    assert seen == [0, 1, 2, 3]


def test_the_embedded_bundle_runs_for_real(tmp_path, video):
    code = "from segrt.runtime.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "stream", "street-panoptic", video, "--threads", "1", "--max-frames", "5"]
        + ["--sink", tmp_path / "out.mp4", "--sink", tmp_path / "out.jsonl"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("segrt: street-panoptic knows segrt's drawn street alone"), "a file may be anything"
    assert done.stderr.count("\n") == 1
    assert frames_of(tmp_path / "out.mp4") == 5
    line = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert line["technique"] == "panoptic"
    assert sum(segment["area"] for segment in line["segments"]) <= 96 * 128


def test_following_things_is_refused_where_there_are_none_and_its_options_without_it(run, video):
    done = run(video, "--track")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        "segrt: error: --track (track=True): takes instance or panoptic results, but the bundle's are semantic; leave "
        "it out or take an instance or panoptic bundle"
    )
    for option in (("--track-lost", "3s"), ("--track-camera",)):
        done = run(video, *option)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"segrt: error: {option[0]}: says how things are followed, but nothing is; add --track\n"
