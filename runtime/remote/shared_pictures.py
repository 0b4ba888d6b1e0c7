"""Memory that this process and a server on the same host share: pictures go there, maps come back in it.

A region is a POSIX shared memory object, which the server is told of by name. Whoever waits in vain for an answer must
not use its region again, for the server may still write into it: it is retired, and another takes its place.
"""

import itertools
import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.remote.troubles import trouble_of

log = logging.getLogger("segrt.remote")
_PAGE = 1 << 16
Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Region:
    """A registered piece of memory: the first `inputs` bytes are the picture's, the rest is the map's."""

    memory: SharedMemory
    name: str
    size: int

    def write(self, picture: npt.NDArray[Any]) -> None:
        """Copy a picture to the beginning."""
        view: npt.NDArray[Any] = np.ndarray(picture.shape, picture.dtype, self.memory.buf)
        view[...] = picture

    def read(self, offset: int, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> npt.NDArray[Any]:
        """Return a copy of the array at `offset`."""
        return np.array(np.ndarray(shape, dtype, self.memory.buf, offset))


class SharedPictures:
    """The regions of a client, one for each place of each slot; empty where the server takes none.

    `register` tells the server of a region (name, key, bytes), `unregister` lets it forget one; both may raise.
    """

    def __init__(
        self, where: str, register: Callable[[str, str, int], None], unregister: Callable[[str], None]
    ) -> None:
        self._where, self._register, self._unregister = where, register, unregister
        self._prefix = f"segrt-{os.getpid()}-{secrets.token_hex(4)}"
        self._numbers = itertools.count()
        self._regions: dict[Place, Region] = {}
        self._retired: list[Region] = []
        self._refused = False

    def region(self, place: Place, size: int) -> Region | None:
        """Return the region of a place, of at least `size` bytes; None where the server has refused one."""
        known = self._regions.get(place)
        if known is not None and known.size >= size:
            return known
        if known is not None:
            self._drop(self._regions.pop(place))
        return None if self._refused else self._make(place, size)

    def renew(self, place: Place) -> None:
        """Tell the server again of a region that it has forgotten, for it has started anew."""
        known = self._regions.get(place)
        if known is not None:
            self._try(known)

    def retire(self, place: Place) -> None:
        """Use a region no more, into which a late answer may still be written; it is freed in the end."""
        known = self._regions.pop(place, None)
        if known is not None:
            self._retired.append(known)

    def close(self) -> None:
        """Let the server forget all regions, and free them."""
        regions = [*self._regions.values(), *self._retired]
        self._regions.clear()
        self._retired.clear()
        for region in regions:
            self._drop(region)

    def _make(self, place: Place, size: int) -> Region | None:
        name = f"{self._prefix}-{next(self._numbers)}"
        length = -(-size // _PAGE) * _PAGE
        try:
            memory = SharedMemory(name, create=True, size=length)
        except OSError as error:
            self._refuse(str(error.strerror))
            return None
        region = Region(memory, name, length)
        if not self._try(region):
            _free(region)
            return None
        self._regions[place] = region
        return region

    def _try(self, region: Region) -> bool:
        try:
            self._register(region.name, f"/{region.memory.name.lstrip('/')}", region.size)
        except Exception as error:
            trouble = trouble_of(error)
            if trouble.kind not in ("away", "late"):  # then it says nothing about memory
                self._refuse(trouble.text)
            return False
        return True

    def _refuse(self, reason: str) -> None:
        if not self._refused:
            log.warning("%s: shared memory is refused (%s); pictures travel over the connection", self._where, reason)
        self._refused = True

    def _drop(self, region: Region) -> None:
        with suppress(Exception):  # a server that is gone has forgotten it
            self._unregister(region.name)
        _free(region)


def _free(region: Region) -> None:
    with suppress(BufferError):  # somebody still looks at it: the memory goes with the process
        region.memory.close()
    with suppress(FileNotFoundError):
        region.memory.unlink()


def is_this_host(host: str) -> bool:
    """Whether an address is one of this machine's own: something can be bound to it."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        with suppress(OSError), socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
            return True
    return False
