"""Finds TensorRT: the package `tensorrt` of desktops and JetPack, or `tensorrt_rtx` of RTX desktops.

Both have the same interface but for a few calls, so the rest of segrt takes a `Flavor` and asks with `hasattr`.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

from segrt.runtime.errors import BackendError, one_line
from segrt.runtime.inference.tensorrt.messages import Messages, make_logger

FlavorName = Literal["tensorrt", "tensorrt-rtx"]
FLAVORS: tuple[FlavorName, ...] = ("tensorrt", "tensorrt-rtx")
OLDEST, NEWEST_MAJOR = (10, 3), 11
"""The versions of `tensorrt` that are served; of `tensorrt-rtx` every one."""

_MODULES: dict[FlavorName, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}


@dataclass(frozen=True, eq=False)
class Flavor:
    """An importable TensorRT: its name, full version ("10.3.0"), module, logger and what the logger was told."""

    name: FlavorName
    version: str
    api: Any
    logger: Any
    messages: Messages

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def is_rtx(self) -> bool:
        """Whether this is TensorRT-RTX, whose engines are built for compute capabilities and need no GPU to build."""
        return self.name == "tensorrt-rtx"


def find_flavor(wanted: str = "auto", *, on_gpu: bool = True) -> Flavor:
    """Return the flavour of that name, or for "auto" the first one that works.

    "auto" prefers `tensorrt` where there is a GPU (`on_gpu`); without one only `tensorrt-rtx` builds. Raises
    BackendError, with the remedy, when there is none.
    """
    if wanted != "auto" and wanted not in FLAVORS:
        raise BackendError(f"flavor must be auto, {' or '.join(FLAVORS)}, but got {wanted!r}")
    names = FLAVORS if wanted == "auto" else tuple(name for name in FLAVORS if name == wanted)
    reasons = []
    for name in names if on_gpu else names[::-1]:
        flavor_or_reason = load_flavor(name)
        if isinstance(flavor_or_reason, Flavor):
            return flavor_or_reason
        reasons.append(flavor_or_reason)
    raise BackendError(f"{'; '.join(reasons)}; `segrt doctor` says what to install")


@cache
def load_flavor(name: FlavorName) -> Flavor | str:
    """Import the flavour `name`; return it, or why it cannot be used."""
    module = _MODULES[name]
    try:
        api = import_module(module)
    except ImportError as error:
        return f"{name}: {one_line(error, 200)}"
    except Exception as error:  # a broken installation raises what it likes, a missing library OSError for instance
        return f"{name}: cannot be imported ({one_line(error, 200)})"
    version = str(getattr(api, "__version__", "0"))
    if name == "tensorrt" and not _is_served(version):
        oldest = ".".join(map(str, OLDEST))
        return f"{name}: version {version} is installed, but {oldest} to {NEWEST_MAJOR}.x are served"
    messages = Messages()
    return Flavor(name, version, api, make_logger(api, messages), messages)


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, (10, 3, 0) for "10.3.0.post1"."""
    match = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else (0,)


def _is_served(version: str) -> bool:
    numbers = version_numbers(version)
    return numbers[:2] >= OLDEST and numbers[0] <= NEWEST_MAJOR
