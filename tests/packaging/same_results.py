"""Compares the results of two machines: `pictures DIR`, then on each `results DIR FILE.npz`, then `compare A B`.

Exit code 1 unless both found the same segments, object for object, and 99.99 % of the pixels agree.
"""

import platform
import sys
from pathlib import Path

import numpy as np

NAMES = ("street-semantic", "street-instance", "street-panoptic")
SEEDS = range(810_000, 810_010)
SIZE = (360, 640)
LEAST = 0.9999


def write_pictures(folder: Path) -> None:
    from segrt.runtime.files.images import write_image
    from segrt.runtime.streetworld import StreetWorld
    from segrt.runtime.streetworld.moments import drawn_time

    folder.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        write_image(folder / f"{seed}.png", StreetWorld(seed).render(drawn_time(seed), SIZE).image)


def write_results(folder: Path, out: Path) -> None:
    from segrt.runtime import open_bundle
    from segrt.runtime.files.images import read_image
    from segrt.runtime.results import InstanceResult, PanopticResult

    arrays = {}
    for name in NAMES:
        with open_bundle(name, threads=1) as segmenter:
            for path in sorted(folder.glob("*.png")):
                result = segmenter(read_image(path))
                key = f"{name}/{path.stem}"
                if isinstance(result, InstanceResult):
                    arrays[f"{key}/objects"] = np.asarray(result.class_ids)
                    arrays[f"{key}/pixels"] = result.masks
                elif isinstance(result, PanopticResult):
                    found = [(segment.id, segment.class_id) for segment in result.segments]
                    arrays[f"{key}/objects"] = np.array(found, np.int64).reshape(-1, 2)
                    arrays[f"{key}/pixels"] = result.segment_ids
                else:
                    arrays[f"{key}/objects"] = np.unique(result.class_map)
                    arrays[f"{key}/pixels"] = result.class_map
    np.savez_compressed(out, **arrays)
    print(f"{platform.machine()}: {len(arrays) // 2} results of {len(NAMES)} bundles")


def compare(left: Path, right: Path) -> int:
    one, other = np.load(left), np.load(right)
    failed = sorted(one.files) != sorted(other.files)
    for name in NAMES:
        keys = sorted(key.removesuffix("/objects") for key in one.files if key.startswith(name) and "/objects" in key)
        objects = sum(len(one[f"{key}/objects"]) for key in keys)
        same_objects = all(np.array_equal(one[f"{key}/objects"], other[f"{key}/objects"]) for key in keys)
        equal = total = 0
        for key in keys:
            a, b = one[f"{key}/pixels"], other[f"{key}/pixels"]
            total += a.size
            equal += int((a == b).sum()) if a.shape == b.shape else 0
        share = equal / max(total, 1)
        failed |= not same_objects or share < LEAST or not objects
        said = "the same" if same_objects else "DIFFERENT"
        print(f"{name}: {len(keys)} pictures, {objects} segments, {said}; {share:.4%} of {total:,} pixels agree")
    return int(failed)


def main() -> int:
    match sys.argv[1:]:
        case ["pictures", folder]:
            write_pictures(Path(folder))
        case ["results", folder, out]:
            write_results(Path(folder), Path(out))
        case ["compare", left, right]:
            return compare(Path(left), Path(right))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
