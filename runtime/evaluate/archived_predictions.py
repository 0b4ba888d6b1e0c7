"""Results of `segrt archive` as predictions: of pictures that were archived, for a data set of the same pictures."""

from dataclasses import dataclass
from typing import Literal

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import Dataset, Sample, clips_of
from segrt.runtime.results import Label
from segrt.runtime.scale.archive.archived_results import ArchivedResults


@dataclass(frozen=True)
class ArchivePredictions:
    """An archive as a predictor; its classes are the bundle's."""

    archive: ArchivedResults

    @property
    def name(self) -> str:
        """The folder."""
        return self.archive.path

    @property
    def technique(self) -> str:
        """The bundle's."""
        return self.archive.record.technique

    @property
    def labels(self) -> tuple[Label, ...]:
        """The bundle's."""
        return self.archive.record.labels

    @property
    def kind(self) -> Literal["segm", "bbox"]:
        """Objects have masks."""
        return "segm"

    def predict(self, sample: Sample, dataset: Dataset) -> Prediction:
        """Return the result of the sample's picture: the file of that path, or the only one of that name."""
        source = self.archive.source_of(sample.image_path)
        if source is None:
            raise SegrtError(
                f"{self.archive.path} has no result of {sample.image_path}, image {sample.image_id!r} of "
                f"{dataset.path}; archive it, too"
            )
        return self.archive.result(source)


def open_archive_predictions(folder: str, dataset: Dataset) -> ArchivePredictions:
    """Return an archive as predictions for a data set; raise SegrtError for one of clips, whose things are tracked."""
    if clips_of(dataset):
        raise SegrtError(f"{folder}: is an archive, whose things are not tracked, but {dataset.path} is of clips")
    archive = ArchivedResults(folder)
    archive.record  # noqa: B018 (it is read now, before the work)
    return ArchivePredictions(archive)
