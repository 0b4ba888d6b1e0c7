"""Memory that this process and a server on the same host share: pictures go there, maps come back in it.

A region is a POSIX shared memory object, which the server is told of by name. Whoever waits in vain for an answer must
not use its region again, for the server may still write into it: it is retired, and another takes its place. Retired
ones are freed when no answer can come any more; while there are many, pictures travel over the connection. A server
forgets no region that a request is still about, answered or cancelled: it is asked again until it does.
"""

import itertools
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.remote.troubles import trouble_of

log = logging.getLogger("segrt.remote")
_PAGE = 1 << 16
_MOST_RETIRED = 16
_RETIRED_SECONDS = 60.0
_IN_USE = "currently in use"  # how Triton says that a request is still about a region
_FORGETTING_SECONDS = 5.0
_AGAIN_SECONDS = 0.02
_FILES = Path("/dev/shm")  # where Linux has shared memory
Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Region:
    """A registered piece of memory: the first `inputs` bytes are the picture's, the rest is the map's."""

    memory: SharedMemory
    name: str
    size: int

    def write(self, picture: npt.NDArray[Any]) -> None:
        """Copy a picture to the beginning; raise ValueError where the memory is closed."""
        view: npt.NDArray[Any] = np.ndarray(picture.shape, picture.dtype, self._bytes())
        view[...] = picture

    def read(self, offset: int, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> npt.NDArray[Any]:
        """Return a copy of the array at `offset`; raise ValueError where the memory is closed."""
        return np.array(np.ndarray(shape, dtype, self._bytes(), offset))

    def _bytes(self) -> memoryview:
        # NumPy takes memory of its own where it is given None, as closed memory has it.
        if (view := self.memory.buf) is None:
            raise ValueError("the shared memory is closed")
        return view


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
        self._lock = threading.Lock()
        self._retired: list[tuple[float, Region]] = []
        self._refused = self._closed = False

    def region(self, place: Place, size: int) -> Region | None:
        """Return the region of a place, of at least `size` bytes; None where the picture is to travel otherwise."""
        self._free_retired(time.monotonic() - _RETIRED_SECONDS)
        known = self._regions.get(place)
        if known is not None and known.size >= size:
            return known
        if known is not None and not self._drop(self._regions.pop(place)):
            self._keep_retired([known])
        if self._refused or self._closed or len(self._retired) >= _MOST_RETIRED:
            return None
        return self._make(place, size)

    def renew(self, place: Place) -> None:
        """Tell the server again of a region that it has forgotten, for it has started anew."""
        known = self._regions.get(place)
        if known is not None and not self._try(known):
            self.retire(place)

    def retire(self, place: Place) -> None:
        """Use a region no more, into which a late answer may still be written."""
        known = self._regions.pop(place, None)
        if known is not None:
            self._keep_retired([known])

    def give_up(self, place: Place, reason: str) -> None:
        """Use no memory any more that is not registered yet, nor that of `place`."""
        self._refuse(reason)
        self.retire(place)

    def close(self) -> None:
        """Let the server forget all regions, which takes until it has done with them, and free them."""
        with self._lock:
            self._closed = True
            left = [*self._regions.values(), *(region for _, region in self._retired)]
            self._regions.clear()
            self._retired.clear()
        until = time.monotonic() + _FORGETTING_SECONDS
        while (left := [region for region in left if not self._drop(region)]) and time.monotonic() < until:
            time.sleep(_AGAIN_SECONDS)
        if left:
            log.warning(
                "%s: the server keeps %d bytes of shared memory until it ends", self._where, sum(r.size for r in left)
            )
        for region in left:
            _free(region)

    def _keep_retired(self, regions: Iterable[Region]) -> None:
        kept = list(regions)  # which may ask the server: not under the lock
        with self._lock:
            if not self._closed:
                self._retired.extend((time.monotonic(), region) for region in kept)
                return
        for region in kept:  # nobody frees it later
            _free(region)

    def _free_retired(self, before: float) -> None:
        with self._lock:
            old = [region for retired, region in self._retired if retired < before]
            self._retired = [(retired, region) for retired, region in self._retired if retired >= before]
        self._keep_retired(region for region in old if not self._drop(region))

    def _make(self, place: Place, size: int) -> Region | None:
        name = f"{self._prefix}-{next(self._numbers)}"
        length = -(-size // _PAGE) * _PAGE
        try:
            memory = SharedMemory(name, create=True, size=length)
        except OSError as error:
            self._refuse(str(error.strerror))
            return None
        region = Region(memory, name, length)
        if not self._reserve(region) or not self._try(region):
            _free(region)
            return None
        self._regions[place] = region
        return region

    def _reserve(self, region: Region) -> bool:
        """Take the memory now: its pages come as they are touched, and where there are none left, that is fatal."""
        path = _FILES / region.memory.name.lstrip("/")
        if not path.exists():
            return True
        file = os.open(path, os.O_RDWR)
        try:
            os.posix_fallocate(file, 0, region.size)
        except OSError as error:
            self._refuse(f"{_FILES}: {error.strerror}")
            return False
        finally:
            os.close(file)
        return True

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

    def _drop(self, region: Region) -> bool:
        """Let the server forget a region and free it; return False, and do neither, while the server uses it."""
        try:
            self._unregister(region.name)
        except Exception as error:  # a server that is gone has forgotten it
            if _IN_USE in str(error):
                return False
        _free(region)
        return True


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
