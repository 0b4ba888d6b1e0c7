"""The file `environment` of a service: NAME=value in lines, which the owner of the device writes."""

import stat
from collections.abc import Callable
from pathlib import Path

from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.regular_files import read_regular

_MOST_BYTES = 1 << 20
_OTHERS = 0o077


def read_variables(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the variables of the file at `path`, and a line of text for each of its lines that is none.

    Quotes around a value are taken off, as systemd does; a file that is missing has no variables.
    """
    variables: dict[str, str] = {}
    troubles = []
    try:
        data = _content(path)
    except OSError as error:
        return {}, [f"{path}: cannot be read ({error.strerror}); make it a file of its service's user"]
    for number, line in enumerate(data.split(b"\n"), 1):
        why = _why_none(line)
        if why:
            troubles.append(f"{path}:{number}: {why}; mend the line")
            continue
        name, equals, value = line.decode().strip().partition("=")
        if equals and name.isidentifier():
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            variables[name] = value[1:-1] if quoted else value
    return variables, troubles


def check_variables(folders: ServiceFolders, note: Callable[[str], None]) -> None:
    """Close the file to other users, with a note; raise Failure, naming the first, for lines that cannot be read."""
    _, troubles = read_variables(folders.variables)
    if troubles:
        raise Failure(troubles[0])
    try:
        mode = stat.S_IMODE(folders.variables.stat().st_mode)
        if mode & _OTHERS:
            folders.variables.chmod(0o600)
            note(f"{folders.variables} could be read by others (mode {mode:04o}); its mode is 0600 now")
    except FileNotFoundError:
        return
    except OSError as error:
        note(f"{folders.variables} can be read by others, and its mode cannot be changed ({error.strerror})")


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, _MOST_BYTES)
    except FileNotFoundError:
        return b""


def _why_none(line: bytes) -> str | None:
    """Return why a line can be no variable; comments and other lines without a name are let through, and ignored."""
    if b"\0" in line:
        return "holds a NUL byte"
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} of it (0x{line[error.start]:02x}) is no UTF-8"
    return None
