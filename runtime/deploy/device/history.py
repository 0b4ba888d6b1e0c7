"""history.jsonl: a line for every deployment that ended, and for every return that the device made by itself."""

import json
import os

from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.json_conversion import to_json
from segrt.runtime.deploy.device.kept_records import DeploymentSummary

_MODE = 0o640
_NOT_KEPT = ("details", "step")


def add_to_history(folders: ServiceFolders, record: DeploymentSummary) -> None:
    """Append a record; a line before it that a power cut tore is ended first, so that it is the only one lost."""
    kept = {name: value for name, value in to_json(record).items() if name not in _NOT_KEPT}
    handle = os.open(folders.history, os.O_RDWR | os.O_APPEND | os.O_CREAT, _MODE)
    with open(handle, "r+b", buffering=0) as file:  # noqa: PTH123 (a handle)
        os.fchmod(handle, _MODE)
        end = file.seek(0, os.SEEK_END)
        torn = False
        if end:
            file.seek(end - 1)
            torn = file.read(1) != b"\n"
        file.write(b"\n" * torn + json.dumps(kept, ensure_ascii=False).encode(errors="replace") + b"\n")
        os.fsync(handle)
