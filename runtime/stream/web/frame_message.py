"""A frame and its result as one message for the browser, encoded once for all of them.

The browser gets the camera's picture and a map of regions, and paints one over the other itself: so everybody hides
and shows classes as he likes, and nothing is drawn or encoded twice. A message is

    4 bytes, big endian: length of the header | header, JSON | JPEG | PNG

The header says `jpeg` and `map` (lengths in bytes; `jpeg` is 0 for a browser that has the picture as video, which has
it at `ticks`), `source`, `index`, `pts`, `size` [H, W], `age_ms`, `ms` (stage →
milliseconds) and `regions`. Pixels of the PNG, 8-bit grey, are 0 or the number (from 1) of a region in `regions`:
[class id, score or null, x, y, width, height], the box as fractions of the picture. Where things are tracked, `tracks`
has a number or null for each of `regions`; where zones are counted, `zones` is {zones: {name: {class: number}}, lines:
{name: {direction: crossings}}}.
"""

import time
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.files.images import Picture
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.results import InstanceResult, PanopticResult, Result, rle
from segrt.runtime.results.remap import remap
from segrt.runtime.stream.frame import Frame
from segrt.runtime.zones.zone_totals import Tallies

_PICTURE_SIDE = 1280
_MAP_SIDE = 640
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 80)
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)
_MOST = 255
Map = npt.NDArray[np.uint8]
Region = tuple[int, float | None, float, float, float, float]


def message(
    frame: Frame, result: Result, tallies: Tallies | None = None, *, pictured: bool = True, ticks: int | None = None
) -> bytes:
    """Return the message for `frame` and its `result`, without the picture where it is not `pictured`.

    `tallies` are those of its source's zones, `ticks` is the frame's time in the video.
    """
    jpeg = picture(frame) if pictured else b""
    regions, tracks, numbers = region_map(result)
    png = cv2.imencode(".png", numbers, _PNG)[1].tobytes()
    timings = result.timings
    stages = {} if timings is None else {
        "preprocess": round(timings.preprocess_ms, 2),
        "inference": round(timings.inference_ms, 2),
        "postprocess": round(timings.postprocess_ms, 2),
    }  # fmt: skip
    header = encode_json(
        {
            "jpeg": len(jpeg),
            "map": len(png),
            "source": frame.source_id,
            "index": frame.index,
            "pts": frame.pts,
            "size": frame.size,
            "age_ms": round((time.monotonic() - frame.capture_time) * 1e3, 1),
            "ms": stages,
            "regions": regions,
            **({"tracks": tracks} if any(track is not None for track in tracks) else {}),
            **({} if tallies is None else {"zones": tallies}),
            **({} if ticks is None else {"ticks": ticks}),
        }
    )
    return len(header).to_bytes(4, "big") + header + jpeg + png


def picture(frame: Frame) -> bytes:
    """Return the frame's picture as JPEG, as large as it is shown."""
    return bytes(cv2.imencode(".jpg", shown_picture(frame), _JPEG)[1].tobytes())


def shown_picture(frame: Frame) -> Picture:
    """Return the frame's picture as it is shown, uint8 BGR (H, W, 3), its long side 1280 pixels at most."""
    image, (height, width) = frame.visible, frame.size
    scale = _PICTURE_SIDE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return image


def region_map(result: Result) -> tuple[list[Region], list[int | None], Map]:
    """Return the regions, the track of each, and a map of their numbers, uint8 (h, w), 640 pixels at most.

    Stuff has no track here: it is what it is, and is not counted.
    """
    height, width = result.size
    step = -(-max(height, width) // _MAP_SIDE)
    regions: list[Region] = []
    tracks: list[int | None] = []
    if isinstance(result, PanopticResult):
        table = {}
        for number, segment in enumerate(sorted(result.segments, key=lambda segment: -segment.area)[:_MOST], 1):
            table[segment.id] = number
            score = round(float(segment.score), 2) if segment.isthing else None
            regions.append((segment.class_id, score, *_fractions(segment.bbox, width, height)))
            tracks.append(segment.track_id if segment.isthing else None)
        return regions, tracks, np.asarray(remap(_every(result.segment_ids, step), table, default=0, dtype=np.uint8))
    if isinstance(result, InstanceResult):
        numbers = np.zeros(_every(np.empty((height, width)), step).shape, np.uint8)
        for position in np.argsort(-rle.measure(result.rles)[0], kind="stable")[:_MOST].tolist():
            left, top, right, bottom = (float(side) for side in result.boxes[position])
            box = _fractions((left, top, right - left, bottom - top), width, height)
            regions.append((int(result.class_ids[position]), round(float(result.scores[position]), 2), *box))
            tracks.append(result[position].track_id)
            numbers[_every(rle.decode(result.rles[position]), step).astype(bool)] = len(regions)
        return regions, tracks, numbers
    small = _every(result.class_map, step)
    present = [int(value) for value in np.unique(small) if value != result.void_id][:_MOST]
    regions = [(value, None, 0.0, 0.0, 0.0, 0.0) for value in present]
    table = {value: number for number, value in enumerate(present, 1)}
    return regions, [None] * len(regions), np.asarray(remap(small, table, default=0, dtype=np.uint8))


def _every(array: npt.NDArray[Any], step: int) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array[step // 2 :: step, step // 2 :: step]) if step > 1 else array


def _fractions(box: Any, width: int, height: int) -> tuple[float, float, float, float]:
    x, y, wide, high = (float(value) for value in box)
    return round(x / width, 4), round(y / height, 4), round(wide / width, 4), round(high / height, 4)
