"""Checks before an export whether there is enough memory, and explains the error where it runs out all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segrt.export.family import Model, Size
from segrt.runtime.errors import SegrtError

# Below what was measured: torch, its exporter and ONNX Runtime themselves; copies of the weights that exist at one time
# (in torch, and two in ONNX Runtime while it opens the file).
_BASE_BYTES = 1.0e9
_COPIES = 3
_MEMINFO = Path("/proc/meminfo")


def needed(model: Model, size: Size) -> float:
    """Return the bytes that an export of `model` for `size` (h, w) needs at least; its activations are not counted."""
    heads = model.head_bytes * size[0] * size[1] / (model.size[0] * model.size[1])
    return _BASE_BYTES + _COPIES * 4.0 * model.parameters + 4 * heads


def check(model: Model, size: Size) -> None:
    """Raise SegrtError when this machine surely has too little memory for the export."""
    free = available()
    wanted = needed(model, size)
    if free is not None and wanted > free:
        raise SegrtError(
            f"{model.name}: the export needs {wanted / 1e9:.1f} GB of memory at least, but {free / 1e9:.1f} are free; "
            "close other programs, or choose a smaller model"
        )


def available() -> float | None:
    """Return the bytes of memory and swap that are free for new work, or None where the system does not tell."""
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    values = {name: float(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    if "MemAvailable" not in values:
        return None
    return values["MemAvailable"] + values.get("SwapFree", 0.0)


def is_of_memory(error: BaseException) -> bool:
    """Whether torch says with an error that there is no memory left."""
    return "allocate memory" in str(error)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn running out of memory inside the block into a SegrtError with the remedy."""
    remedy = "choose a smaller --size or model, or a machine with more"
    try:
        yield
    except MemoryError:
        raise SegrtError(f"{name}: out of memory; {remedy}") from None
    except RuntimeError as error:
        if not is_of_memory(error):
            raise
        raise SegrtError(f"{name}: out of memory; {remedy}") from None
