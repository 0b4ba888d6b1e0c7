"""The steps of a deployment: told to the desk while it listens, and kept in deployment.json for when it does not."""

import json
import os
import sys
import time
from dataclasses import replace

from segrt.runtime.deploy.device.folders import ServiceFolders, write_record
from segrt.runtime.deploy.device.history import add_to_history
from segrt.runtime.deploy.device.json_conversion import to_json
from segrt.runtime.deploy.device.kept_records import DeploymentRecord
from segrt.runtime.deploy.device.protocol import Answer, DeploymentAnswer, Note, Step

_MODE = 0o640  # it quotes what programs wrote


def tell(message: Step | Note | Answer) -> None:
    """Send the desk a line of JSON; a desk that went away is no reason to stop."""
    try:
        sys.stdout.write(json.dumps(to_json(message), ensure_ascii=False) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115


class Journal:
    """deployment.json of a service while a deployment goes on; `what` is "install" or "rollback"."""

    def __init__(self, folders: ServiceFolders, run: str, what: str) -> None:
        self._folders = folders
        self._record = DeploymentRecord(run, what, from_release=folders.linked(folders.current), started=now())

    def set_release(self, release: str) -> None:
        """Note the release that is to run."""
        self._record = replace(self._record, release=release)

    def step(self, name: str) -> None:
        """Begin a step."""
        self._record = replace(self._record, step=name)
        write_record(self._folders.deployment, self._record, _MODE)
        tell(Step(name))

    def note(self, line: str) -> None:
        """Say something that the operator should know and that stops nothing."""
        self._record = replace(self._record, notes=(*self._record.notes, line))
        tell(Note(line))

    def end(self, result: str, why: str = "", details: str = "") -> None:
        """Write how it ended: `done`, `unchanged` or `failed`."""
        self._record = replace(self._record, ended=now(), result=result, why=why, details=details)
        write_record(self._folders.deployment, self._record, _MODE)
        add_to_history(self._folders, self._record)
        tell(answer_of(self._record))


def answer_of(record: DeploymentRecord) -> DeploymentAnswer:
    """Return what the desk is told of a deployment that ended."""
    return DeploymentAnswer(record.result or "failed", record.why, record.details, record.release, record.notes)


def now() -> str:
    """Return the time as ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
