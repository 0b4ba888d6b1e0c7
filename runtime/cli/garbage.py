"""Garbage collections in the midst of a stream, which cost tens of milliseconds where they look through everything."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """Keep all objects that exist out of the collector's sight meanwhile: modules and networks are no garbage."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
