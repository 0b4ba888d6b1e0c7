"""Class maps and network inputs, and their peers."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from postproc_case import FULL_HD, PEER_SIZES, Case, Peer, Size, smooth
from postproc_panoptic import panoptic_heads

from segrt.runtime import postproc


def argmax_map(size: Size, torch: Any) -> Iterator[Case]:
    """Against torch, and against the best loop over OpenCV's resize: a running maximum."""
    import cv2

    out = np.empty(size, np.uint8)
    rng = np.random.default_rng(2)
    for shape in ((21, 65, 65), (150, 128, 128)):
        logits = smooth(rng, shape)

        def ours(threads: int, logits: NDArray[Any] = logits) -> Any:
            return postproc.argmax_map(logits, size, threads=threads, out=out)

        def running_maximum(logits: NDArray[Any] = logits) -> NDArray[Any]:
            best = cv2.resize(logits[0], size[::-1], interpolation=cv2.INTER_LINEAR)
            label = np.zeros(size, np.uint8)
            for k in range(1, len(logits)):
                plane = cv2.resize(logits[k], size[::-1], interpolation=cv2.INTER_LINEAR)
                mask = cv2.compare(plane, best, cv2.CMP_GT)
                label[mask != 0] = k
                cv2.max(plane, best, best)
            return label

        peers = [Peer("cv2, running maximum", running_maximum, 12)] if size in PEER_SIZES else []
        if torch is not None and size in PEER_SIZES:
            tensor = torch.from_numpy(logits)[None]

            def interpolate(tensor: Any = tensor) -> Any:
                return torch.nn.functional.interpolate(tensor, size=size, mode="bilinear").argmax(1)

            peers.insert(0, Peer("torch interpolate + argmax", interpolate, 150))
        detail = "x".join(map(str, shape))
        yield Case("argmax_map", detail, size, ours, logits.nbytes + out.nbytes, peers)


def binary_map(size: Size, torch: Any) -> Iterator[Case]:
    """One object's logits cut at 0, against torch and OpenCV."""
    import cv2

    out = np.empty(size, np.uint8)
    logits = smooth(np.random.default_rng(3), (1, 320, 320))

    def ours(threads: int) -> Any:
        return postproc.binary_map(logits, size, threads=threads, out=out)

    def resize() -> Any:
        return cv2.compare(cv2.resize(logits[0], size[::-1], interpolation=cv2.INTER_LINEAR), 0, cv2.CMP_GT)

    peers = [Peer("cv2 resize + compare", resize)] if size in PEER_SIZES else []
    if torch is not None and size in PEER_SIZES:
        tensor = torch.from_numpy(logits)[None]
        peers.insert(
            0,
            Peer(
                "torch interpolate > 0", lambda: torch.nn.functional.interpolate(tensor, size=size, mode="bilinear") > 0
            ),
        )
    yield Case("binary_map", "320x320", size, ours, logits.nbytes + out.nbytes, peers)


def query_semantic(size: Size, torch: Any) -> Iterator[Case]:
    """Against transformers' MaskFormer."""
    out = np.empty(size, np.uint8)
    classes, masks = panoptic_heads(0.2)
    peers = []
    if torch is not None and size in PEER_SIZES:
        from transformers import MaskFormerImageProcessor

        heads = SimpleNamespace(
            class_queries_logits=torch.from_numpy(classes)[None], masks_queries_logits=torch.from_numpy(masks)[None]
        )
        processor = MaskFormerImageProcessor()
        peers.append(
            Peer(
                "transformers MaskFormer",
                lambda: processor.post_process_semantic_segmentation(heads, target_sizes=[size]),
            )
        )

    def ours(threads: int) -> Any:
        return postproc.query_semantic(classes, masks, size, threads=threads, out=out)

    yield Case("query_semantic", "100 queries, 133 classes", size, ours, masks.nbytes + out.nbytes, peers)


def resize_normalize(size: Size, _torch: Any) -> Iterator[Case]:
    """Float preprocessing against OpenCV: from a picture of this size to the network's 800x1088."""
    import cv2

    image = np.random.default_rng(5).integers(0, 256, (*size, 3), dtype=np.uint8)
    target = (800, 1088)
    out = np.empty((1, 3, *target), np.float32)
    mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)

    def ours(threads: int) -> Any:
        return postproc.resize_normalize(
            image, target, mean=mean, std=std, scale=1 / 255, swap_rb=True, out=out, threads=threads
        )

    def idiom() -> Any:
        small = cv2.resize(image, target[::-1])[:, :, ::-1].astype(np.float32) / 255
        return np.ascontiguousarray(((small - mean) / std).transpose(2, 0, 1))

    def blob() -> Any:
        return cv2.dnn.blobFromImage(image, 1 / 255, target[::-1], (123.7, 116.3, 103.5), swapRB=True)

    peers = [Peer("cv2.dnn.blobFromImage", blob, 1.2), Peer("cv2 + numpy", idiom, 3)] if size in PEER_SIZES else []
    detail = "to 800x1088 float" + (" (blobFromImage does not divide by std)" if size == FULL_HD else "")
    yield Case("resize_normalize", detail, size, ours, min(image.nbytes, 3 * out.size) + out.nbytes, peers)


def resize_antialias(size: Size, torch: Any) -> Iterator[Case]:
    """Antialiased resizing against Pillow and torch: from a picture of this size to the network's 800x1088."""
    from PIL import Image

    image = np.random.default_rng(5).integers(0, 256, (*size, 3), dtype=np.uint8)
    target = (800, 1088)
    out = np.empty((*target, 3), np.uint8)
    picture = Image.fromarray(image)
    peers = [Peer("Pillow", lambda: picture.resize(target[::-1], Image.Resampling.BILINEAR))]
    if torch is not None:
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
        resize = torch.nn.functional.interpolate
        peers.append(Peer("torch", lambda: resize(tensor, target, mode="bilinear", antialias=True)))

    def ours(threads: int) -> Any:
        return postproc.resize_antialias(image, target, out=out, threads=threads)

    traffic = image.nbytes + out.nbytes
    yield Case("resize_antialias", "to 800x1088 bytes", size, ours, traffic, peers if size in PEER_SIZES else [])
