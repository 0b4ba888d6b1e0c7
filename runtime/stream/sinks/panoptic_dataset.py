"""Panoptic results as a COCO data set: out.json beside out/*.png, which `segrt eval --predictions` and others read."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from segrt.runtime.errors import VideoError
from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.coco_results import image_entry
from segrt.runtime.outputs.output_files import check_file, failed_write, names_of_sources
from segrt.runtime.outputs.panoptic_journal import PanopticJournal, finish_journals, journal_of
from segrt.runtime.outputs.place import Anchor, delete_empty
from segrt.runtime.outputs.rotation import RotatedFiles, written_with_rotation
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.outputs.written_files import PictureFolder, WrittenFiles
from segrt.runtime.results import PanopticResult, Result
from segrt.runtime.results.coco_format import encode_panoptic_png
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import SourceInfo


class CocoPanopticSink(Sink):
    """Writes `path`, COCO's panoptic JSON, and a PNG of segment ids for each frame into the folder of its name.

    PNGs are named by the frame's index, those of several sources SOURCE-INDEX. The pictures of one folder keep their
    ids (`Frame.image_id`), as in `segrt run`; else they are numbered from 1. Where things are tracked, ids are those of
    their tracks, the same in every picture of a source, and what has no track is void. Until a file is closed, a
    `PanopticJournal` holds what belongs into the JSON. Files are named and rotated by `RotatedFiles`.
    """

    forms: ClassVar = {"FILE.json": "COCO panoptic"}
    name = "coco"
    techniques = ("panoptic",)

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:
        check_file(path)
        self._path = path
        self._files = RotatedFiles(path, options or SinkOptions(), with_folder=True)
        self._names: dict[str, str] = {}
        self._journal: PanopticJournal | None = None
        self._pngs: Anchor | None = None
        self._bytes = 0
        self._tracked = False

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:
        """Return the JSON, the lines that it is made of, and the folder of PNGs beside it."""
        path = Path(spec)
        source = next(iter(names_of_sources(source_ids).values()))
        example = f"{source}-1234567.png" if source else "1234567.png"
        pngs = PictureFolder(path.with_suffix(""), re.compile(r"(.*-)?\d{6,}\.png"), example)
        return replace(written_with_rotation(path), pictures=(pngs,), files=(path, journal_of(path)))

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Finish what a killed run has left, then begin a file."""
        self._names = names_of_sources([source.source_id for source in sources])
        finish_journals(self._path)
        self._begin()

    def reopen(self) -> None:
        """Go on behind the last complete line; begin a new data set where this one was deleted or replaced."""
        self._files.prune()
        if self._journal is not None and self._journal.pictures and self._journal.stands() and self._pngs_stand():
            self._journal.reopen()
            return
        self.close()
        finish_journals(self._path)
        self._begin()

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Write the frame's PNG, then its line."""
        assert isinstance(result, PanopticResult)
        result = self._with_lasting_ids(result)
        if self._files.due(frame.pts, self._bytes):
            self.close()
            self._begin()
            self._files.due(frame.pts)  # notes when it begins
        assert self._journal is not None
        source = self._names[frame.source_id]
        name = f"{source}-{frame.index:06d}.png" if source else f"{frame.index:06d}.png"
        png = encode_panoptic_png(result.segment_ids)
        target = self._png_folder() / name
        image_id = self._journal.pictures + 1 if frame.image_id is None or source else frame.image_id
        image = {**image_entry(image_id, name, frame.size), "source": frame.source_id, "pts": frame.pts}
        try:
            target.write_bytes(png)
            self._journal.add(image, result, name)
        except OSError as error:
            self._png_folder()  # if it is gone since, that is the reason
            delete_empty(target)
            raise failed_write(target, error, self._written) from error
        except VideoError:
            delete_empty(target)  # a picture of which the JSON would say nothing
            raise
        self._bytes += len(png)

    def written(self) -> Sequence[Path]:
        """Return each JSON and its folder of PNGs."""
        return [path for file in self._files.begun for path in (file, file.with_suffix(""))]

    def close(self) -> None:
        """Write the JSON."""
        journal, self._journal = self._journal, None
        if self._pngs is not None:
            self._pngs.release()
        self._pngs = None
        if journal is not None:
            journal.finish()

    def _with_lasting_ids(self, result: PanopticResult) -> PanopticResult:
        """Return the result with tracks' ids; as it is while nothing has been tracked."""
        if any(segment.track_id is not None for segment in result):
            self._tracked = True
            return result.by_track()
        return replace(result, segments=[], segment_ids=np.zeros(result.size, np.int32)) if self._tracked else result

    @property
    def _written(self) -> str:
        return f"{self._journal.pictures if self._journal else 0} pictures are there"

    def _png_folder(self) -> Path:
        """Return the folder of PNGs, made with the first one; raise VideoError when it was deleted or replaced."""
        assert self._files.current is not None
        folder = self._files.current.with_suffix("")
        if self._pngs is None:
            make_folder(folder)
            try:
                self._pngs = Anchor(folder)
            except OSError as error:
                raise failed_write(folder, error, self._written) from error
        self._pngs.check(self._written)
        return folder

    def _pngs_stand(self) -> bool:
        return self._pngs is None or self._pngs.stands()

    def _begin(self) -> None:
        path = self._files.next()
        self._bytes = 0
        self._journal = PanopticJournal(path)
