"""Panoptic post-processing and its peers: merged queries, instances over stuff, pixels grouped around centres."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from postproc_case import FULL_HD, PEER_SIZES, Case, Peer, Size

from segrt.runtime import postproc


def panoptic_heads(noise: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """100 queries over 133 classes, 12 of them kept, mask logits of 200x334 with noise of this deviation."""
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


def merge_queries(size: Size, torch: Any) -> Iterator[Case]:
    """Against transformers' DETR."""
    out = np.empty(size, np.int32)
    for noise, goal in ((0.2, 80.0), (4.0, 35.0)):
        classes, masks = panoptic_heads(noise)

        def ours(threads: int, classes: NDArray[Any] = classes, masks: NDArray[Any] = masks) -> Any:
            return postproc.merge_queries(classes, masks, size, threads=threads, out=out)

        peers = []
        if torch is not None and size in PEER_SIZES:
            from transformers import DetrImageProcessor

            heads = SimpleNamespace(logits=torch.from_numpy(classes)[None], pred_masks=torch.from_numpy(masks)[None])
            processor = DetrImageProcessor()

            def peer(heads: Any = heads, processor: Any = processor) -> Any:
                return processor.post_process_panoptic_segmentation(
                    heads, threshold=0.5, target_sizes=[size], label_ids_to_fuse=set()
                )

            peers.append(Peer("transformers DETR", peer, goal))
        # Of the masks only those of the 12 kept queries have to be read.
        yield Case(
            "merge_queries", f"12 of 100 kept, noise {noise:g}", size, ours, masks[:12].nbytes + out.nbytes, peers
        )


def merge_semantic_instances(size: Size, torch: Any) -> Iterator[Case]:
    """Against detectron2's `combine_semantic_and_instance_outputs` in torch."""
    rng = np.random.default_rng(6)
    height, width = size
    ys, xs = np.mgrid[:height, :width]
    masks = np.stack(
        [np.hypot(ys - rng.uniform(0, height), xs - rng.uniform(0, width)) < 0.139 * height for _ in range(30)]
    )
    semantic = (xs * 10 // width + ys * 4 // height).astype(np.int64)
    scores = rng.uniform(0.5, 1, 30).astype(np.float32)
    class_ids = np.ones(30, np.int64)
    out = np.empty(size, np.int32)
    peers = []
    if torch is not None and size in PEER_SIZES:
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

        peers.append(Peer("detectron2's arithmetic in torch", peer, 40))

    def ours(threads: int) -> Any:
        return postproc.merge_semantic_instances(semantic, masks, scores, class_ids, threads=threads, out=out)

    traffic = masks.nbytes + semantic.nbytes + out.nbytes
    yield Case("merge_semantic_instances", "30 instances", size, ours, traffic, peers)


def deeplab_heads(size: Size) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Class map (19 classes, things from 11), centre heatmap and offsets of 40 round things before stripes of stuff."""
    rng = np.random.default_rng(7)
    height, width = size
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    semantic = (xs * 11 / width).astype(np.int64)
    heat, offsets = np.zeros(size, np.float32), np.zeros((2, *size), np.float32)
    for k in range(40):
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        distance = np.hypot(ys - y, xs - x)
        inside = distance < rng.uniform(0.03, 0.1) * height
        semantic[inside] = 11 + k % 8
        offsets[0][inside], offsets[1][inside] = y - ys[inside], x - xs[inside]
        heat = np.maximum(heat, np.exp(-((distance / 8) ** 2) / 2))
    offsets += rng.normal(size=offsets.shape).astype(np.float32)
    heat += rng.uniform(0, 0.05, size).astype(np.float32)
    return semantic, heat, offsets


def group_centers(size: Size, torch: Any) -> Iterator[Case]:
    """Against panoptic-deeplab's `get_panoptic_segmentation` in torch."""
    with_peer = size in PEER_SIZES
    if size == FULL_HD:
        size = (1025, 2049)  # as Panoptic-DeepLab sees Cityscapes
    semantic, heat, offsets = deeplab_heads(size)
    things = list(range(11, 19))
    out = np.empty(size, np.int32)
    peers = []
    if torch is not None and with_peer:
        s, h, o = torch.from_numpy(semantic), torch.from_numpy(heat)[None], torch.from_numpy(offsets)

        def centers() -> Any:
            heatmap = torch.nn.functional.threshold(h, 0.1, -1)
            pooled = torch.nn.functional.max_pool2d(heatmap[None], kernel_size=7, stride=1, padding=3)[0]
            heatmap[heatmap != pooled] = -1
            highest = torch.topk(heatmap.flatten(), 200)[0][-1]
            return torch.nonzero(heatmap[0] > highest.clamp_(min=0))

        def peer() -> Any:
            ys = torch.arange(size[0], dtype=torch.float32)[:, None].expand(size)
            xs = torch.arange(size[1], dtype=torch.float32)[None].expand(size)
            at = (torch.stack([ys, xs]) + o).reshape(2, -1).transpose(0, 1)[None]
            distance = torch.norm(centers()[:, None].float() - at, dim=-1)
            grouped = torch.argmin(distance, dim=0).reshape(size) + 1
            is_thing = torch.zeros_like(s)
            for label in things:
                is_thing[s == label] = 1
            instances = is_thing * grouped
            panoptic = torch.full_like(s, -1)
            for i in torch.unique(instances).tolist():
                mask = (instances == i) & (is_thing == 1)
                if i != 0 and len(torch.nonzero(mask)) > 0:
                    panoptic[mask] = torch.mode(s[mask])[0] * 1000 + i
            for label in torch.unique(s).tolist():
                mask = (s == label) & (instances == 0)
                if label not in things and len(torch.nonzero(mask)) >= 2048:
                    panoptic[mask] = label * 1000
            return panoptic

        peers.append(Peer("panoptic-deeplab's arithmetic in torch", peer, 100))

    def ours(threads: int) -> Any:
        return postproc.group_centers(semantic, heat, offsets, thing_classes=things, threads=threads, out=out)

    traffic = semantic.nbytes + heat.nbytes + offsets.nbytes + out.nbytes
    yield Case("group_centers", "40 centres, search included", size, ours, traffic, peers)
