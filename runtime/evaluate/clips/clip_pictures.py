"""A page of a clip: frames over its length, truth above and prediction below, each object in its track's shade."""

from segrt.runtime.draw import fit, overlay, side_by_side
from segrt.runtime.draw.panels import Panel
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import ClipSpan, Dataset
from segrt.runtime.evaluate.measuring import Predictor
from segrt.runtime.evaluate.metrics.meter import OfClips
from segrt.runtime.evaluate.report_pictures import truth_result
from segrt.runtime.evaluate.truth import InstanceTruth, PanopticTruth, Truth
from segrt.runtime.files.images import Picture
from segrt.runtime.results import InstanceResult, PanopticResult, Result

BY_CLASS = {"panoptic": "vpq", "instance": "hota"}
"""Technique → the figure that classes are compared by."""
_FRAMES, _SIDE = 5, 480


def clip_sheet(clip: ClipSpan, predictor: Predictor, dataset: Dataset, match: ClassMatch) -> Picture:
    """Return the page of a clip, uint8 (H, W, 3) BGR; its frames up to the last that is shown are predicted again."""
    if isinstance(predictor, OfClips):
        predictor.begin_clip(clip)
    length = clip.stop - clip.start
    count = min(_FRAMES, length)
    shown = {clip.start + round(step * (length - 1) / max(1, count - 1)) for step in range(count)}
    true: list[Panel] = []
    predicted: list[Panel] = []
    for place in range(clip.start, max(shown) + 1):
        sample = dataset.samples[place]
        prediction = predictor.predict(sample, dataset)
        if place in shown:
            image = dataset.read_image(sample)
            truth = _true(conversion.truth(dataset.read_truth(sample), match), match)
            true.append((f"{sample.image_path.stem}  truth", fit(overlay(image, truth, scores=False), _SIDE), []))
            predicted.append(("prediction", fit(overlay(image, _predicted(prediction)), _SIDE), []))
    return side_by_side([*true, *predicted], 2200, columns=len(shown))


def _true(truth: Truth, match: ClassMatch) -> Result:
    result = truth_result(truth, match)
    if isinstance(result, PanopticResult):
        return _by_ids(result)
    if isinstance(result, InstanceResult) and isinstance(truth, InstanceTruth):
        drawn = [entry for entry in truth.annotations if isinstance(entry.get("segmentation"), dict)]
        return result.with_tracks([entry.get("track_id") for entry in drawn])
    return result


def _predicted(prediction: Prediction) -> Result:
    if isinstance(prediction, PanopticTruth):
        return _by_ids(prediction.to_result())
    if isinstance(prediction, list):
        raise SegrtError("--pictures: the predictions of clips are boxes alone; give masks, or leave it out")
    return prediction


def _by_ids(result: PanopticResult) -> PanopticResult:
    """Return a map of a file with the ids of its things, which last, as their tracks."""
    return result.with_tracks([segment.id if segment.isthing else None for segment in result.segments])
