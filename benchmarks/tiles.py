"""Large pictures in tiles: how well and at what cost, beside the shrunken picture and sahi's merging.

    python benchmarks/tiles.py quality [--seeds 910000-910015] [--size 2160x3840] [--wide 4] [--tile 720x1280]
    python benchmarks/tiles.py memory [--size 20000x30000] [--tile 1024x1024]

- quality: drawn streets of 4K, as a camera of wide angle sees them: people are small. AP of street-instance, PQ of
  street-panoptic, mIoU of street-semantic: of the picture shrunk to the network's input, and of tiles. sahi joins the
  same objects of the same tiles, by its own rules; the processor time of the joining alone is that of one picture
- memory: a TIFF of 600 million pixels is written, then segmented from its file; the peak of this process is told

sahi is taken where it is installed.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from segrt.runtime import open_bundle
from segrt.runtime.evaluate.datasets.street_dataset import StreetDataset
from segrt.runtime.evaluate.segmenting import evaluate
from segrt.runtime.preprocess.tiling import Tile, Tiling
from segrt.runtime.results import InstanceResult, Result, rle
from segrt.runtime.segmenter.tiles.joined_objects import ObjectsJoining
from segrt.runtime.segmenter.tiles.joined_segments import SegmentsJoining
from segrt.runtime.streetworld import StreetWorld

JOININGS = {"instance": ObjectsJoining, "panoptic": SegmentsJoining}
TECHNIQUES = ("semantic", *JOININGS)
MAIN = {"semantic": ("miou",), "instance": ("ap", "ap50", "ap_small", "ap_medium", "ap_large"), "panoptic": ("pq",)}
Join = Callable[[Sequence[tuple[Tile, Any]], tuple[int, int]], Result]


@dataclass
class Recorded:
    """Gives results that were made before, picture by picture, as a segmenter would."""

    labels: Any
    technique: str
    results: list[Result] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._next = 0

    def __call__(self, image: Any, /) -> Result:  # noqa: ARG002
        """Return the next one."""
        self._next += 1
        return self.results[self._next - 1]


def ours(technique: str, labels: Any, *, whole: bool) -> Join:
    """Return what joins the results of tiles, the first one the whole picture's, as `open_bundle(…, tile=…)` does."""

    def join(tiles: Sequence[tuple[Tile, Any]], size: tuple[int, int]) -> Result:
        joining = JOININGS[technique](size, labels)
        for place, (tile, result) in enumerate(tiles):
            if place:
                joining.add(tile, result)
            elif whole:
                joining.add_whole(result)
        return joining.finish()

    return join


def sahis(labels: Any, kind: str, metric: str, threshold: float, *, whole: bool) -> Join:
    """Return what joins objects by one of sahi's rules, of masks as polygons, which is how sahi has them."""
    combine, prediction = import_module("sahi.postprocess.combine"), import_module("sahi.prediction")
    coco = import_module("sahi.utils.cv")
    rule = getattr(combine, kind)(match_threshold=threshold, match_metric=metric, class_agnostic=False)

    def join(tiles: Sequence[tuple[Tile, InstanceResult]], size: tuple[int, int]) -> Result:
        objects = []
        for tile, result in tiles[0 if whole else 1 :]:
            for one in result:
                polygons = coco.get_coco_segmentation_from_bool_mask(one.mask)
                if polygons:
                    made = prediction.ObjectPrediction(
                        bbox=list(one.box),
                        category_id=one.class_id,
                        category_name=one.name,
                        segmentation=polygons,
                        score=one.score,
                        shift_amount=[tile.box[1], tile.box[0]],
                        full_shape=list(size),
                    )
                    objects.append(made.get_shifted_object_prediction())
        begin = time.process_time()
        joined = rule(objects) if objects else []
        join.seconds = time.process_time() - begin  # type: ignore[attr-defined]
        rles = [rle.encode(np.asarray(one.mask.bool_mask)) for one in joined]
        boxes = np.array([one.bbox.to_xyxy() for one in joined], np.float32).reshape(-1, 4)
        scores = np.array([one.score.value for one in joined], np.float32)
        order = np.argsort(-scores, kind="stable")
        return InstanceResult(
            boxes[order],
            scores[order],
            np.array([one.category.id for one in joined], np.int64)[order],
            [rles[place] for place in order],
            size,
            labels,
        )

    return join


def peers(labels: Any) -> dict[str, Join]:
    """Return sahi's rules, where it is installed."""
    try:
        name = f"sahi {version('sahi')}"
    except PackageNotFoundError:
        print("without sahi: it is not installed")
        return {}
    rules = {
        f"{name}, GREEDYNMM of IOS 0.5 (its default)": ("GreedyNMMPostprocess", "IOS", 0.5),
        f"{name}, NMS of IOU 0.5": ("NMSPostprocess", "IOU", 0.5),
    }
    return {
        f"{title}{' and the whole' if whole else ''}": sahis(labels, *rule, whole=whole)
        for title, rule in rules.items()
        for whole in (True, False)
    }


def measure_quality(
    technique: str, dataset: StreetDataset, tilings: Sequence[Tiling], threshold: float, with_peers: bool
) -> None:
    """Print the figures of one technique."""
    with open_bundle(f"street-{technique}", threads=1, score_threshold=threshold) as segmenter:
        labels = segmenter.labels
        rows: dict[str, Recorded] = {"shrunken": Recorded(labels, technique)}
        for sample in dataset.samples:
            image = dataset.read_image(sample)
            begin = time.process_time()
            rows["shrunken"].results.append(bare(segmenter(image)))
            rows["shrunken"].seconds.append(time.process_time() - begin)
            for tiling in tilings:
                tiles = [Tile((0, 0, *sample.size), (0, 0, 0, 0)), *tiling.cut(sample.size)]
                begin = time.process_time()
                seen = [(tile, bare(segmenter(image[tile.rows, tile.columns]))) for tile in tiles]
                network = time.process_time() - begin
                joins = {
                    "segrt and the whole": ours(technique, labels, whole=True),
                    "segrt": ours(technique, labels, whole=False),
                } | (peers(labels) if technique == "instance" and with_peers else {})
                for name, join in joins.items():
                    row = rows.setdefault(
                        f"{len(tiles) - 1} tiles of {tiling.size}: {name}", Recorded(labels, technique)
                    )
                    begin = time.process_time()
                    row.results.append(join(seen, sample.size))
                    row.seconds.append(getattr(join, "seconds", time.process_time() - begin))
                print(f"{sample.image_id}: {len(tiles)} tiles {network:.2f} s", end="\r")
    print_figures(technique, dataset, rows)


def measure_semantic(dataset: StreetDataset, tilings: Sequence[Tiling]) -> None:
    """Print the figures of street-semantic, whose tiles are blended from scores: what one picture takes is told."""
    rows: dict[str, Recorded] = {}
    tiled = {f"tiles of {tiling.size}{which}": replace(tiling, whole=not which) for tiling in tilings
             for which in ("", " alone")}  # fmt: skip
    for name, tiling in {"shrunken": None, **tiled}.items():
        with open_bundle("street-semantic", threads=1, tile=tiling) as segmenter:
            row = rows[name] = Recorded(segmenter.labels, "semantic")
            for sample in dataset.samples:
                image = dataset.read_image(sample)
                begin = time.process_time()
                row.results.append(bare(segmenter(image)))
                row.seconds.append(time.process_time() - begin)
    print_figures("semantic", dataset, rows)


def print_figures(technique: str, dataset: StreetDataset, rows: "dict[str, Recorded]") -> None:
    """Print the metrics and the processor time of each row."""
    for name, row in rows.items():
        figures = evaluate(row, dataset, name=name).metrics
        told = ", ".join(f"{figure} {100 * (figures[figure] or 0):.1f}" for figure in MAIN[technique])
        print(f"{technique}: {name}: {told}; {1e3 * float(np.median(row.seconds)):.0f} ms of CPU")


def bare(result: Any) -> Any:
    """Return a result without its picture, which would be kept with it."""
    object.__setattr__(result, "image", None)
    return result


def write_large(path: Path, size: tuple[int, int]) -> None:
    """Write a TIFF of tiles that shows one street again and again."""
    street = np.ascontiguousarray(StreetWorld(910_001, wide=4).render(3.0, (2160, 3840)).image[..., ::-1])
    side = 512

    def parts() -> Iterator[np.ndarray]:
        for top in range(0, size[0], side):
            for left in range(0, size[1], side):
                rows, columns = np.arange(top, top + side) % 2160, np.arange(left, left + side) % 3840
                yield street[rows][:, columns]

    tifffile = import_module("tifffile")
    tifffile.imwrite(path, parts(), shape=(*size, 3), dtype=np.uint8, tile=(side, side), photometric="rgb")


def measure_memory(size: tuple[int, int], tiling: Tiling, techniques: Sequence[str]) -> None:
    """Print the peak of a process that segments a picture of `size`, technique by technique."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.tif"
        write_large(path, size)
        print(f"{size[1]}x{size[0]}, {size[0] * size[1] * 3 / 1e9:.2f} GB as BGR, {len(tiling.cut(size))} tiles")
        for technique in techniques:
            told = subprocess.run(
                [sys.executable, __file__, "one", str(path), technique, "x".join(map(str, tiling.size))],
                check=True,
                capture_output=True,
                text=True,
            )
            print(told.stdout.strip())


def measure_one(path: str, technique: str, tile: str) -> None:
    """Segment one file in this process and print its peak."""
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # noqa: E731
    with open_bundle(f"street-{technique}", threads=1, tile=tile) as segmenter:
        segmenter(np.zeros((2160, 3840, 3), np.uint8))
        before, begin = peak(), time.process_time()
        result = segmenter(path)
        told = f"{technique}: peak {peak():.0f} MB, {before:.0f} MB before, {time.process_time() - begin:.0f} s of CPU"
        print(f"{told}; {result.found()}")


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    quality = commands.add_parser("quality")
    quality.add_argument("--seeds", default="910000-910015")
    quality.add_argument("--size", default="2160x3840")
    quality.add_argument("--wide", type=int, default=4)
    quality.add_argument("--tile", action="append")
    quality.add_argument("--technique", action="append", choices=TECHNIQUES)
    quality.add_argument("--threshold", type=float, default=0.5)
    quality.add_argument("--no-peers", action="store_true")
    memory = commands.add_parser("memory")
    memory.add_argument("--size", default="20000x30000")
    memory.add_argument("--tile", default="1024x1024")
    memory.add_argument("--technique", action="append", choices=TECHNIQUES)
    one = commands.add_parser("one")
    one.add_argument("words", nargs=3)
    given = parser.parse_args()
    if given.command == "one":
        measure_one(*given.words)
        return
    height, width = (int(side) for side in given.size.split("x"))
    if given.command == "memory":
        measure_memory((height, width), Tiling.of(given.tile), given.technique or TECHNIQUES)
        return
    first, last = (int(seed) for seed in given.seeds.split("-"))
    dataset = StreetDataset(first, last - first + 1, (height, width), given.wide)
    for technique in given.technique or TECHNIQUES:
        tilings = [Tiling.of(text) for text in given.tile or ["720x1280"]]
        if technique == "semantic":
            measure_semantic(dataset, tilings)
        else:
            measure_quality(technique, dataset, tilings, given.threshold, not given.no_peers)


if __name__ == "__main__":
    main()
