"""Panoptic results as a COCO data set: out.json beside out/*.png, which `segrt eval --predictions` and others read."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.coco_results import image_entry
from segrt.runtime.outputs.output_files import check_file, failed_write, names_of_sources
from segrt.runtime.outputs.panoptic_journal import PanopticJournal, finish_journals
from segrt.runtime.outputs.rotation import RotatedFiles
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
    ids (`Frame.image_id`), as in `segrt run`; else they are numbered from 1. Until a file is closed, a
    `PanopticJournal` holds what belongs into the JSON. Files are rotated as `SinkOptions` says.
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
        self._bytes = 0

    @classmethod
    def files(cls, spec: str, source_ids: Sequence[str]) -> WrittenFiles:  # noqa: ARG003
        """Return the JSON, and the folder of PNGs beside it."""
        path = Path(spec)
        return WrittenFiles(path, (PictureFolder(path.with_suffix(""), re.compile(r"(.*-)?\d{6,}\.png")),))

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Finish what a killed run has left, then begin a file."""
        self._names = names_of_sources([source.source_id for source in sources])
        finish_journals(self._path)
        self._begin()

    def reopen(self) -> None:
        """Go on behind the last complete line."""
        self._files.prune()
        if self._journal is None:
            self._begin()
        else:
            self._journal.reopen()

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Write the frame's PNG, then its line."""
        assert isinstance(result, PanopticResult)
        if self._files.due(frame.pts, self._bytes):
            self.close()
            self._begin()
            self._files.due(frame.pts)  # notes when it begins
        assert self._journal is not None
        source = self._names[frame.source_id]
        name = f"{source}-{frame.index:06d}.png" if source else f"{frame.index:06d}.png"
        png = encode_panoptic_png(result.segment_ids)
        target = make_folder(self._folder) / name
        try:
            target.write_bytes(png)
        except OSError as error:
            raise failed_write(target, error, f"{self._journal.pictures} pictures are there") from error
        image_id = self._journal.pictures + 1 if frame.image_id is None or source else frame.image_id
        image = {**image_entry(image_id, name, frame.size), "source": frame.source_id, "pts": frame.pts}
        self._journal.add(image, result, name)
        self._bytes += len(png)

    def close(self) -> None:
        """Write the JSON."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.finish()

    @property
    def _folder(self) -> Path:
        assert self._files.current is not None
        return self._files.current.with_suffix("")

    def _begin(self) -> None:
        path = self._files.next()
        self._bytes = 0
        self._journal = PanopticJournal(path)
