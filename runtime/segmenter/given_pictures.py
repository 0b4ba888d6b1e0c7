"""What a segmenter is called with: arrays, paths, the bytes of a file, Pillow's images; clear words for the rest."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import ImageError, one_line
from segrt.runtime.files.images import Picture, decode_image
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.preprocess.channels import Raster, image_input, read_input, wanted
from segrt.runtime.preprocess.input_spec import InputSpec

_TAKES = "give a numpy array (uint8 BGR), a path, the bytes of a picture's file or a PIL.Image"
_COLORS = 3
_WIDE = ("I;16", "I;16L", "I;16B", "I;16N")  # Pillow's modes of 16-bit grey


class PillowImage(Protocol):
    """What is used of a `PIL.Image.Image`."""

    @property
    def mode(self) -> str:
        """Its pixels' kind: "RGB"."""

    def convert(self, mode: str) -> Any:
        """Return it in another mode."""


AnyPicture = npt.NDArray[Any] | str | Path | bytes | bytearray | memoryview | PillowImage
"""A picture in one of the ways that a segmenter takes it."""


def given_picture(
    image: AnyPicture, inputs: Sequence[InputSpec], *, rgb: bool = False, read: Callable[[Path], Raster] | None = None
) -> Raster:
    """Return `image` as the image input among `inputs` takes it: uint8 BGR (H, W, 3), or what `channels` says.

    Grey pictures get three equal channels and an alpha channel is left out where the network takes colours. `rgb` says
    that an array has red first; files and Pillow's images know it themselves. `read` reads files, `read_input` by
    default. Raises ImageError for all else.
    """
    if isinstance(image, np.ndarray):
        return _of_array(image, image_input(inputs), rgb=rgb)
    if isinstance(image, (str, Path)):
        scheme = scheme_of(str(image))
        if scheme is not None and not Path(image).exists():
            raise ImageError(f"{redact(str(image))}: is no file; `segmenter.stream(address)` takes what is streamed")
        return read_input(Path(image), inputs) if read is None else read(Path(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        _refuse_other_values(image_input(inputs), "bytes")
        return decode_image(bytes(image), "the given bytes")
    if hasattr(image, "mode") and hasattr(image, "getexif"):
        return _of_pillow(image, image_input(inputs))
    raise no_picture(image)


def no_array(image: object) -> ImageError:
    """Return the error for `image` where an array alone is taken, and not what a segmenter makes one of."""
    if isinstance(image, (str, Path, bytes, bytearray, memoryview)) or hasattr(image, "getexif"):
        kind = f"{type(image).__module__.partition('.')[0]}.{type(image).__name__}".removeprefix("builtins.")
        return ImageError(
            f"plot: image must not be of type {kind}; give an array, uint8 BGR (H, W, 3), as segmenter.read(path) "
            "makes it, or nothing: a result knows the picture that was segmented"
        )
    return no_picture(image)


def no_picture(image: object) -> ImageError:
    """Return the error that says how to make an array of `image`, which is none."""
    if image is None:
        return ImageError(
            "image is None, which cv2.imread returns for a file that it cannot read; give the path itself to hear why"
        )
    kind = f"{type(image).__module__.partition('.')[0]}.{type(image).__name__}"
    if kind.startswith("torch."):
        return ImageError(f"image must not be of type {kind}; {_torch_remedy(image)}")
    if hasattr(image, "__array__"):
        return ImageError(f"image must not be of type {kind}; give numpy.asarray(image), uint8 BGR (H, W, 3)")
    return ImageError(f"image must not be of type {kind.removeprefix('builtins.')}; {_TAKES}, or a list of these")


def _torch_remedy(tensor: Any) -> str:
    """Return the line that makes an array of a torch tensor, by its shape and type."""
    shape = tuple(tensor.shape)
    if len(shape) == 4:
        return f"give [tensor for tensor in batch], each converted, for its shape is {shape}"
    steps = ""
    channels = (1, _COLORS, _COLORS + 1)
    if len(shape) == _COLORS and shape[0] in channels and shape[2] not in channels:
        steps = ".permute(1, 2, 0)"
    if "float" in str(tensor.dtype):
        steps += ".mul(255).round()"
    rgb = ", with rgb=True where red comes first" if len(shape) == _COLORS else ""
    return f"give tensor{steps}.byte().cpu().numpy(){rgb}"


def _of_array(image: npt.NDArray[Any], spec: InputSpec, *, rgb: bool) -> Raster:
    if rgb and spec.color == "bands":
        raise ImageError(f"rgb=True: input {spec.name!r} takes bands, which have no order of colours; leave it out")
    if spec.takes_pictures:
        _refuse_other_shape(image)
        if image.ndim == 2 or image.shape[2] == 1:
            return image if spec.color == "grey" else np.repeat(image.reshape(*image.shape[:2], 1), _COLORS, axis=2)
        if image.shape[2] == _COLORS and not rgb:
            return image
        return np.ascontiguousarray(image[..., 2::-1] if rgb else image[..., :_COLORS])
    if rgb and image.ndim == _COLORS and image.shape[2] >= _COLORS:
        return np.concatenate([image[..., 2::-1], image[..., _COLORS:]], axis=2)
    return image


def _refuse_other_shape(image: npt.NDArray[Any]) -> None:
    """Raise ImageError unless `image` is uint8 (H, W), (H, W, 1), BGR (H, W, 3) or BGRA (H, W, 4)."""
    shape = image.shape
    right = image.ndim == 2 or (image.ndim == _COLORS and shape[2] in (1, _COLORS, _COLORS + 1))
    if right and image.dtype == np.uint8 and image.size:
        return
    remedy = "segrt.runtime.files.images.read_image makes such arrays"
    if image.ndim == 4:
        remedy = "give a list of pictures for several: segmenter(list(images))"
    elif image.ndim == _COLORS and not right and shape[0] in (1, _COLORS, _COLORS + 1):
        remedy = "channels come last: give image.transpose(1, 2, 0)"
    elif right and image.size and image.dtype.kind == "f":
        remedy = "give (image * 255).round().astype(numpy.uint8) where values are 0 to 1"
    elif right and image.size and image.dtype == np.uint16:
        remedy = "give (image >> 8).astype(numpy.uint8)"
    raise ImageError(
        "image must be uint8, BGR with shape (H, W, 3), BGRA (H, W, 4) or grey (H, W), with at least one pixel, "
        f"but got {image.dtype} {shape}; {remedy}"
    )


def _of_pillow(image: Any, spec: InputSpec) -> Raster:
    """Return a Pillow image as `read_image` would its file: upright, 16 bits as their upper 8, without alpha."""
    from PIL import ImageOps

    if image.width * image.height == 0:
        raise ImageError(f"image must have at least one pixel, but is a PIL.Image of size {image.size}")
    try:
        image = ImageOps.exif_transpose(image)
        image.load()  # now, where Pillow has only looked at its head
    except (OSError, SyntaxError, ValueError) as error:
        name = getattr(image, "filename", "") or "image"
        raise ImageError(f"{name}: is a PIL.Image that cannot be read ({one_line(error)}); open it again") from None
    if not spec.takes_pictures:
        _refuse_other_values(spec, "a PIL.Image")
    if image.mode in _WIDE:
        return _grey((np.asarray(image, np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ImageError(
            f"image is a PIL.Image of mode {image.mode!r}, whose range is not known; bring it to 'L' first"
        )
    if image.mode == "La":
        image = image.convert("LA")
    colors: Picture = np.asarray(image.convert("RGB"))
    return np.ascontiguousarray(colors[..., ::-1])


def _grey(values: npt.NDArray[np.uint8]) -> Picture:
    return np.repeat(values[..., None], _COLORS, axis=2)


def _refuse_other_values(spec: InputSpec, what: str) -> None:
    """Raise ImageError where the network takes other values than those of ordinary pictures."""
    if not spec.takes_pictures:
        raise ImageError(
            f"image must not be {what} for input {spec.name!r}, which takes {wanted(spec)}; give an array or a path"
        )
