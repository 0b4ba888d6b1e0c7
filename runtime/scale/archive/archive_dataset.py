"""What a dataset says of itself, `dataset.json`: whose results it holds, so that nothing else is mixed in."""

import secrets
from importlib.metadata import version
from typing import Any

import msgspec

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label
from segrt.runtime.results.technique import Technique
from segrt.runtime.scale.archive.archive_store import ArchiveStore
from segrt.runtime.scale.archive.row_tables import TABLES

RECORD = "dataset.json"
KIND, FORMAT = "segrt-archive", "1.0"


class ArchiveRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose results a dataset holds.

    kind, format: what it is, "major.minor". segrt: the version that writes it. token: tells this folder from others.
    bundle, digest: the bundle's name and the SHA-256 of its manifest, which has those of its files. technique, labels:
    what rows mean. precision, decode: the variant, and the rule's options in force. clip_seconds, every: how sources
    were cut, and which frames were taken.
    """

    kind: str
    format: str
    segrt: str
    token: str
    bundle: str
    digest: str
    technique: Technique
    precision: str
    decode: dict[str, Any]
    labels: tuple[Label, ...]
    clip_seconds: float
    every: int


class _Header(msgspec.Struct):
    kind: str = ""
    format: str = ""
    segrt: str = ""


def new_record(bundle: Bundle, digest: str, precision: str, decode: dict[str, Any], **cut: Any) -> ArchiveRecord:
    """Return the record of a dataset that begins now; `cut` are clip_seconds and every."""
    manifest = bundle.manifest
    return ArchiveRecord(
        KIND, FORMAT, version("segrt"), secrets.token_hex(8), manifest.name, digest, manifest.technique, precision,
        decode, manifest.labels, **cut,
    )  # fmt: skip


def begin_dataset(store: ArchiveStore, wanted: ArchiveRecord) -> ArchiveRecord:
    """Make the dataset, or take the one that is there up again; return its record.

    Raises SegrtError where the folder holds something else: other files, results of another bundle, of other options or
    of another segrt.
    """
    entries = store.entries()
    if RECORD not in entries:
        others = sorted(name for name in entries if not name.startswith("."))
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            raise SegrtError(f"{store.shown}: holds {others[0]}{more}, and no dataset of segrt; give a new folder")
        store.prepare(TABLES)
        store.write_text(RECORD, msgspec.json.format(msgspec.json.encode(wanted), indent=2) + b"\n")
        return wanted
    found = read_record(store)
    _refuse_other(store, found, wanted)
    store.prepare(TABLES)
    return found


def is_archive(store: ArchiveStore) -> bool:
    """Say whether the folder is a dataset of `segrt archive`, of whatever version."""
    data = store.read_text(RECORD)
    try:
        return data is not None and msgspec.json.decode(data, type=_Header).kind == KIND
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def read_record(store: ArchiveStore) -> ArchiveRecord:
    """Return the record of a dataset; raise SegrtError for what is none, or is of another major version."""
    data = store.read_text(RECORD)
    if data is None:
        raise SegrtError(f"{store.shown}: has no {RECORD}; give the folder that `segrt archive` has written")
    try:
        header = msgspec.json.decode(data, type=_Header)
        if header.kind != KIND:
            raise SegrtError(f"{store.shown}: its {RECORD} is not one of `segrt archive`; give another folder")
        if header.format != FORMAT:
            raise SegrtError(
                f"{store.shown}: is a dataset of format {header.format!r}, by segrt {header.segrt}, but this segrt "
                f"{version('segrt')} writes {FORMAT}; use that version, or give a new folder"
            )
        return msgspec.json.decode(data, type=ArchiveRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SegrtError(f"{store.shown}: its {RECORD} cannot be read ({error}); give a new folder") from None


def token_in(store: ArchiveStore) -> str | None:
    """Return what tells this dataset from others, None where there is none."""
    return read_record(store).token if store.read_text(RECORD) is not None else None


def _refuse_other(store: ArchiveStore, found: ArchiveRecord, wanted: ArchiveRecord) -> None:
    """Raise SegrtError, naming the first difference, where results could not be told apart afterwards."""
    if found.segrt != wanted.segrt:
        raise SegrtError(
            f"{store.shown}: was begun by segrt {found.segrt}, but this is {wanted.segrt}; go on with that version, or "
            "give a new folder"
        )
    if found.digest != wanted.digest:
        raise SegrtError(
            f"{store.shown}: holds results of bundle {found.bundle!r}, but {wanted.bundle!r} is another one; give a "
            "new folder"
        )
    for name, what in (
        ("precision", "--precision"),
        ("decode", "thresholds"),
        ("clip_seconds", "--clip-seconds"),
        ("every", "--every"),
    ):
        before, now = getattr(found, name), getattr(wanted, name)
        if before != now:
            if isinstance(before, dict):
                name = next(key for key in now if before.get(key) != now[key])
                before, now, what = before.get(name), now[name], name
            raise SegrtError(f"{store.shown}: was begun with {what} {before}, now it is {now}; give a new folder")
