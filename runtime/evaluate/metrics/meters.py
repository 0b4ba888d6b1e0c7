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


def meters_of(technique: str) -> list[type[Meter]]:
    """Return the meters of a technique, its main one first."""
    return [meter for meter in map(METERS.load, METERS) if meter.technique == technique]
