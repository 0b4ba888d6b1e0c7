"""The pictures of an archive's sources, a few evenly spread: for calibration, which takes files."""

from pathlib import Path

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.cache import cache_folder
from segrt.runtime.files.images import write_image
from segrt.runtime.scale.archive.archive_plan import clip_of
from segrt.runtime.scale.archive.archive_sources import find_sources
from segrt.runtime.scale.archive.archived_results import ArchivedResults, evenly
from segrt.runtime.scale.archive.clip_decoding import DamagedError, clip_frames
from segrt.runtime.scale.archive.row_tables import INDEX


def archived_pictures(folder: Path, most: int) -> list[Path]:
    """Return at most `most` pictures of the frames in an archive, evenly spread over its sources and their times.

    Pictures are the files themselves; frames of videos are decoded into PNGs in segrt's cache. Raises SegrtError for an
    archive without frames, and for sources that are not on this device, or not as they were.
    """
    archive = ArchivedResults(str(folder))
    chosen = evenly(sorted(archive.frames), most)
    if not chosen:
        raise SegrtError(f"{folder}: holds no frames yet; archive some first")
    clips: dict[str, list[tuple[str, int]]] = {}
    for key in chosen:
        clips.setdefault(archive.frames[key]["clip"], []).append(key)
    cuts = {
        row["clip"]: row
        for part in sorted(archive.store.parts(INDEX))
        for row in archive.store.read(INDEX, part).to_pylist()
    }
    kept = make_folder(cache_folder() / "archived" / archive.record.token)
    return [path for clip_id, keys in clips.items() for path in _of_clip(folder, cuts[clip_id], keys, kept)]


def _of_clip(folder: Path, cut: dict[str, object], keys: list[tuple[str, int]], kept: Path) -> list[Path]:
    source = keys[0][0]
    if "://" in source or not Path(source).is_file():
        raise SegrtError(f"{folder}: {source} is not on this device; give --calibration a folder of pictures")
    if cut["kind"] == "picture":
        return [Path(name) for name, _ in keys]
    paths = {frame: kept / f"{cut['clip']}-{frame}.png" for _, frame in keys}
    if not all(path.is_file() for path in paths.values()):
        (file,) = find_sources([source]).files
        if (file.size, file.modified) != (cut["size"], cut["modified"]):
            raise SegrtError(f"{folder}: {source} has changed since it was archived; archive it into a new folder")
        try:
            for frame in clip_frames(clip_of(cut, (file,))):
                if frame.index in paths:
                    write_image(paths[frame.index], frame.image)
        except DamagedError:  # what is wanted was decoded before, and so it is now
            pass
    return list(paths.values())
