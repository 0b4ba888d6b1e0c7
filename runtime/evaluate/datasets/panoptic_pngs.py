"""Panoptic truth in PNG files that a JSON describes, as COCO has it: of single pictures, or of the frames of clips."""

from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.evaluate.by_technique import TECHNIQUES
from segrt.runtime.evaluate.datasets.coco_files import read_panoptic
from segrt.runtime.evaluate.datasets.dataset import Sample, checked_image
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.files.images import Picture
from segrt.runtime.results import Label


@dataclass(frozen=True)
class PanopticDataset:
    """A COCO panoptic data set; it serves all three techniques."""

    path: Path
    png_folder: Path
    labels: tuple[Label, ...]
    samples: tuple[Sample, ...]

    @property
    def techniques(self) -> tuple[str, ...]:
        """All three."""
        return TECHNIQUES

    def read_image(self, sample: Sample) -> Picture:
        """Read a sample's picture; raise SegrtError for another size than the JSON says."""
        return checked_image(sample, self.path)

    def read_truth(self, sample: Sample) -> PanopticTruth:
        """Read a sample's truth; its class ids are positions in `labels`.

        Raises SegrtError for a missing or damaged PNG, one of another size than the JSON says, one that holds a
        segment that the JSON lacks, and a category that the JSON lacks.
        """
        png = self.png_folder / sample.annotation.file_name
        return read_panoptic(png, sample.annotation, self.labels, sample.size, self.path)
