"""A feature of segrt, and whether it works on a device."""

from dataclasses import dataclass
from typing import Literal

from segrt.runtime.doctor.remedies import Remedy

State = Literal["works", "off", "missing"]


@dataclass(frozen=True)
class Feature:
    """A feature of segrt: it `works`; is `off`, lacking something optional; or is `missing`, and should not be.

    `detail` says what it works with, or what is wrong.
    """

    name: str
    state: State
    detail: str
    remedies: tuple[Remedy, ...] = ()
