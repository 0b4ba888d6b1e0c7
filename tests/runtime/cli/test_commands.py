"""The commands as a user meets them: one line and exit code 2 for what is wrong, tables and JSON."""

import json
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from cli_calls import Segrt, fails


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "b", "p.png", "--out", "o", "--score-threshold", "nan"), "'--score-threshold': must be a finite"),
        (("pair", "a", "b", "--out", "o", "--overlap-threshold", "NaN"), "'--overlap-threshold': must be a finite"),
        (("pair", "a", "b", "--out", "o", "--stuff-area-limit", 10**20), "'--stuff-area-limit': 1"),
        (("quantize", "b", "--precision", "fp16", "--out", "o", "--agreement", "nan"), "'--agreement': must be a fin"),
        (("export", "m", "--out", "o", "--seed", 10**21), "'--seed': 1"),
        (("stream", "b", "x.mp4", "--target-fps", "inf"), "'--target-fps': must be a finite number, but got 'inf'"),
    ],
)
def test_numbers_that_no_range_holds_are_refused(segrt: Segrt, arguments: tuple[object, ...], message: str) -> None:
    code, _, err = segrt(*arguments)
    assert code == 2
    assert message in err.splitlines()[-1]


def test_durations_without_a_unit_are_said_back_and_those_with_one_are_not(segrt: Segrt, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    options = ("--max-age", "0.5", "--read-timeout", 2, "--segment", "600", "--stall-timeout", "9s")
    code, _, err = segrt("stream", gone, "x.mp4", *options)
    assert code == 2
    assert err.splitlines()[:-1] == [
        "segrt: --max-age 0.5: without a unit, that is 500 ms",
        "segrt: --read-timeout 2: without a unit, that is 2 s",
    ], "what --segment was taken for is said where files are cut (test_stream_cli)"
    assert segrt("deploy", "x", "cam1", "--grace", "90", "--root", "?")[2].startswith(
        "segrt: --grace 90: without a unit"
    )
    unit = segrt("service", "--watchdog", "90", "street-panoptic", "x.mp4", "--max-age", 5)
    assert unit[2] == "segrt: --watchdog 90: without a unit, that is 90 s\n", "what a unit runs says it when it runs"


def test_sources_and_bundles_that_are_missing_are_named(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    fails(segrt("run", tmp_path / "gone", photos, "--out", tmp_path / "o"), 2, "gone: there is no such bundle")
    fails(segrt("run", tiny.bundle("argmax"), "gone.jpg", "--out", tmp_path / "o"), 2, "gone.jpg: there is no such")
    fails(segrt("compare", "gone.jpg", "x", "--out", tmp_path / "o.png"), 2, "gone.jpg: cannot be read")
    fails(segrt("inspect", tmp_path), 2, "is no bundle")
    fails(segrt("verify", tmp_path / "gone"), 2, "there is no such bundle")


@pytest.mark.parametrize(
    "arguments", [("run",), ("run", "b"), ("verify",), ("compare", "p", "b"), ("inspect", "--no-such")]
)
def test_wrong_use_exits_with_2_and_no_traceback(segrt: Segrt, arguments: tuple[str, ...]) -> None:
    code, _, err = segrt(*arguments)
    assert code == 2
    assert "Error: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnu",), "Error: There is no command 'rnu'; did you mean 'run'?"),
        (("predict", "x"), "Error: There is no command 'predict'; did you mean 'run'?"),
        (("val",), "Error: There is no command 'val'; did you mean 'eval'?"),
        (("zzz",), "Error: There is no command 'zzz'; `segrt --help` lists them."),
        (("run", "--scor", "1", "b", "p"), "--score-threshold"),
        (("stream", "--max-frame=3", "b", "p"), "--max-frames"),
        (("run", "street-panoptik", "p"), "did you mean 'street-panoptic'? Else give a bundle's folder or one of"),
        (("export", "deeplabv3_resnet5", "--out", "o"), "did you mean"),
    ],
)
def test_a_name_that_is_nearly_right_brings_the_right_one(
    segrt: Segrt, arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = segrt(*arguments)
    assert code == 2
    assert message in err.splitlines()[-1]


def test_a_bundle_nearby_is_suggested(tiny: SimpleNamespace, segrt: Segrt) -> None:
    bundle = tiny.bundle("argmax")
    wrong = bundle.with_name("bundle-armgax")
    fails(segrt("inspect", wrong), 2, f"bundle-armgax: there is no such bundle; did you mean '{bundle}'?")


def test_json_goes_to_a_file_or_instead_of_tables_to_standard_output(
    tiny: SimpleNamespace, segrt: Segrt, tmp_path: Path
) -> None:
    bundle, file = tiny.bundle("argmax"), tmp_path / "new" / "it.json"
    evaluated = ("eval", "street-semantic", "--annotations", "street://?seed=1&frames=1&width=96&height=64")
    for command in (("inspect", bundle), ("models",), evaluated):
        _, printed, err = segrt(*command, "--json", "-")
        json.loads(printed)
        assert ("semantic on street" in err) == (command is evaluated)
        code, shown, _ = segrt(*command, "--json", file)
        assert (code, json.loads(file.read_text())) == (0, json.loads(printed))
        assert shown == segrt(*command)[1] != ""
    assert segrt("inspect", "--json", bundle)[1] == segrt("inspect", bundle, "--json")[1]
    assert json.loads(segrt("models", "--json", "--technique", "instance")[1])
    fails(segrt("models", "--json", "/proc/x.json"), 2, "/proc/x.json: cannot be written")


def test_every_command_takes_as_many_threads_as_the_core(segrt: Segrt) -> None:
    from segrt.runtime.cli import COMMANDS, LazyGroup
    from segrt.runtime.console.quantities import THREADS
    from segrt.runtime.postproc import arguments

    assert THREADS.max == arguments.MOST_THREADS == 256
    group = LazyGroup()
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        for option in command.params:
            if option.name == "threads" and name != "profile":
                assert option.type is THREADS, name
    code, _, err = segrt("profile", "street-semantic", "--threads", "1,257")
    assert code == 2
    assert "must be numbers from 0 (the default) to 256, 1,2 for instance, but got '1,257'" in err


@pytest.mark.prints_table("verify")
def test_verify_prints_a_table_and_exits_with_1_when_golden_frames_differ(tiny: SimpleNamespace, segrt: Segrt) -> None:
    folder = tiny.bundle("merge_queries")
    code, text, err = segrt("verify", folder)
    assert (code, err) == (0, "")
    assert "masks (3 live queries)" in text
    assert "100.0000% agree" in text
    assert "DIFFERS" not in text
    content = json.loads((folder / "manifest.json").read_text())
    content["decode"]["overlap_threshold"] = 1.0
    (folder / "manifest.json").write_text(json.dumps(content))
    result = segrt("verify", folder)
    assert "DIFFERS" in result[1]
    fails(result, 1, "checks differ on this device")


def test_verify_checks_every_hash_even_when_the_cache_knows_the_file(tiny: SimpleNamespace, segrt: Segrt) -> None:
    import os

    folder = tiny.bundle("argmax")
    assert segrt("verify", folder)[0] == 0
    path = folder / "model.fp32.onnx"
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    fails(segrt("verify", folder), 2, "model.fp32.onnx: has SHA-256")


@pytest.mark.prints_table("inspect")
def test_inspect_shows_and_gives_json(tiny: SimpleNamespace, segrt: Segrt) -> None:
    folder = tiny.bundle("merge_queries")
    code, text, _ = segrt("inspect", folder)
    assert code == 0
    for word in ("tiny-merge_queries", "panoptic", "merge_queries", "red, green, blue", "uint8 1×32×48×3", "fp32"):
        assert word in text
    content = json.loads(segrt("inspect", folder, "--json")[1])
    assert content["manifest"]["decode"]["rule"] == "merge_queries"
    assert set(content["files"].values()) == {"ok"}
    (folder / "golden/thirds.npz").unlink()
    fails(segrt("inspect", folder), 2, "thirds.npz: is missing")


def test_inspect_counts_one_image() -> None:
    from segrt.runtime.bundle.manifest import Parity
    from segrt.runtime.cli.inspect import _agreement

    parity = Parity(images=1, heads={}, agreement=0.5)
    assert _agreement(parity) == "50.0000% over 1 image"


def test_inspect_speaks_no_python(tiny: SimpleNamespace, segrt: Segrt) -> None:
    folder = tiny.bundle("class_map")
    content = json.loads((folder / "manifest.json").read_text())
    content["decode"].pop("void_value", None)
    (folder / "manifest.json").write_text(json.dumps(content))
    text = segrt("inspect", folder)[1]
    assert "class_map (void_value none)" in text
    assert "None" not in text
    assert "align_corners no" in segrt("inspect", tiny.bundle("argmax"))[1]
