"""Does `segrt profile` tell the truth? Checks what its documentation promises, on this machine.

    python benchmarks/profile_honesty.py [--pairs 20] [--frames 60]

- the inference stage against a bare `InferenceSession.run` loop in the same process, frame by frame in turn
- the stages' sum against the total
- how often the intervals of two runs of the same thing overlap
- what the profiling itself costs
"""

import argparse
import time
from itertools import count
from statistics import median

import numpy as np
import onnxruntime

from segrt.runtime import open_bundle
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.profiling.interleaved import measure
from segrt.runtime.profiling.sample_pictures import Decoded, Pictures
from segrt.runtime.profiling.sampling import sample
from segrt.runtime.profiling.statistics import median_interval

BUNDLES = ("street-semantic", "street-instance", "street-panoptic")


def against_bare_session(bundle: str, image: np.ndarray, frames: int) -> float:
    """Return the profiled inference over that of a bare session with the same options, measured in turn."""
    with open_bundle(bundle, threads=1, device="cpu") as segmenter:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = segmenter.bundle.network(segmenter.variant)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs, _ = network_inputs(segmenter.manifest.inputs, image)
        bare, ours = [], []
        for number in range(frames + 10):
            for which in (0, 1) if number % 2 else (1, 0):
                if which:
                    begin = time.perf_counter()
                    session.run(None, inputs)
                    bare.append((time.perf_counter() - begin) * 1e3)
                else:
                    ours.append(sample(segmenter, image)["inference"])
        return median(ours[10:]) / median(bare[10:])


def overlapping_pairs(image: np.ndarray, pairs: int, frames: int) -> int:
    """Return of how many pairs of runs of the same candidate the intervals of the median total overlap."""
    overlapping = 0
    with open_bundle("street-panoptic", threads=1, device="cpu") as segmenter:
        for _ in range(pairs):
            totals = [
                measure([(segmenter, None)], (Decoded(image, None) for _ in count()), frames)[0].stages["total"]
                for _ in range(2)
            ]
            first, second = (median_interval(values) for values in totals)
            overlapping += first.overlaps(second)
    return overlapping


def overhead(image: np.ndarray, frames: int) -> float:
    """Return the profiled frame's CPU time over that of the plain call, in turn, minus one."""
    with open_bundle("street-panoptic", threads=1, device="cpu") as segmenter:
        plain, profiled = [], []
        for number in range(frames + 10):
            for which in (0, 1) if number % 2 else (1, 0):
                begin = time.process_time()
                sample(segmenter, image) if which else segmenter(image)
                (profiled if which else plain).append(time.process_time() - begin)
        return median(profiled[10:]) / median(plain[10:]) - 1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--frames", type=int, default=60)
    chosen = parser.parse_args()
    image = next(iter(Pictures("street://?seed=1&width=1280&height=720"))).image
    for bundle in BUNDLES:
        trials = [against_bare_session(bundle, image, chosen.frames) for _ in range(3)]
        listed = ", ".join(f"{trial:.3f}" for trial in trials)
        print(f"{bundle}: inference / bare session {median(trials):.3f} (trials {listed})", flush=True)
    for bundle in BUNDLES:
        with open_bundle(bundle, threads=1, device="cpu") as segmenter:
            own = measure([(segmenter, None)], (Decoded(image, None) for _ in count()), chosen.frames)[0].figures()
        parts = sum(figures.mean_ms for name, figures in own.items() if name != "total")
        print(f"{bundle}: sum of stages / total {parts / own['total'].mean_ms:.4f}", flush=True)
    print(f"profiling costs {overhead(image, 3 * chosen.frames):+.2%} of a frame's CPU time", flush=True)
    overlapping = overlapping_pairs(image, chosen.pairs, chosen.frames)
    print(f"intervals of two runs of the same thing overlap in {overlapping} of {chosen.pairs} pairs")


if __name__ == "__main__":
    main()
