"""What a worker does, in its own process: cut a file, or segment a clip and write its rows."""

import hashlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest_parsing import dump_manifest
from segrt.runtime.errors import DeviceLostError, SegrtError, one_line
from segrt.runtime.files.images import decode_image
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.scale.archive.archive_clips import Clip, SourceFile
from segrt.runtime.scale.archive.archive_dataset import token_in
from segrt.runtime.scale.archive.archive_job import (
    ArchiveJob,
    ClipsOutcome,
    DoneOutcome,
    EndOutcome,
    FailedOutcome,
    LostOutcome,
    Outcome,
)
from segrt.runtime.scale.archive.archive_store import ArchiveStore, StoreError
from segrt.runtime.scale.archive.clip_cutting import cut_video
from segrt.runtime.scale.archive.clip_decoding import DamagedError, clip_frames
from segrt.runtime.scale.archive.row_buffer import RowBuffer
from segrt.runtime.scale.archive.row_tables import FAILURES, FRAMES, Place, table_of
from segrt.runtime.scale.archive.video_access import open_file
from segrt.runtime.segmenter import Segmenter, find_bundle

Task = SourceFile | Clip
"""A file to be cut, or a clip to be segmented."""


class _NoPictureError(Exception):
    """None of a clip's pictures could be read: it is not complete."""


def digest_of(bundle: Bundle) -> str:
    """Return the SHA-256 of a bundle's manifest, which has those of its files."""
    return hashlib.sha256(dump_manifest(bundle.manifest)).hexdigest()


@dataclass
class ClipWorker:
    """Does one task after the other; the bundle is opened for the first clip and stays open."""

    job: ArchiveJob
    segmenter: Segmenter | None = None
    store: ArchiveStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = ArchiveStore(self.job.out, self.job.run)

    def trouble(self) -> str | None:
        """Return why this process cannot take part: it does not see the same dataset or bundle, or is another segrt."""
        where = f"a worker on {socket.gethostname()}"
        try:
            if token_in(self.store) != self.job.token:
                return f"{where} sees another {self.store.shown}; give a folder that all share, or an address"
            if digest_of(find_bundle(self.job.bundle)) != self.job.digest:
                return f"{where} has another bundle as {self.job.bundle}; copy it there, segrt {version('segrt')}"
        except SegrtError as error:
            return f"{where}: {error}"
        return None

    def do(self, task: Task) -> Outcome:
        """Cut a file or segment a clip; every error but the loss of the process comes back as an outcome."""
        try:
            return self._cut(task) if isinstance(task, SourceFile) else self._segmented(task)
        except DeviceLostError as error:
            os._exit(error.exit_code)  # nothing in this process can use the device again
        except StoreError as error:
            return EndOutcome(str(error))
        except SegrtError as error:
            return FailedOutcome(str(error))
        except MemoryError:
            return LostOutcome("ran out of memory")
        except Exception as error:  # of one clip, whatever it is: others go on
            name = task.name
            return FailedOutcome(f"{name}: {type(error).__name__}: {one_line(error)}; please report it", "error")

    def _cut(self, file: SourceFile) -> Outcome:
        return ClipsOutcome(tuple(cut_video(file, self.job.clip_seconds)))

    def _segmented(self, clip: Clip) -> Outcome:
        clip_id = clip.clip_id
        if self.store.has(FRAMES, clip_id):  # a worker that was given up has done it
            counts = self.store.read(FRAMES, clip_id, ["segments"])["segments"].to_pylist()
            return DoneOutcome(len(counts), sum(counts), kept=True)
        if self.segmenter is None:
            try:
                self.segmenter = self.job.opening()
            except SegrtError as error:
                return EndOutcome(str(error))
        failures: list[dict[str, Any]] = []
        try:
            rows = self._written(clip, failures)
        except _NoPictureError:
            return FailedOutcome(failures[0]["message"], rows=tuple(failures))
        return DoneOutcome(rows.frames, rows.segments, damage=failures[0]["message"] if failures else "")

    def _written(self, clip: Clip, failures: list[dict[str, Any]]) -> RowBuffer:
        """Write the rows of a clip, and its failures; raise _NoPictureError where none of its pictures gave rows."""
        assert self.segmenter is not None
        with RowBuffer(self.store, clip.clip_id) as rows:
            taken = self._pictures(clip, failures) if clip.files[0].kind == "picture" else self._frames(clip, failures)
            for place, image in taken:
                rows.add(place, self.segmenter(image))
            if failures and not rows.frames and clip.files[0].kind == "picture":
                raise _NoPictureError
            if failures:
                self.store.write(FAILURES, clip.clip_id, table_of(FAILURES, failures))
        return rows

    def _frames(self, clip: Clip, failures: list[dict[str, Any]]) -> Iterator[tuple[Place, Raster]]:
        assert self.segmenter is not None
        (file,) = clip.files
        try:
            for frame in clip_frames(clip, self.job.every):
                yield Place(file.name, frame.index, frame.pts), frame.image
        except DamagedError as error:
            failures.append(failure_row(clip, "damaged", str(error)))

    def _pictures(self, clip: Clip, failures: list[dict[str, Any]]) -> Iterator[tuple[Place, Raster]]:
        for file in clip.files:
            try:
                picture = self._picture(file)
            except SegrtError as error:  # noqa: PERF203 (one picture's, others follow)
                failures.append({**failure_row(clip, "unreadable", str(error)), "source": file.name})
            else:
                yield Place(file.name, 0, None), picture

    def _picture(self, file: SourceFile) -> Raster:
        assert self.segmenter is not None
        if not file.root:
            return self.segmenter.read(file.path)
        if not self.segmenter.manifest.image_input.takes_pictures:
            raise SegrtError(
                f"{file.name}: is not here, where pictures of more than 8-bit colours are read; copy it here"
            )
        with open_file(file) as opened:
            return decode_image(opened.read(), file.name)


def failure_row(task: Task, kind: str, message: str, attempts: int = 1) -> dict[str, Any]:
    """Return a row of `failures` about a file or a clip."""
    if isinstance(task, SourceFile):
        return {"source": task.name, "kind": kind, "message": message, "attempts": attempts}
    return {
        "source": task.files[0].name, "kind": kind, "message": message, "clip": task.clip_id, "attempts": attempts,
    }  # fmt: skip
