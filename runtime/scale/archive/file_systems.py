"""Where files lie: this device's disks, or what an address of pyarrow's names (s3://, gs://, hdfs://, file://)."""

import functools
import re
from dataclasses import dataclass
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.json_files import readable
from segrt.runtime.files.uri import redact, redact_error, scheme_of
from segrt.runtime.scale.archive.arrow_library import arrow

_USER_PART = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")


@dataclass(frozen=True)
class Opened:
    """A file system of pyarrow's and a path in it; `prefix` and a path make the name that is shown and kept."""

    system: Any
    path: str
    prefix: str

    @property
    def is_local(self) -> bool:
        """Whether it is this device's own."""
        return not self.prefix


@functools.lru_cache(maxsize=64)
def open_address(address: str) -> Opened:
    """Return the file system and path of an address, or of an absolute path; raise SegrtError for what is neither.

    Names of files are without user part and options: `s3://bucket/key`. A `file://` address is a plain path.
    """
    fs = arrow("fs")
    scheme = scheme_of(address)
    if scheme is None:
        if readable(address) != address:
            raise SegrtError(f"{readable(address)}: the path is no UTF-8, which pyarrow asks for; take another folder")
        return Opened(fs.LocalFileSystem(), address, "")
    shown = redact(address)
    try:
        system, path = fs.FileSystem.from_uri(address.replace(" ", "%20"))
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise SegrtError(
            f"{shown}: cannot be opened ({reason_of_arrow(error, address)}); give a folder, a file, a pattern or an "
            "address that pyarrow knows, such as s3://BUCKET/FOLDER"
        ) from None
    if isinstance(system, fs.LocalFileSystem):
        return Opened(system, path, "")
    host = f"{_host(address)}" if scheme not in ("s3", "gs", "gcs") else ""
    return Opened(system, path, f"{scheme}://{host}")


def reason_of_arrow(error: BaseException, address: str) -> str:
    """Return what pyarrow says in one line, without what is secret in the address it was said of."""
    text = redact_error(str(error), address)
    return text[:300] or type(error).__name__


def _host(address: str) -> str:
    """Return host and port of an address, without its user part."""
    plain = _USER_PART.sub(r"\1", address)
    return plain.partition("://")[2].partition("/")[0].partition("?")[0]
