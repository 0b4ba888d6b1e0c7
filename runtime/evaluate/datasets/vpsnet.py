"""Cityscapes-VPS in VPSNet's flat layout (Kim et al. 2020): one list of panoptic annotations for all clips' frames.

Images are called `0005_0025_frankfurt_000000_001736_newImg8bit.png`: the clip's number, then the frame's. The truth of
one is `…_final_mask.png` or `…_gtFine_color.png`, all in one folder, `panoptic_video` beside the JSON; a prediction is
the image's id and `.png`, in `pan_pred` beside it. The names are those of VPSNet's tools/eval_vpq.py.
"""

import re
from pathlib import Path
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.clip_frames import checked_spans, frame_size
from segrt.runtime.evaluate.datasets.coco_files import CocoImage, CocoPanopticAnnotation, convert
from segrt.runtime.evaluate.datasets.coco_video import VideoPanopticDataset
from segrt.runtime.evaluate.datasets.dataset import ClipSpan, Sample
from segrt.runtime.files.reading import is_folder
from segrt.runtime.results import Label

_IMAGE = re.compile(r"(\d{4,6})_(\d{4,6})_.+(_newImg8bit|_leftImg8bit)\.png")
_TRUTHS = {"_newImg8bit": "_final_mask", "_leftImg8bit": "_gtFine_color"}
_TRUTH_FOLDER, _PREDICTED_FOLDER = "panoptic_video", "pan_pred"


def is_flat_video(content: dict[str, Any]) -> bool:
    """Whether a panoptic JSON is of clips that its images' names tell apart."""
    images, first = content.get("images"), content["annotations"][0]
    if not isinstance(images, list) or not images or not isinstance(first, dict) or "segments_info" not in first:
        return False
    names = [image.get("file_name") if isinstance(image, dict) else None for image in images]
    return all(isinstance(name, str) and _IMAGE.fullmatch(Path(name).name) for name in names)


def open_flat_video(
    path: Path, content: dict[str, Any], labels: tuple[Label, ...], images: Path, panoptic_dir: Path | None
) -> VideoPanopticDataset:
    """Open the JSON, `content` of `path`; see `open_dataset`. Its clips are named by their numbers, "0005"."""
    folder = _folder(path, panoptic_dir, _TRUTH_FOLDER, "--panoptic-dir")
    annotated = flat_annotations(path, content["annotations"])
    samples: dict[str, dict[int, Sample]] = {}
    for image in convert(path, content["images"], list[CocoImage]):
        match = _IMAGE.fullmatch(Path(image.file_name).name)
        assert match is not None
        annotation = annotated.pop(str(image.id), None)
        if annotation is None:
            raise SegrtError(f"{path}: frame {image.id!r} has no annotation; a clip needs one for each frame")
        clip = samples.setdefault(match[1], {})
        if int(match[2]) in clip:
            raise SegrtError(f"{path}: clip {match[1]} has frame {match[2]} twice; list each frame once")
        # The file that is annotated, under the name that it has; the list has that of the picture, too.
        known = annotation.file_name, Path(image.file_name).name.replace(match[3], _TRUTHS[match[3]])
        named = _existing(folder, known)
        place, size = images / image.file_name, frame_size(path, image.height, image.width)
        clip[int(match[2])] = Sample(image.id, place, size, _renamed(annotation, named))
    if annotated:
        raise SegrtError(f"{path} annotates frame {next(iter(annotated))!r}, which is not in its images; add it there")
    spans, ordered = [], list[Sample]()
    for name, frames in sorted(samples.items()):
        spans.append(ClipSpan(name, len(ordered), len(ordered) + len(frames), number=name))
        ordered += [frames[number] for number in sorted(frames)]
    return VideoPanopticDataset(path, folder, labels, tuple(ordered), checked_spans(path, spans))


def flat_predictions(
    path: Path, entries: Any, predictions_dir: Path | None
) -> tuple[Path, dict[str, CocoPanopticAnnotation]]:
    """Return the folder of the predicted PNG files, and each frame's annotation by its id."""
    folder = _folder(path, predictions_dir, _PREDICTED_FOLDER, "--predictions-dir")
    annotated = flat_annotations(path, entries)
    return folder, {
        image_id: _renamed(entry, _existing(folder, (entry.file_name, f"{image_id}.png")))
        for image_id, entry in annotated.items()
    }


def flat_annotations(path: Path, entries: Any) -> dict[str, CocoPanopticAnnotation]:
    """Return each frame's annotation by its id."""
    annotated: dict[str, CocoPanopticAnnotation] = {}
    for entry in convert(path, entries, list[CocoPanopticAnnotation]):
        if str(entry.image_id) in annotated:
            raise SegrtError(f"{path} annotates frame {entry.image_id!r} twice; each frame has one annotation")
        annotated[str(entry.image_id)] = entry
    return annotated


def _folder(path: Path, given: Path | None, usual: str, option: str) -> Path:
    """Return the folder of PNG files: the one that is given, the JSON's namesake, or the usual one beside it."""
    candidates = [path.with_suffix(""), path.parent / usual] if given is None else [given]
    found = next((folder for folder in candidates if is_folder(folder)), None)
    if found is None:
        raise SegrtError(f"{candidates[-1]} is no folder; give the one with the panoptic PNG files as {option}")
    return found


def _existing(folder: Path, names: tuple[str, ...]) -> str:
    """Return the first name that is there, else the first: who reads it says that it is missing."""
    return next((name for name in names if (folder / name).is_file()), names[0])


def _renamed(entry: CocoPanopticAnnotation, name: str) -> CocoPanopticAnnotation:
    return CocoPanopticAnnotation(entry.image_id, name, entry.segments_info)
