"""Which tasks there are, given what is written already: files to be cut, clips to be segmented, each once."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from segrt.runtime.scale.archive.archive_clips import Clip, SourceFile
from segrt.runtime.scale.archive.archive_store import ArchiveStore
from segrt.runtime.scale.archive.clip_worker import Task
from segrt.runtime.scale.archive.row_tables import FAILURES, FRAMES, INDEX, table_of

PICTURES_OF_A_CLIP = 64


class ArchivePlan:
    """Hands out tasks one by one: clips that are known before files that are to be cut, so that few wait.

    `done` are the clips that were complete before; `changed` are files of which other bytes were archived then.
    """

    def __init__(self, store: ArchiveStore, files: Sequence[SourceFile]) -> None:
        self._store = store
        self._indexed = store.parts(INDEX)
        self._complete = store.parts(FRAMES)
        self._failed = store.parts(FAILURES)
        self._clips: deque[Clip] = deque()
        self.done = 0
        self.changed: list[SourceFile] = []
        self._videos = deque(file for file in files if file.kind == "video")
        self._picture_clips = self._of_pictures([file for file in files if file.kind == "picture"])

    @property
    def files_left(self) -> int:
        """How many videos were not cut yet."""
        return len(self._videos)

    @property
    def clips_waiting(self) -> int:
        """How many clips are known and wait."""
        return len(self._clips)

    def next_task(self) -> Task | None:
        """Return the next task, None when there is none left."""
        while True:
            if self._clips:
                return self._clips.popleft()
            clip = next(self._picture_clips, None)
            if clip is not None:
                return clip
            if not self._videos:
                return None
            file = self._videos.popleft()
            if file.source_id not in self._indexed or not self._take_indexed(file):
                return file

    def add_cut(self, file: SourceFile, clips: Sequence[Clip]) -> None:
        """Take the clips of a file, and keep them: when the run is taken up again, they are the same."""
        self._store.write(INDEX, file.source_id, table_of(INDEX, (row for clip in clips for row in index_rows(clip))))
        self._add(clips)

    def _add(self, clips: Sequence[Clip]) -> None:
        for clip in clips:
            if clip.clip_id in self._complete:
                self.done += 1
            else:
                self._clips.append(clip)

    def _take_indexed(self, file: SourceFile) -> bool:
        """Take the clips of a file that was cut before; False where it changed before any was complete: it is new."""
        rows = self._store.read(INDEX, file.source_id).to_pylist()
        if not all(_is_of(row, file) for row in rows) and not any(row["clip"] in self._complete for row in rows):
            self._forget(file.source_id, rows)
            return False
        if self._compare(file, rows):
            self._add([clip_of(row, (file,)) for row in rows])
        return True

    def _compare(self, file: SourceFile, rows: Sequence[dict[str, Any]]) -> bool:
        """Say whether a file is still what its rows of `index` tell of, and keep it in mind where it is not."""
        if not all(_is_of(row, file) for row in rows):
            self.changed.append(file)
            return False
        if self._failed and file.source_id in self._failed:  # it had changed, and is what it was
            self._store.delete(FAILURES, file.source_id)
        return True

    def _forget(self, part: str, rows: Sequence[dict[str, Any]]) -> None:
        """Delete a part of `index` whose clips cannot be done any more, and what of them had failed."""
        self._store.delete(INDEX, part)
        for clip_id in {row["clip"] for row in rows} & self._failed:
            self._store.delete(FAILURES, clip_id)

    def _of_pictures(self, files: Sequence[SourceFile]) -> Iterator[Clip]:
        """Yield clips of pictures: those of before, as they were, then the new ones."""
        new = {file.name: file for file in files}
        for part in sorted(part for part in self._indexed if part.startswith("pictures-")):
            rows = self._store.read(INDEX, part).to_pylist()
            clip_id, taken = rows[0]["clip"], rows
            if clip_id in self._complete:
                taken = self._with_frames(clip_id, rows, new)
            found = [new.pop(row["source"], None) for row in taken]
            members = [file for file in found if file is not None]
            same = [row for row, file in zip(taken, found, strict=True) if file is not None and _is_of(row, file)]
            if clip_id in self._complete:
                self.done += 1
                for row, file in zip(taken, found, strict=True):
                    if file is not None:
                        self._compare(file, [row])
            elif len(same) == len(rows):
                yield Clip(tuple(members))
            elif members:  # it was begun, and cannot be ended as it was: what is left of it begins anew
                self._forget(part, rows)
                new |= {file.name: file for file in members}
        left = list(new.values())
        for first in range(0, len(left), PICTURES_OF_A_CLIP):
            clip = Clip(tuple(left[first : first + PICTURES_OF_A_CLIP]))
            self._store.write(INDEX, f"pictures-{clip.clip_id}", table_of(INDEX, index_rows(clip)))
            yield clip

    def _with_frames(
        self, clip_id: str, rows: list[dict[str, Any]], new: dict[str, SourceFile]
    ) -> list[dict[str, Any]]:
        """Return the rows of a complete clip's pictures that could be read; those of others are tried once more.

        What their failures say is forgotten: it is said anew of the clip that they come into.
        """
        there = set(self._store.read(FRAMES, clip_id, ["source"])["source"].to_pylist())
        again = {row["source"] for row in rows if row["source"] in new} - there
        if again and clip_id in self._failed:
            told = self._store.read(FAILURES, clip_id).to_pylist()
            left = [row for row in told if row["source"] not in again]
            if left:
                self._store.write(FAILURES, clip_id, table_of(FAILURES, left))
            else:
                self._store.delete(FAILURES, clip_id)
        return [row for row in rows if row["source"] in there]


def _is_of(row: dict[str, Any], file: SourceFile) -> bool:
    """Say whether a row of `index` tells of this very file, by its size and time."""
    return bool((row["size"], row["modified"]) == (file.size, file.modified))


def index_rows(clip: Clip) -> list[dict[str, Any]]:
    """Return the rows of `index` about a clip: one a file of it."""
    cut = {
        "clip": clip.clip_id, "start": clip.start, "end": clip.end, "first_frame": clip.first_frame,
        "frames": clip.frames, "before": clip.before, "begins": clip.begins, "ends": clip.ends,
    }  # fmt: skip
    return [
        {**cut, "source": file.name, "kind": file.kind, "size": file.size, "modified": file.modified}
        for file in clip.files
    ]


def clip_of(row: dict[str, Any], files: tuple[SourceFile, ...]) -> Clip:
    """Return the clip that a row of `index` tells of."""
    return Clip(
        files, row["start"], row["end"], row["first_frame"], row["frames"], row["before"], row["begins"], row["ends"]
    )
