"""The steps around tiles: a picture is handed over as it is, an answer is the joined result already."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.tensors import Device, Head, Slot
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, on_host
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.picture_windows import read_whole_or_windows
from segrt.runtime.results import Result
from segrt.runtime.segmenter.tiles.tiled_backend import RESULTS, TiledBackend


class TiledSteps:
    """What a `Segmenter` does before and behind a `TiledBackend`."""

    def __init__(self, backend: TiledBackend) -> None:
        self._backend = backend

    @property
    def preprocess_device(self) -> Device:
        """Where tiles are brought to the inputs."""
        return self._backend.segmenter.preprocess_device

    def read(self, path: Path) -> Raster:
        """Return the picture at `path`, or its windows where it is too large to be held: tiles are all that is read."""
        return cast("Raster", read_whole_or_windows(path, self._backend.segmenter.manifest.inputs))

    def fill(self, image: Raster | DevicePicture, slot: Slot, index: int) -> Geometry:  # noqa: ARG002 (always 0)
        """Put a picture into the slot."""
        self._backend.put(slot, on_host(image))
        height, width = int(image.shape[0]), int(image.shape[1])
        return Geometry((height, width), (height, width), (0, 0, height, width))

    def fill_on_cpu(self, image: Raster, slot: Slot, index: int) -> Geometry:
        """Do as `fill`."""
        return self.fill(image, slot, index)

    def result(
        self, heads: Mapping[str, Head], geometry: Geometry, index: int, decode: DecodeRule | None = None
    ) -> Result:
        """Return the answer."""
        if decode is not None:
            self.check_heads()
        answers: Sequence[Any] = heads[RESULTS].array
        result: Result = answers[index]
        assert result.size == geometry.source_size
        return result

    def check_heads(self) -> None:
        """Raise BackendError: there are as many heads as tiles, and what is asked for is one network's on a picture."""
        raise BackendError("a picture in tiles gives a result, not the heads of one network; leave out tile for them")
