"""Measures the post-processing against its named peers, interleaved in one process, and writes benchmarks/RESULTS.md.

Each row runs ours and the peer in turn, so that a busy machine slows both; times are medians of process CPU time, since
wall time on a shared machine says little. Peers that are not installed are left out and named.

    python benchmarks/postproc.py [--repeats N] [--only NAME] [--out FILE]
"""

import argparse
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segrt.runtime import _postproc, postproc

FULL_HD = (1080, 1920)


class Case(NamedTuple):
    """One comparison: ours as a function of the number of threads, and the peer."""

    name: str
    peer_name: str
    ours: Callable[[int], Any]
    peer: Callable[[], Any] | None
    goal: float | None


def smooth(rng: np.random.Generator, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Grids that vary slowly, as logits do."""
    coarse = rng.normal(size=(shape[0], shape[1] // 8 + 2, shape[2] // 8 + 2)).astype(np.float32) * 4
    return postproc_resize(coarse, shape[1:])


def postproc_resize(stack: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Bilinear, by OpenCV: only to make inputs."""
    import cv2

    return np.stack([cv2.resize(plane, size[::-1]) for plane in stack])


def panoptic_heads(noise: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """100 queries over 133 classes, 12 of them kept, masks of 200 x 334."""
    rng = np.random.default_rng(1)
    ys, xs = np.mgrid[:200, :334]
    masks = np.full((100, 200, 334), -6, np.float32)
    for k in range(12):
        centre_y, centre_x = (k // 4 + 0.5) * 67, (k % 4 + 0.5) * 84
        masks[k] = np.clip((45 - np.hypot(ys - centre_y, xs - centre_x)) * 0.5, -8, 8)
    masks += rng.normal(size=masks.shape).astype(np.float32) * noise
    classes = np.zeros((100, 134), np.float32)
    classes[:, -1] = 9
    classes[np.arange(12), np.arange(12)] = 14
    return classes, masks


def torch_or_none() -> Any:
    """Import torch on one thread; None where it is missing."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch


def merge_cases(torch: Any) -> Iterator[Case]:
    """The panoptic merge against transformers' DETR."""
    out = np.empty(FULL_HD, np.int32)
    for noise, goal in ((0.2, 80.0), (4.0, 35.0)):
        classes, masks = panoptic_heads(noise)
        peer = None
        if torch is not None:
            from types import SimpleNamespace

            try:
                from transformers import DetrImageProcessor
            except ImportError:
                pass
            else:
                outputs = SimpleNamespace(
                    logits=torch.from_numpy(classes)[None], pred_masks=torch.from_numpy(masks)[None]
                )
                processor = DetrImageProcessor()

                def peer(outputs: Any = outputs, processor: Any = processor) -> Any:
                    return processor.post_process_panoptic_segmentation(
                        outputs, threshold=0.5, target_sizes=[FULL_HD], label_ids_to_fuse=set()
                    )

        yield Case(
            f"merge_queries, 12 of 100 kept, noise {noise:g}",
            "transformers DETR",
            lambda threads, c=classes, m=masks: postproc.merge_queries(c, m, FULL_HD, threads=threads, out=out),
            peer,
            goal,
        )


def argmax_cases(torch: Any) -> Iterator[Case]:
    """The class map against torch and against the best OpenCV loop."""
    import cv2

    out = np.empty(FULL_HD, np.uint8)
    rng = np.random.default_rng(2)
    for shape in ((21, 65, 65), (150, 128, 128)):
        logits = smooth(rng, shape)

        def running_maximum(logits: NDArray[Any] = logits) -> NDArray[Any]:
            best = cv2.resize(logits[0], FULL_HD[::-1], interpolation=cv2.INTER_LINEAR)
            label = np.zeros(FULL_HD, np.uint8)
            for k in range(1, len(logits)):
                plane = cv2.resize(logits[k], FULL_HD[::-1], interpolation=cv2.INTER_LINEAR)
                mask = cv2.compare(plane, best, cv2.CMP_GT)
                label[mask != 0] = k
                cv2.max(plane, best, best)
            return label

        def ours(threads: int, logits: NDArray[Any] = logits) -> Any:
            return postproc.argmax_map(logits, FULL_HD, threads=threads, out=out)

        name = "argmax_map " + "x".join(map(str, shape))
        if torch is not None:
            tensor = torch.from_numpy(logits)[None]

            def peer(tensor: Any = tensor) -> Any:
                return torch.nn.functional.interpolate(tensor, size=FULL_HD, mode="bilinear").argmax(1)

            yield Case(name, "torch", ours, peer, 150)
        yield Case(name, "cv2, running maximum", ours, running_maximum, 12)


def paste_cases(torch: Any) -> Iterator[Case]:
    """Masks of boxes, painted and as codes, against torchvision (and pycocotools)."""
    rng = np.random.default_rng(3)
    masks = np.clip(smooth(rng, (100, 28, 28)) / 4 + 0.5, 0, 1).astype(np.float32)
    corner = rng.uniform(0, 0.7, (100, 2)) * FULL_HD[::-1]
    boxes = np.concatenate([corner, corner + rng.uniform(50, 500, (100, 2))], 1).astype(np.float32)
    out = np.zeros((100, *FULL_HD), np.bool_)
    peer = peer_rle = None
    if torch is not None:
        try:
            from torchvision.models.detection.roi_heads import paste_masks_in_image
        except ImportError:
            pass
        else:
            tensors = torch.from_numpy(masks)[:, None], torch.from_numpy(boxes)

            def peer() -> Any:
                return paste_masks_in_image(*tensors, FULL_HD) > 0.5

            try:
                from pycocotools import mask as coco
            except ImportError:
                pass
            else:

                def peer_rle() -> Any:
                    return [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in peer()[:, 0].numpy()]

    yield Case(
        "paste_masks, 100 of 28x28",
        "torchvision",
        lambda threads: postproc.paste_masks(masks, boxes, FULL_HD, threads=threads, out=out),
        peer,
        80,
    )
    yield Case(
        "paste_masks_rle, 100 of 28x28",
        "torchvision + pycocotools",
        lambda threads: postproc.paste_masks_rle(masks, boxes, FULL_HD, threads=threads),
        peer_rle,
        60,
    )


def prototype_cases(torch: Any) -> Iterator[Case]:
    """YOLO's masks against ultralytics' arithmetic in torch and pycocotools' encoding."""
    rng = np.random.default_rng(4)
    prototypes = smooth(rng, (32, 160, 160))
    coefficients = rng.normal(size=(100, 32)).astype(np.float32)
    corner = rng.uniform(0, 0.7, (100, 2)) * FULL_HD[::-1]
    boxes = np.concatenate([corner, corner + rng.uniform(50, 500, (100, 2))], 1).astype(np.float32)
    peer = None
    if torch is not None:
        try:
            from pycocotools import mask as coco
        except ImportError:
            pass
        else:
            p, c, b = (torch.from_numpy(a) for a in (prototypes, coefficients, boxes))

            def peer() -> Any:
                masks = (c @ p.reshape(32, -1)).view(-1, 160, 160)
                x0, y0, x1, y1 = torch.chunk((b * torch.tensor([160 / 1920, 160 / 1080] * 2))[:, :, None], 4, 1)
                r, s = torch.arange(160)[None, None, :], torch.arange(160)[None, :, None]
                masks = masks * ((r >= x0) * (r < x1) * (s >= y0) * (s < y1))
                large = torch.nn.functional.interpolate(masks[None], size=FULL_HD, mode="bilinear")[0] > 0
                return [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in large.numpy()]

    yield Case(
        "prototype_masks_rle, 100 of 160x160x32",
        "ultralytics' process_mask in torch + pycocotools",
        lambda threads: postproc.prototype_masks_rle(prototypes, coefficients, boxes, FULL_HD, threads=threads),
        peer,
        60,
    )


def preprocess_cases(_torch: Any) -> Iterator[Case]:
    """Float preprocessing against OpenCV."""
    import cv2

    image = np.random.default_rng(5).integers(0, 256, (*FULL_HD, 3), dtype=np.uint8)
    size = (800, 1088)
    out = np.empty((1, 3, *size), np.float32)
    mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)

    def ours(threads: int) -> Any:
        return postproc.resize_normalize(
            image, size, mean=mean, std=std, scale=1 / 255, swap_rb=True, out=out, threads=threads
        )

    def idiom() -> Any:
        small = cv2.resize(image, size[::-1])[:, :, ::-1].astype(np.float32) / 255
        return np.ascontiguousarray(((small - mean) / std).transpose(2, 0, 1))

    def blob() -> Any:
        return cv2.dnn.blobFromImage(image, 1 / 255, size[::-1], (123.7, 116.3, 103.5), swapRB=True)

    yield Case("resize_normalize to 800x1088", "cv2 + numpy", ours, idiom, 3)
    yield Case("resize_normalize to 800x1088", "cv2.dnn.blobFromImage", ours, blob, 1.2)


def fusion_cases(torch: Any) -> Iterator[Case]:
    """Semantic + instance merge against detectron2's arithmetic in torch."""
    rng = np.random.default_rng(6)
    ys, xs = np.mgrid[: FULL_HD[0], : FULL_HD[1]]
    masks = np.stack([np.hypot(ys - rng.uniform(0, 1080), xs - rng.uniform(0, 1920)) < 150 for _ in range(30)])
    semantic = (xs // 200 + ys // 300).astype(np.int64)
    scores = rng.uniform(0.5, 1, 30).astype(np.float32)
    class_ids = np.ones(30, np.int64)
    out = np.empty(FULL_HD, np.int32)
    peer = None
    if torch is not None:
        m, s, v = torch.from_numpy(masks), torch.from_numpy(semantic), torch.from_numpy(scores)

        def peer() -> Any:
            panoptic = torch.zeros_like(s, dtype=torch.int32)
            current = 0
            for i in torch.argsort(-v):
                mask = m[i]
                area = mask.sum().item()
                taken = (mask & (panoptic > 0)).sum().item()
                if area == 0 or taken / area > 0.5:
                    continue
                current += 1
                panoptic[mask & (panoptic == 0)] = current
            for label in torch.unique(s).tolist():
                mask = (s == label) & (panoptic == 0)
                if label != 0 and mask.sum().item() >= 4096:
                    current += 1
                    panoptic[mask] = current
            return panoptic

    yield Case(
        "merge_semantic_instances, 30 instances",
        "detectron2's arithmetic in torch",
        lambda threads: postproc.merge_semantic_instances(semantic, masks, scores, class_ids, threads=threads, out=out),
        peer,
        40,
    )


def measure(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median CPU and wall milliseconds of each, run in turn; each is warmed up once."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in functions}
    for round_ in range(repeats + 1):
        for name, function in functions.items():
            cpu, wall = time.process_time(), time.perf_counter()
            function()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if round_ > 0:
                times[name].append((cpu * 1e3, wall * 1e3))
    return {name: (median(c for c, _ in t), median(w for _, w in t)) for name, t in times.items()}


def run(case: Case, repeats: int) -> str:
    """One row of the table."""
    names = ["scalar", "baseline", "avx2", "avx512"]
    best = _postproc.kernels_name()
    functions: dict[str, Callable[[], Any]] = {"ours": lambda: case.ours(1), "all": lambda: case.ours(0)}
    if case.peer is not None:
        functions["peer"] = case.peer
    times = measure(functions, repeats)
    avx2 = "-"
    if best == "avx512" and "avx2" in names:
        _postproc.choose_kernels("avx2")
        avx2 = f"{measure({'ours': lambda: case.ours(1)}, repeats)['ours'][0]:.2f}"
        _postproc.choose_kernels("auto")
    ours = times["ours"][0]
    peer = f"{times['peer'][0]:.1f}" if "peer" in times else "not installed"
    ratio = f"{times['peer'][0] / ours:.1f}x" if "peer" in times else "-"
    goal = f"{case.goal:g}x" if case.goal else "-"
    scaling = f"{times['ours'][1] / times['all'][1]:.2f}x"
    return f"| {case.name} | {case.peer_name} | {peer} | {ours:.2f} | {avx2} | {ratio} | {goal} | {scaling} |"


def copy_bandwidth() -> float:
    """Gigabytes a second that a plain copy moves, reading and writing counted, on one thread."""
    source = np.ones(1 << 26, np.uint8)
    target = np.empty_like(source)
    seconds = measure({"copy": lambda: np.copyto(target, source)}, 9)["copy"][1] / 1e3
    return 2 * source.nbytes / seconds / 1e9


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch = torch_or_none()
    lines = [
        "# Post-processing against its peers",
        "",
        f"{platform.machine()}, kernels: {_postproc.kernels_name()}; a plain copy moves {copy_bandwidth():.1f} GB/s.",
        "Milliseconds of process CPU on one thread, medians; the last column is wall time of one thread over all.",
        "",
        "| function (1080x1920) | peer | peer ms | ours ms | ours, AVX2 | ratio | goal | threads |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    groups = (merge_cases, argmax_cases, paste_cases, prototype_cases, preprocess_cases, fusion_cases)
    for group in groups:
        for case in group(torch):
            if options.only in case.name:
                lines.append(run(case, options.repeats))
                print(lines[-1], flush=True)
    options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
