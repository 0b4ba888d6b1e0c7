"""Ultralytics' own checkpoints (.pt): exported to ONNX by the user's own package, and adopted from there.

Package and weights are under the AGPL-3.0 or a licence that its makers sell, so that neither comes with segrt, and
every bundle says so.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.graph.editing import read_graph
from segrt.export.weights.user_paths import user_path
from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.names import new_name
from segrt.runtime.errors import SegrtError

PREFIX = "ultralytics:"
LICENCE = "AGPL-3.0"
REMARK = (
    f"Ultralytics' code, weights and what is made of them are under the {LICENCE}, unless you have its enterprise "
    "licence; segrt brings neither along"
)
_CHILD = Path(__file__).with_name("ultralytics_child.py")
_OPTION = re.compile(r"--[a-z][a-z-]*")
_EXPORT_TAKES = ("--size", "--labels", "--out", "--overwrite")
# Nothing is fetched, installed or reported, and a checkpoint may name classes of networks alone.
_ENVIRONMENT = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",
}


def adopt_checkpoint(path: Path, out: Path, options: AdoptOptions) -> list[str]:
    """Write the bundle `out` of Ultralytics' checkpoint at `path`; return a line for everything that was guessed.

    `options.size` is the network's (h, w), the one that it was trained at by default. Raises SegrtError where the
    package is missing or too old to read a checkpoint without running what it holds, for a file that is none or names
    more than networks, for one that gives no masks, and for a size that the network does not take.
    """
    name = new_name(options.name, out)
    BundleWriter(out, overwrite=options.overwrite)  # complains now, not after the work
    path = user_path(str(path), f"{PREFIX}{path}", "a checkpoint of Ultralytics, .pt")
    if not path.is_file():
        raise SegrtError(f"{PREFIX}{path}: there is no such file; give a checkpoint of Ultralytics, .pt")
    if path.suffix != ".pt":
        raise SegrtError(f"{PREFIX}{path}: must be a checkpoint of Ultralytics, .pt; `segrt adopt` takes .onnx files")
    if find_spec("ultralytics") is None:
        raise SegrtError(
            f"{PREFIX}{path}: needs Ultralytics' package ({LICENCE}), which does not come with segrt; "
            "`pip install ultralytics`"
        )
    with tempfile.TemporaryDirectory(prefix="segrt-ultralytics-") as folder:
        copy = Path(folder) / path.name  # the package writes beside the file
        copy.symlink_to(path.resolve())
        _export(path, copy, options.size)
        chosen = replace(options, name=name, weights=path.name, licence=LICENCE, family="ultralytics", size=None)
        written = copy.with_suffix(".onnx")
        _check_size(path, written, options.size)
        try:
            notes = adopt_network(written, out, chosen)
        except SegrtError as error:
            raise type(error)(_in_words_of_export(str(error), path, written)) from None
        return [line.replace(str(written), f"{PREFIX}{path}") for line in notes]


def _check_size(path: Path, written: Path, asked: tuple[int, int] | None) -> None:
    """Raise SegrtError where the package has rounded the size (h, w) that was asked for."""
    if asked is None:
        return
    shape = [dim.dim_value for dim in read_graph(written).model.graph.input[0].type.tensor_type.shape.dim]
    made = tuple(shape[2:])
    if made != asked:
        raise SegrtError(
            f"--size {asked[0]}x{asked[1]}: Ultralytics' package makes {'x'.join(map(str, made))} of it for {path}, "
            "whose sides must be multiples of its stride; give that, or another such size"
        )


def _in_words_of_export(what: str, path: Path, written: Path) -> str:
    """Return an error of adopting with the checkpoint's name, and where the options belong that export lacks."""
    what = what.replace(str(written), f"{PREFIX}{path}")
    if set(_OPTION.findall(what)) <= set(_EXPORT_TAKES):
        return what
    return f"{what} (an option of `segrt adopt`: export the checkpoint to ONNX yourself, and adopt that file)"


def _export(path: Path, copy: Path, size: tuple[int, int] | None) -> None:
    """Let the package write an ONNX file beside `copy`, in a process of its own; errors name `path`."""
    sides = [] if size is None else [str(side) for side in size]
    done = subprocess.run(
        [sys.executable, _CHILD, copy, *sides],
        env={**os.environ, **_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0 and copy.with_suffix(".onnx").is_file():
        return
    said = [line for line in done.stderr.splitlines() if line.strip()]
    what = said[-1].replace(str(copy), path.name)[:300] if said else f"it ended with {done.returncode}"
    raise SegrtError(f"{PREFIX}{path}: Ultralytics' package does not export it: {what}")
