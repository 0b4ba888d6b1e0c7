"""What may name a service and a root folder: names and paths, and nothing that a shell or a path reads more into."""

import re

from segrt.runtime.deploy.device.failure import Failure

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_RESERVED = ("envs", "incoming", "lock", "segrt-device", "key.json")
_ROOT = re.compile(r"(?:~|~?/[\w ./@+,=:~-]*)")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_service(name: str) -> None:
    """Raise Failure unless `name` may be a service's."""
    if not _NAME.fullmatch(name) or name.endswith(".service") or name in _RESERVED:
        raise Failure(f"a service's name must be letters, digits, '-', '_' or '.', but got {name!r}")


def check_root(root: str) -> None:
    """Raise Failure unless `root` may be the folder of all that segrt has on a device, or is "auto"."""
    if root != "auto" and (len(root) > 512 or not _ROOT.fullmatch(root) or ".." in root.split("/")):
        raise Failure(
            f"--root: must be an absolute path, or one that begins with ~/, of letters, digits, spaces and ./@+,=:~_- "
            f"without '..', but got {root!r}"
        )


def check_file_name(name: str) -> None:
    """Raise Failure unless `name` is the plain name of a file or folder."""
    if not _FILE.fullmatch(name):
        raise Failure(f"a file's name must be letters, digits and _.+!-, but got {name!r}")


def check_sha256(text: str) -> None:
    """Raise Failure unless `text` is a SHA-256 in hexadecimal digits."""
    if not _SHA256.fullmatch(text):
        raise Failure(f"a SHA-256 must be 64 hexadecimal digits, but got {text[:80]!r}")
