"""Keeps clips of sources while rules hold, with what was before and after."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.images import Picture
from segrt.runtime.outputs.output_files import names_of_sources, safe_name
from segrt.runtime.outputs.rotation import RotatedFiles
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.clips.clip_file import ClipFile
from segrt.runtime.stream.clips.frame_encoder import FrameEncoder
from segrt.runtime.stream.clips.packet_ring import PacketRing
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.source import Source
from segrt.runtime.stream.stage_thread import start

log = logging.getLogger("segrt.stream")
_UNTIMED_RATE = 25  # frames a second of a source that states no times
_WAITING_FRAMES = 4  # that wait to be encoded; a live source loses what comes then
_END_SECONDS = 2.0
_LABEL = "clips"


class ClipKeeper:
    """Writes clips into `folder`, from `before` seconds before a rule held to `after` seconds after it last did.

    A clip has the source's own packets, from a key frame on, where an mp4 can hold them, as of video files, RTSP and
    HTTP streams; frames of other sources, and edited ones, are encoded as they come. Of live sources all work is done
    in a thread of its own, and a clip that cannot be written is given up, said and counted; else that ends the run.
    """

    def __init__(self, folder: Path, options: SinkOptions, *, before: float, after: float) -> None:
        make_folder(folder)
        self._folder, self._options = folder, options
        self._before, self._after = before, after
        self._sources: dict[str, _Clips] = {}
        self._recorder: Recorder | None = None
        self._changed = threading.Condition()
        self._closing = self._due = False
        self._apart = False
        self._thread: threading.Thread | None = None

    def watch(self, sources: Sequence[Source], recorder: Recorder, *, packets: bool = True) -> None:
        """Take the sources, and tap their packets; without `packets` clips are of the frames that `take` is given."""
        self._recorder = recorder
        self._apart = any(source.info.live for source in sources)
        names = names_of_sources([source.info.source_id for source in sources])
        for source in sources:
            ring = PacketRing(self._before)
            if packets:
                source.tap = ring
            name = names[source.info.source_id]
            encoder = FrameEncoder(ring, f"--record-on, {source.info.source_id}")
            self._sources[source.info.source_id] = _Clips(name, ring, encoder)

    def take(self, frame: Frame, rule: str | None) -> Path | None:
        """Take a frame and the text of a rule that holds in it, None where none does; return a clip that begins."""
        source = self._sources[frame.source_id]
        now = frame.index / _UNTIMED_RATE if frame.pts is None else frame.pts
        begun = None
        with self._changed:
            clip = source.current
            if clip is not None and (now < clip.until or clip.broken):
                clip.ended, clip = True, None
            if clip is None and rule is not None:
                begun = self._name(source, rule)
                if begun is not None:
                    clip = _Clip(begun, now - self._before)
                    source.clips.append(clip)
            if clip is not None:
                if rule is not None:
                    clip.holds_until = now + self._after
                clip.until = max(clip.until, min(now, clip.holds_until))
                clip.ended = now >= clip.holds_until
            source.current = None if clip is None or clip.ended else clip
            if not source.ring.usable or source.encodes:  # once encoded, its frames begin the stream that is kept
                source.encodes = True
                source.frames.append((frame.visible, now))
            self._due = True
            self._changed.notify()
        if not self._apart:
            source.work()
        elif self._thread is None:
            self._thread = threading.Thread(target=self._work, name="segrt clips", daemon=True)
            start(self._thread)
        return begun

    def written(self) -> Sequence[Path]:
        """Return the clips of this run that are there."""
        return [path for source in self._sources.values() for files in source.files.values() for path in files.begun]

    def close(self) -> None:
        """Finish all clips."""
        with self._changed:
            self._closing = True
            for source in self._sources.values():
                for clip in source.clips:
                    clip.ended = True
            self._due = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)
            return
        for source in self._sources.values():
            source.work()

    def _name(self, source: "_Clips", rule: str) -> Path | None:
        """Return the path of a clip that begins; of a live source None where there can be none, which is said."""
        if rule not in source.files:
            stem = "-".join(filter(None, (source.name, safe_name(rule.replace("/", "-")).replace("_", "-"))))
            options = SinkOptions(keep_bytes=self._options.keep_bytes, live=self._apart)
            source.files[rule] = RotatedFiles(self._folder / f"{stem}.mp4", options)
        if time.monotonic() < source.again_at:
            return None
        try:
            path = source.files[rule].next()
        except SegrtError as error:
            if not self._apart:
                raise
            source.again_at = time.monotonic() + source.backoff.next()
            self._report(error, said=source.backoff.should_log)
            return None
        source.backoff.reset()
        return path

    def _work(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(lambda: self._due)
                self._due, closing = False, self._closing
            for source in self._sources.values():
                self._work_on(source)

    def _work_on(self, source: "_Clips") -> None:
        try:
            source.work()
        except SegrtError as error:
            source.again_at = time.monotonic() + source.backoff.next()
            self._report(error, said=source.backoff.should_log)

    def _report(self, error: SegrtError, *, said: bool) -> None:
        if said:
            log.warning("%s: %s", _LABEL, error)
        if self._recorder is not None:
            self._recorder.sink(_LABEL, failures=1)


@dataclass(eq=False)
class _Clip:
    """A clip: from `start` on, seconds of frames' times, `until` now; `ended` when nothing more belongs to it."""

    path: Path
    start: float
    until: float = float("-inf")
    holds_until: float = float("-inf")
    ended: bool = False
    broken: bool = False
    file: ClipFile | None = None


@dataclass(eq=False)
class _Clips:
    """The packets and clips of one source."""

    name: str
    ring: PacketRing
    encoder: FrameEncoder
    encodes: bool = False
    frames: "deque[tuple[Picture, float]]" = field(default_factory=lambda: deque(maxlen=_WAITING_FRAMES))
    clips: "deque[_Clip]" = field(default_factory=deque)
    current: _Clip | None = None
    files: dict[str, RotatedFiles] = field(default_factory=dict)
    backoff: Backoff = field(default_factory=Backoff)
    again_at: float = 0.0

    def work(self) -> None:
        """Encode what waits and write what clips lack; raise SegrtError for a clip that cannot be written."""
        while self.frames:
            self.encoder.encode(*self.frames.popleft())
        for clip in list(self.clips):
            ended = clip.ended
            try:
                if not clip.broken:
                    self._write(clip)
                if ended and clip.file is not None and not clip.broken:
                    clip.file.close()
            except BaseException:
                clip.broken = True
                raise
            finally:
                if ended or clip.broken:
                    self.clips.remove(clip)

    def _write(self, clip: _Clip) -> None:
        ring = self.ring
        if clip.file is None:
            waiting = ring.from_time(clip.start)
            if not waiting or waiting[0].time > ring.time_of(clip.until):
                return
            clip.file = ClipFile(clip.path, ring)
        elif clip.file.generation != ring.generation:  # the source began anew; a clip that goes on is another file
            clip.file.close()
            clip.broken = True
            return
        else:
            waiting = ring.after(clip.file.last_number)
        last = ring.time_of(clip.until)
        for kept in waiting:
            if kept.time > last + 1e-6:
                break
            clip.file.write(kept)
