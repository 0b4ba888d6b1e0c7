"""Whether an installed release is still what was signed; asked before each start."""

from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.file_hashes import IndexedFile, difference, sha256_of
from segrt.runtime.deploy.device.folders import ServiceFolders, read_record
from segrt.runtime.deploy.device.kept_records import EnvironmentFiles, ReleaseRecord
from segrt.runtime.deploy.device.regular_files import read_regular
from segrt.runtime.deploy.device.statements import MOST_BYTES, ReleaseIndex, open_statement
from segrt.runtime.deploy.device.trust import trusted_key

INDEX = "index.signed"
COMPLETE, FILES = "complete", "files.json"
_BUNDLE = "bundle/"
_OWN = ("release.json", "verify.txt", "verify-key.pub", "env", INDEX)


def why_changed(folders: ServiceFolders, release: str) -> str | None:
    """Return in words what of a signed release is not as it was signed; None for nothing, and for an unsigned one."""
    try:
        return _why_changed(folders, release)
    except Failure as failure:
        return str(failure)
    except OSError as error:
        return f"{error.filename}: cannot be read ({error.strerror})"


def _why_changed(folders: ServiceFolders, release: str) -> str | None:
    record = folders.record_of(release)
    folder = folders.releases / release
    if record is None or (record.index is None and not (folder / INDEX).exists()):
        return None
    trusted = trusted_key(folders)
    if trusted is None:
        return None  # the owner removed the key
    text = read_regular(folder / INDEX, MOST_BYTES)
    index = open_statement(ReleaseIndex, text, [trusted.key, *trusted.before], str(folder / INDEX))
    bundle = tuple(IndexedFile(_BUNDLE + file.path, file.size, file.sha256) for file in index.pack.files)
    others = tuple(file for file in record.files if not file.path.startswith(_BUNDLE))
    return difference(folder, (*bundle, *others), but_for=_OWN) or _environment_changed(folders, release, record, index)


def _environment_changed(
    folders: ServiceFolders, release: str, record: ReleaseRecord, index: ReleaseIndex
) -> str | None:
    if not index.packages:
        return None
    environment = (folders.releases / release / "env").resolve()
    if environment.parent != folders.environments.resolve():
        return f"{environment}: is not an environment of {folders.environments}"
    if sha256_of(environment / FILES) != record.environment_files:
        return f"{environment / FILES}: was changed"
    known = read_record(EnvironmentFiles, environment / FILES)
    return difference(environment, known.files if known else (), but_for=(COMPLETE, FILES))
