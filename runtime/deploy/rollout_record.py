"""The last rollout, kept on the desk so that `segrt deploy --resume` can go on with it."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from segrt.runtime.deploy.plan import Options
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import write_atomic
from segrt.runtime.files.cache import cache_folder
from segrt.runtime.files.json_files import JsonError, decode_json
from segrt.runtime.files.reading import read_bytes


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A rollout: the name of its run, its options and devices, and which of those are done."""

    run: str
    options: Options
    devices: tuple[str, ...]
    done: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """The devices that are not done yet."""
        return tuple(name for name in self.devices if name not in self.done)


def record_file() -> Path:
    """Return the file of the record."""
    return cache_folder() / "deploy" / "last.json"


def write_record(rollout: Rollout) -> None:
    """Keep `rollout`. A cache folder that cannot be written is no reason to stop: then nothing can be resumed."""
    path = record_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, msgspec.json.format(msgspec.json.encode(rollout), indent=1) + b"\n")
    except (OSError, SegrtError):
        return


def read_record() -> Rollout:
    """Return the last rollout; raise SegrtError when there was none, or its record is damaged."""
    path = record_file()
    try:
        rollout: Rollout = decode_json(read_bytes(path), Rollout)
    except OSError:
        raise SegrtError("there is no rollout to go on with; give PACK and the devices") from None
    except JsonError as error:
        raise SegrtError(f"{path}: is no record of a rollout ({error}); give PACK and the devices") from None
    return rollout
