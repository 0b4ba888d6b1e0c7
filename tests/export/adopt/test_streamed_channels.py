"""Networks of 16-bit values, alpha and bands in `segrt stream` and `profile`: right, or refused before they begin."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from foreign_networks import SUMMED, Adopt, summing

from segrt.runtime import open_bundle
from segrt.runtime.cli import main
from segrt.runtime.errors import SegrtError
from segrt.runtime.profiling.sample_pictures import Pictures

RNG = np.random.default_rng(11)
QUICK = ("--frames", "10", "--warmup", "1", "--threads", "1", "--no-cold")


@pytest.fixture
def two(tmp_path: Path) -> str:
    path = tmp_path / "two.txt"
    path.write_text("dark\nbright\n")
    return str(path)


@pytest.fixture
def segrt(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    def run_here(*arguments: Any) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["segrt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), "".join(capfd.readouterr())

    return run_here


def clip(path: Path, frames: int = 3) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, SUMMED[::-1])
    for _ in range(frames):
        small = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        writer.write(cv2.resize(small, SUMMED[::-1], interpolation=cv2.INTER_NEAREST))
    writer.release()
    return path


def pictures(folder: Path, values: str, bands: int, suffix: str) -> list[Any]:
    """Three pictures of random values in `folder`, as files of `suffix`."""
    folder.mkdir()
    top = 1.0 if values == "float32" else np.iinfo(values).max
    made = []
    for number in range(3):
        raw = (RNG.random((*SUMMED, bands)) * top).astype(values)
        raw = raw[..., 0] if bands == 1 else raw
        made.append(raw)
        path = folder / f"scene_{number + 8}{suffix}"  # 8, 9, 10: numbers in their natural order
        if suffix == ".npy":
            np.save(path, raw)
        elif bands == 6:
            cv2.imwritemulti(str(path), [np.ascontiguousarray(band) for band in np.moveaxis(raw, 2, 0)])
        else:
            cv2.imwrite(str(path), raw)
    return made


CASES = {
    "16-bit grey": (1, "uint16", ".png", {}),
    "six bands": (6, "uint8", ".npy", {}),
    "six bands in pages": (6, "uint16", ".tif", {}),
    "floats": (6, "float32", ".npy", {}),
    "alpha": (4, "uint8", ".png", {"color": "bgra"}),
}


@pytest.mark.parametrize("case", CASES)
def test_pictures_of_a_folder_are_streamed_with_their_own_values(
    adopt: Adopt, two: str, tmp_path: Path, segrt: Any, case: str
) -> None:
    bands, values, suffix, options = CASES[case]
    top = 1.0 if values == "float32" else np.iinfo(values).max
    folder, _ = adopt(summing(bands), "semantic", labels=two, values=values, scale=1.0, mean=(top / 2,), **options)
    made = pictures(tmp_path / "pictures", values, bands, suffix)
    with open_bundle(folder, threads=1) as segmenter:
        streamed = list(segmenter.stream(tmp_path / "pictures"))
        assert [frame.index for frame, _ in streamed] == [0, 1, 2]
        for raw, (frame, result) in zip(made, streamed, strict=True):
            assert np.array_equal(frame.image, raw)
            assert frame.visible.shape == (*SUMMED, 3)
            wanted = raw.astype(np.float64).reshape(*SUMMED, bands).mean(axis=2) > top / 2
            assert (result.class_map == wanted).mean() > 0.999  # type: ignore[union-attr]
            assert np.array_equal(segmenter(raw).class_map, result.class_map)  # type: ignore[union-attr]
    code, said = segrt(
        "stream", folder, tmp_path / "pictures", "--sink", tmp_path / "drawn", "--sink", tmp_path / "rows.jsonl"
    )
    assert code == 0, said
    assert len(list((tmp_path / "drawn").iterdir())) == 3
    assert cv2.imread(str(next((tmp_path / "drawn").iterdir()))).shape == (*SUMMED, 3)
    code, said = segrt(
        "profile", folder, "--source", tmp_path / "pictures", *QUICK, "--draw", "--size", "16x24", "--json",
        tmp_path / "p.json",
    )  # fmt: skip
    assert code == 0, said
    assert json.loads((tmp_path / "p.json").read_text())["runs"][0]["size"] == [16, 24]


@pytest.mark.parametrize("case", ["16-bit grey", "six bands", "three bands"])
def test_video_is_refused_before_anything_begins_where_the_network_takes_other_pictures(
    adopt: Adopt, two: str, tmp_path: Path, segrt: Any, case: str
) -> None:
    bands, values, _, options = {**CASES, "three bands": (3, "uint8", "", {"color": "bands"})}[case]
    folder, _ = adopt(summing(bands), "semantic", labels=two, values=values, scale=1.0, mean=(0.5,), **options)
    video = clip(tmp_path / "clip.avi")
    for source in (video, "street://?seed=1&width=48&height=32"):
        code, said = segrt("stream", folder, source, "--sink", tmp_path / "rows.jsonl")
        assert code == 2
        assert f"gives colours of 8 bits, but input 'x' takes {values}" in said
        assert "give a folder of such pictures (.npy, TIFF, PNG)" in said
        assert not (tmp_path / "rows.jsonl").exists()
        assert segrt("profile", folder, "--source", source, *QUICK)[0] == 2


def test_an_archive_of_video_is_refused_once_before_it_begins(
    adopt: Adopt, two: str, tmp_path: Path, segrt: Any
) -> None:
    pytest.importorskip("pyarrow", reason="archives need pyarrow: pip install 'segrt[archive]'")
    folder, _ = adopt(summing(1), "semantic", labels=two, values="uint16", scale=1.0, mean=(0.5,))
    pictures(tmp_path / "mixed", "uint16", 1, ".png")
    video = clip(tmp_path / "mixed" / "clip.avi")
    code, said = segrt("archive", folder, tmp_path / "mixed", "--out", tmp_path / "out")
    assert code == 2
    assert f"{video}: gives colours of 8 bits, but input 'x' takes uint16" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("color", ["rgba", "grey"])
def test_networks_of_alpha_and_of_grey_take_video(
    adopt: Adopt, two: str, tmp_path: Path, segrt: Any, color: str
) -> None:
    bands = {"rgba": 4, "grey": 1}[color]
    folder, _ = adopt(summing(bands), "semantic", labels=two, color=color, scale=1.0, mean=(127.5,))
    video = clip(tmp_path / "clip.avi")
    with open_bundle(folder, threads=1) as segmenter:
        streamed = list(segmenter.stream(video))
        assert len(streamed) == 3
        for frame, result in streamed:
            total = frame.image.astype(float).sum(axis=2) + 255  # opaque
            wanted = total > 510 if bands == 4 else cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY) > 127.5
            assert np.array_equal(result.class_map == 1, wanted)  # type: ignore[union-attr]
    assert segrt("profile", folder, "--source", video, *QUICK)[0] == 0


def test_networks_of_different_pictures_are_not_profiled_beside_each_other(
    adopt: Adopt, two: str, tmp_path: Path
) -> None:
    folder, _ = adopt(summing(1), "semantic", labels=two, values="uint16", scale=1.0, mean=(0.5,))
    pictures(tmp_path / "pictures", "uint16", 1, ".png")
    supply = Pictures(str(tmp_path / "pictures"))
    with open_bundle(folder, threads=1) as thermal, open_bundle("street-semantic", threads=1) as street:
        specs = [thermal.manifest.image_input, street.manifest.image_input]
    with pytest.raises(SegrtError, match=r"the networks take different pictures, uint16 grey .* and uint8 BGR"):
        supply.give(specs)
    supply.give(specs[:1])
    assert supply.some(4)[3].dtype == np.uint16
