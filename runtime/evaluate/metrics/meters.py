"""The metrics that `segrt eval` measures, by name. A new one is a file with its meter, and a line here."""

from segrt.runtime.evaluate.metrics.meter import Meter
from segrt.runtime.registry import Registry

METERS: Registry[type[Meter]] = Registry(
    "metric",
    {
        "class-iou": "segrt.runtime.evaluate.metrics.class_iou:SemanticMeter",
        "average-precision": "segrt.runtime.evaluate.metrics.average_precision:InstanceMeter",
        "panoptic-quality": "segrt.runtime.evaluate.metrics.panoptic_quality:PanopticMeter",
    },
)


# What tracked results of clips are measured by instead; what has no line here is measured frame by frame.
CLIP_METERS: Registry[type[Meter]] = Registry(
    "metric of clips",
    {
        "panoptic-clips": "segrt.runtime.evaluate.clips.panoptic_clip_meter:PanopticClipMeter",
        "panoptic-tracking": "segrt.runtime.evaluate.clips.tracking_meter:PanopticTrackingMeter",
        "instance-tracking": "segrt.runtime.evaluate.clips.tracking_meter:InstanceTrackingMeter",
    },
)


def meters_of(technique: str, *, clips: bool = False) -> list[type[Meter]]:
    """Return the meters of a technique, its main one first; with `clips` those of tracked results, if it has any."""
    of_clips = [meter for meter in map(CLIP_METERS.load, CLIP_METERS) if meter.technique == technique] if clips else []
    return of_clips or [meter for meter in map(METERS.load, METERS) if meter.technique == technique]
