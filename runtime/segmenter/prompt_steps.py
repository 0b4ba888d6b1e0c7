"""The two steps around an encoder and a decoder of prompts, with the one prompt that trials use."""

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.decode.decoding_place import Placement
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.tensors import Array, Slot
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, on_host
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.picture import fill_inputs
from segrt.runtime.preprocess.prompts import Prompt, PromptedGeometry, fill_prompt, trial_prompt
from segrt.runtime.segmenter.frame_steps import NetworkSteps


class TrialSteps(NetworkSteps):
    """A picture into the encoder's input, and `trial_prompt` into the decoder's.

    Golden frames and profiles are about networks, not about objects: they take the same prompt for every picture.
    """

    def __init__(self, bundle: Bundle, backend: Backend, context: Context, placement: Placement | None) -> None:
        super().__init__(bundle, backend, context, placement)
        self._manifest = bundle.manifest

    def fill(self, image: Raster | DevicePicture, slot: Slot, index: int) -> Geometry:
        """Write a picture and the trial prompt into the slot's views on the host."""
        return self.fill_on_cpu(on_host(image), slot, index)

    def fill_on_cpu(self, image: Raster, slot: Slot, index: int) -> Geometry:
        """Write a picture and the trial prompt into the slot's views on the host."""
        geometry = fill_picture(image, self._manifest, slot, threads=self._context.threads, index=index)
        return place_prompt(trial_prompt(geometry.source_size), geometry, self._manifest, slot)


def fill_picture(image: Raster, manifest: Manifest, slot: Slot, *, threads: int, index: int = 0) -> Geometry:
    """Write `image` into the encoder's input of a slot; return where it lies there."""
    return fill_inputs(image, (manifest.image_input,), slot.inputs, index, threads=threads)


def place_prompt(prompt: Prompt, geometry: Geometry, manifest: Manifest, slot: Slot) -> PromptedGeometry:
    """Write `prompt`, which has been checked, into the decoder's inputs of a slot; return the geometry to decode by."""
    views: dict[str, Array] = {
        spec.role: slot.inputs[spec.name] for spec in manifest.inputs if spec.name in slot.inputs
    }
    return fill_prompt(prompt, geometry, views["points"][0], views["point_labels"][0])
