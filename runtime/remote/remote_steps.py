"""The steps around a server: a picture is handed over as it is, an answer is a result already."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BackendError, ImageError
from segrt.runtime.inference.tensors import Device, Head, Slot
from segrt.runtime.preprocess.channels import Raster, image_input, read_input, wanted
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, on_host
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.remote.address import Encoding
from segrt.runtime.remote.result_tensors import to_result
from segrt.runtime.remote.triton_backend import ANSWERS, TritonBackend
from segrt.runtime.results import Result

_SUFFIXES: dict[Encoding, str] = {"png": ".png", "jpeg": ".jpg"}


class RemoteSteps:
    """What a `Segmenter` does before and behind a `TritonBackend`."""

    def __init__(self, backend: TritonBackend, manifest: Manifest, encoding: Encoding) -> None:
        self._backend, self._manifest, self._encoding = backend, manifest, encoding
        self._spec = image_input(manifest.inputs)
        if encoding != "raw" and not self._spec.takes_pictures:
            raise BackendError(f"encoding={encoding}: the network takes {wanted(self._spec)}; leave it out")

    @property
    def preprocess_device(self) -> Device:
        """Nothing is done here."""
        return "cpu"

    def read(self, path: Path) -> Raster:
        """Return the picture at `path` as the network wants it."""
        return read_input(path, self._manifest.inputs)

    def fill(self, image: Raster | DevicePicture, slot: Slot, index: int) -> Geometry:
        """Put a picture into the slot's next request."""
        picture = self._checked(on_host(image))
        if self._encoding != "raw":
            done, coded = cv2.imencode(_SUFFIXES[self._encoding], picture)
            if not done:
                raise ImageError(f"the picture cannot be encoded as {self._encoding}; leave encoding= out")
            picture = np.asarray(coded, np.uint8).reshape(-1)
        self._backend.put(slot, index, picture)
        height, width = int(image.shape[0]), int(image.shape[1])
        return Geometry((height, width), (height, width), (0, 0, height, width))

    def fill_on_cpu(self, image: Raster, slot: Slot, index: int) -> Geometry:
        """Do as `fill`."""
        return self.fill(image, slot, index)

    def result(
        self, heads: Mapping[str, Head], geometry: Geometry, index: int, decode: DecodeRule | None = None
    ) -> Result:
        """Return place `index` of the answers as a result."""
        if decode is not None:
            self.check_heads()
        result = to_result(heads[ANSWERS].array[index], self._manifest.labels, self._manifest.technique)
        if result.size != geometry.source_size:
            raise BackendError(f"the answer is for a picture of {result.size}, not {geometry.source_size}")
        return result

    def check_heads(self) -> None:
        """Raise BackendError: a server answers with results."""
        raise BackendError("a served model gives results, not the heads of its network; open the bundle itself for it")

    def _checked(self, image: Raster) -> Raster:
        """Return the picture in the type that the network's pictures have."""
        spec = self._spec
        dtype = np.dtype(spec.value_dtype)
        image = image[..., None] if image.ndim == 2 else image
        if image.ndim != 3 or not image.size or not (image.dtype == dtype or dtype == np.float32):
            raise ImageError(f"image must be {wanted(spec)}, but got {image.dtype} {image.shape}")
        return image if image.dtype == dtype else image.astype(dtype)
