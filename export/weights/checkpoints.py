"""Fetches published checkpoints and keeps them: from the Hugging Face hub, or from an address as torch hub does.

What was fetched once is used again without the network. A file that was fetched by hand is taken from
`<segrt's cache>/weights`, which the error for a missing network names.
"""

import os
import re
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segrt.export.quiet import quiet
from segrt.runtime.console.progress import Bars
from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.files.cache import cache_folder
from segrt.runtime.files.hashing import sha256

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
CONFIG = "config.json"
PROCESSOR_FILE = "preprocessor_config.json"
HUB = "huggingface.co"
_CHUNK = 1 << 20
_TIMEOUT_S = 30
_SHA_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.[a-z]+$")


def fetch(address: str) -> Path:
    """Return the local file of the weights at `address`: a URL, a Hugging Face repository, or REPOSITORY/FILE there.

    Raises SegrtError that says which file to fetch and where to put it when it cannot be reached.
    """
    if "://" in address:
        return fetch_url(address)
    owner, name, *rest = address.split("/")
    return fetch_hub(f"{owner}/{name}", ("/".join(rest),) if rest else WEIGHT_FILES)


def fetch_config(address: str) -> Path | None:
    """Return the local config.json of the Hugging Face repository at `address`; None for a URL, which has none."""
    if "://" in address:
        return None
    return fetch_hub("/".join(address.split("/")[:2]), (CONFIG,))


def fetch_hub(repository: str, names: Sequence[str]) -> Path:
    """Return the local copy of the first file of `names` that `repository` on the Hugging Face hub has."""
    by_hand = by_hand_folder(repository)
    for name in names:
        if (by_hand / name).is_file():
            return by_hand / name
    page = f"https://huggingface.co/{repository}"
    if set(names) <= {CONFIG, *WEIGHT_FILES}:  # who lacks one of the two lacks both
        remedy = f"fetch {CONFIG} and {WEIGHT_FILES[0]} from {page} elsewhere and put them into {by_hand}"
    else:
        remedy = f"fetch {names[0]} from {page} elsewhere and put it at {by_hand / names[0]}"
    remedy += ", or give the weights with --weights FILE"
    for name in names:
        path = _from_hub(repository, name, remedy)
        if path is not None:
            return path
    raise SegrtError(f"{repository}: has none of {', '.join(names)}; {remedy}")


def _from_hub(repository: str, name: str, remedy: str) -> Path | None:
    """Return the local copy of one file of `repository`, or None if it has no such file."""
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError
    except ImportError:
        raise SegrtError(f"{repository}: needs the package huggingface_hub; pip install 'segrt[export]'") from None
    try:
        with quiet():
            return Path(hf_hub_download(repository, name, local_files_only=not _is_reachable(HUB)))
    except LocalEntryNotFoundError:
        raise SegrtError(f"{repository}: cannot be reached; {remedy}") from None
    except EntryNotFoundError:
        return None
    except GatedRepoError:
        page = f"https://huggingface.co/{repository}"
        raise SegrtError(f"{repository}: its licence must be accepted at {page}; then `hf auth login`") from None
    except Exception as error:  # the hub's client lets those of its transport through
        raise SegrtError(f"{repository}: cannot be fetched ({one_line(error, 160)}); {remedy}") from None


def fetch_url(url: str) -> Path:
    """Return the local copy of the file at `url`, kept where torch hub keeps it; an interrupted download goes on."""
    name = url.rpartition("/")[2]
    by_hand = by_hand_folder(name)
    if by_hand.is_file():
        return by_hand
    target = _torch_hub_folder() / name
    if target.is_file():
        return target
    partial = target.with_name(f".{name}.partial")
    remedy = f"fetch it elsewhere and put it at {by_hand}, or give it with --weights FILE"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(url, partial, name)
    except (OSError, ssl.SSLError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise SegrtError(f"{url}: cannot be fetched ({reason}); {remedy}") from None
    wanted = _SHA_IN_NAME.search(name)
    if wanted is not None and not sha256(partial).startswith(wanted[1]):
        partial.unlink()
        raise SegrtError(
            f"{url}: arrived damaged (its SHA-256 does not begin with {wanted[1]}); try again, or {remedy}"
        )
    partial.replace(target)
    return target


def by_hand_folder(name: str) -> Path:
    """Return where a checkpoint that was fetched by hand is looked for."""
    return cache_folder() / "weights" / name.replace("/", "--")


def _is_reachable(host: str) -> bool:
    """Return False where the name of `host` is surely unknown, which saves half a minute of trying."""
    if urllib.request.getproxies() or "HF_ENDPOINT" in os.environ:
        return True
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True


def _torch_hub_folder() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def _download(url: str, partial: Path, name: str) -> None:
    """Fetch `url` into `partial`, going on behind what is there already where the server can."""
    done = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "segrt", "Range": f"bytes={done}-"})
    try:
        response: Any = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not done:
            raise
        return  # the whole file is there already
    with response:
        resumed = response.status == 206
        length = response.headers.get("Content-Length")
        start = done if resumed else 0
        total = start + int(length) if length else None
        with partial.open("ab" if resumed else "wb") as file, _progress(name, start, total) as advance:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                advance(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and partial.stat().st_size < total:
        raise OSError(f"the connection broke after {partial.stat().st_size} of {total} bytes; try again to go on")


@contextmanager
def _progress(name: str, done: int, total: int | None) -> Iterator[Any]:
    """Show a progress bar on standard error where that is a terminal; yield a function that takes further bytes."""
    with Bars("name", "bar", "bytes", "speed", "left", keep=True) as bars:
        if not bars.shown:
            print(f"fetching {name}" + (f", {total / 1e6:.0f} MB" if total else ""), file=sys.stderr)
        bars.show(name, done, total)

        def advance(count: int) -> None:
            nonlocal done
            done += count
            bars.show(name, done, total)

        yield advance
