"""Instance post-processing and its peers: pasted masks, codes, prototypes, suppression."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from postproc_case import FULL_HD, PEER_SIZES, Case, Peer, Size, random_boxes, smooth
from postproc_peers import prototype_peers, query_peers

from segrt.runtime import postproc


def encode(masks: NDArray[Any]) -> list[Any]:
    """What users do to get COCO's codes."""
    from pycocotools import mask as coco

    return [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]


def detectron2_paste(torch: Any, masks: Any, boxes: Any, size: Size) -> Callable[[], Any]:
    """detectron2's `paste_masks_in_image` as it runs on a CPU: mask by mask, within the mask's box."""
    height, width = size

    def paste_part(mask: Any, box: Any) -> Any:
        left, top = torch.clamp(box.min(dim=0).values.floor()[:2] - 1, min=0).to(dtype=torch.int32)
        right = torch.clamp(box[:, 2].max().ceil() + 1, max=width).to(dtype=torch.int32)
        bottom = torch.clamp(box[:, 3].max().ceil() + 1, max=height).to(dtype=torch.int32)
        x0, y0, x1, y1 = torch.split(box, 1, dim=1)
        y = (torch.arange(top, bottom, dtype=torch.float32) + 0.5 - y0) / (y1 - y0) * 2 - 1
        x = (torch.arange(left, right, dtype=torch.float32) + 0.5 - x0) / (x1 - x0) * 2 - 1
        shape = (len(mask), y.size(1), x.size(1))
        grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=3)
        part = torch.nn.functional.grid_sample(mask, grid, align_corners=False)
        return part[:, 0], (slice(top, bottom), slice(left, right))

    def paste() -> Any:
        pictures = torch.zeros(len(masks), height, width, dtype=torch.bool)
        for index in torch.chunk(torch.arange(len(masks)), len(masks)):
            part, where = paste_part(masks[index, None], boxes[index])
            pictures[(index, *where)] = (part >= 0.5).to(dtype=torch.bool)
        return pictures

    return paste


def paste_masks(size: Size, torch: Any) -> Iterator[Case]:
    """Masks of 28x28 painted into pictures, and as codes, against torchvision's and detectron2's rule."""
    rng = np.random.default_rng(3)
    masks = np.clip(smooth(rng, (100, 28, 28)) / 4 + 0.5, 0, 1).astype(np.float32)
    boxes = random_boxes(rng, 100, size)
    out = np.zeros((100, *size), np.bool_)
    torchvision_peers, detectron2_peers, rle_peers = [], [], []
    if torch is not None and size in PEER_SIZES:
        from torchvision.models.detection.roi_heads import paste_masks_in_image

        m, b = torch.from_numpy(masks), torch.from_numpy(boxes)
        detectron2 = detectron2_paste(torch, m, b, size)

        def torchvision() -> Any:
            return paste_masks_in_image(m[:, None], b, size) > 0.5

        torchvision_peers.append(Peer("torchvision", torchvision, 80))
        detectron2_peers.append(Peer("detectron2's arithmetic in torch", detectron2, 10))
        rle_peers.append(Peer("torchvision + pycocotools", lambda: encode(torchvision()[:, 0].numpy()), 60))
        rle_peers.append(Peer("detectron2's arithmetic + pycocotools", lambda: encode(detectron2().numpy())))
    for rule, peers in (("torchvision", torchvision_peers), ("detectron2", detectron2_peers)):

        def ours(threads: int, rule: Any = rule) -> Any:
            return postproc.paste_masks(masks, boxes, size, rule=rule, threads=threads, out=out)

        yield Case("paste_masks", f"100 of 28x28 into out, rule {rule}", size, ours, out.nbytes, peers)
    if size == FULL_HD:

        def into_new(threads: int) -> Any:
            return postproc.paste_masks(masks, boxes, size, threads=threads)

        yield Case("paste_masks", "100 of 28x28 into a new array", size, into_new, out.nbytes, torchvision_peers)

    def codes(threads: int) -> Any:
        return postproc.paste_masks_rle(masks, boxes, size, threads=threads)

    yield Case("paste_masks_rle", "100 of 28x28", size, codes, masks.nbytes, rle_peers)


def prototype_masks_rle(size: Size, torch: Any) -> Iterator[Case]:
    """YOLO's masks against ultralytics' `process_mask` in torch and pycocotools' encoding."""
    rng = np.random.default_rng(4)
    prototypes = smooth(rng, (32, 160, 160))
    coefficients = rng.normal(size=(100, 32)).astype(np.float32)
    boxes = random_boxes(rng, 100, size)
    peers = []
    if torch is not None and size in PEER_SIZES:
        p, c, b = (torch.from_numpy(a) for a in (prototypes, coefficients, boxes))

        def peer() -> Any:
            masks = (c @ p.reshape(32, -1)).view(-1, 160, 160)
            large = torch.nn.functional.interpolate(masks[None], size=size, mode="bilinear")[0] > 0
            x0, y0, x1, y1 = torch.chunk(b[:, :, None], 4, 1)
            r, s = torch.arange(size[1])[None, None, :], torch.arange(size[0])[None, :, None]
            large &= (r >= x0) * (r < x1)
            large &= (s >= y0) * (s < y1)
            return encode(large.numpy())

        peers.append(Peer("ultralytics' process_mask in torch + pycocotools", peer, 60))
        peers += prototype_peers(torch, p, c, b, size, encode)

    def ours(threads: int) -> Any:
        return postproc.prototype_masks_rle(prototypes, coefficients, boxes, size, threads=threads)

    traffic = prototypes.nbytes + coefficients.nbytes
    yield Case("prototype_masks_rle", "100 of 160x160x32", size, ours, traffic, peers)


def query_instances_rle(size: Size, torch: Any) -> Iterator[Case]:
    """The 100 best (query, class) pairs of 100 queries, against the same in torch and pycocotools' encoding."""
    rng = np.random.default_rng(8)
    classes = rng.normal(size=(100, 81)).astype(np.float32)
    for shape in ((128, 128), (270, 480)):
        yield _query_instances(size, torch, classes, smooth(rng, (100, *shape)))


def _query_instances(size: Size, torch: Any, classes: NDArray[Any], masks: NDArray[Any]) -> Case:
    peers = []
    if torch is not None and size in PEER_SIZES:
        c, m = torch.from_numpy(classes), torch.from_numpy(masks)

        def peer() -> Any:
            best = c.softmax(-1)[:, :-1].flatten().topk(100).indices // 80
            large = torch.nn.functional.interpolate(m[best][None], size=size, mode="bilinear")[0] > 0
            return encode(large.numpy())

        peers.append(Peer("torch + pycocotools", peer))
        peers += query_peers(torch, c, m, size, encode)
    if size in PEER_SIZES:
        peers.append(Peer("cv2 resize + threshold + findContours", _contours(masks, size)))

    def ours(threads: int) -> Any:
        return postproc.query_instances_rle(classes, masks, size, threads=threads)

    detail = f"100 of {masks.shape[1]}x{masks.shape[2]}"
    return Case("query_instances_rle", detail, size, ours, masks.nbytes, peers)


def _contours(masks: NDArray[Any], size: Size) -> Callable[[], Any]:
    """Polygons of the enlarged masks, as OpenCV's users make them."""
    import cv2

    def contours() -> Any:
        found = []
        for mask in masks:
            large = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR)
            _, binary = cv2.threshold(large, 0, 1, cv2.THRESH_BINARY)
            found.append(cv2.findContours(binary.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0])
        return found

    return contours


def matrix_nms(size: Size, torch: Any) -> Iterator[Case]:
    """200 masks at a quarter of the size, against SOLOv2's arithmetic in torch (mmdet's `mask_matrix_nms`)."""
    rng = np.random.default_rng(9)
    grid = (size[0] // 4, size[1] // 4)
    masks = smooth(rng, (200, *grid)) > 2
    scores = rng.uniform(size=200).astype(np.float32)
    class_ids = rng.integers(0, 10, 200)
    peers = []
    if torch is not None and size in PEER_SIZES:
        m, s, labels = (torch.from_numpy(a) for a in (masks, scores, class_ids))

        def peer() -> Any:
            order = torch.argsort(s, descending=True)
            flat, own = m[order].reshape(200, -1).float(), labels[order]
            both, area = flat @ flat.T, flat.sum(1).expand(200, 200)
            iou = (both / (area + area.T - both)).triu(diagonal=1) * (own[:, None] == own[None]).triu(diagonal=1)
            compensate = iou.max(0).values.expand(200, 200).T
            return s[order] * (torch.exp(-2 * iou**2) / torch.exp(-2 * compensate**2)).min(0).values

        peers.append(Peer("SOLOv2's arithmetic in torch", peer))

    def ours(threads: int) -> Any:
        return postproc.matrix_nms(masks, scores, class_ids, threads=threads)

    yield Case("matrix_nms", "200 masks at a quarter of the size", size, ours, masks.nbytes, peers)


def decode_yolo(size: Size, torch: Any) -> Iterator[Case]:
    """8400 anchors of 80 classes, a tenth above the threshold, against torchvision's class-wise suppression."""
    if size != FULL_HD:
        return
    rng = np.random.default_rng(10)
    predictions = np.concatenate(
        [rng.uniform(0, 640, (2, 8400)), rng.uniform(20, 200, (2, 8400)), rng.uniform(0, 0.2, (80, 8400))]
    ).astype(np.float32)
    predictions[4 + rng.integers(0, 80, 840), rng.choice(8400, 840, replace=False)] = rng.uniform(0.3, 1, 840)
    peers = []
    if torch is not None:
        from torchvision.ops import batched_nms

        p = torch.from_numpy(predictions)

        def peer() -> Any:
            scores, labels = p[4:].max(0)
            kept = scores > 0.25
            centre, half = p[:2, kept].T, p[2:4, kept].T / 2
            boxes, scores, labels = torch.cat([centre - half, centre + half], 1), scores[kept], labels[kept]
            best = batched_nms(boxes, scores, labels, 0.45)[:300]
            return boxes[best], scores[best], labels[best]

        peers.append(Peer("torch + torchvision batched_nms", peer))
    yield Case(
        "decode_yolo",
        "8400 anchors",
        size,
        lambda _threads: postproc.decode_yolo(predictions),
        predictions.nbytes,
        peers,
    )
