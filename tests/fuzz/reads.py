"""What reads the changed files: commands where a user meets the reader, functions where none does."""

import contextlib
import hashlib
import io
import json
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

Read = Callable[[Path, bytes], None]
"""Called with the folder of the valid files, which is the process's own, and the changed file's bytes."""


def command(*arguments: object) -> None:
    """Run a command of segrt in this process, without what it prints."""
    from segrt.runtime.cli import cli

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cli.main([str(argument) for argument in arguments], "segrt", standalone_mode=False)


def in_bundle(kind: str, name: str, *reads: Callable[[Path], None]) -> Read:
    """Return a reader of a bundle in which the file `name` was changed, its hash with it."""

    def read(folder: Path, data: bytes) -> None:
        bundle = folder / "bundle"
        if bundle.exists():
            shutil.rmtree(bundle)
        shutil.copytree(folder / kind, bundle)
        if name != "manifest.json":
            text = (bundle / "manifest.json").read_text()
            old = (bundle / name).read_bytes()
            text = text.replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(data).hexdigest())
            content = json.loads(text)
            for file in _files(content):
                if file["path"] == name:
                    file["size"] = len(data)
            (bundle / "manifest.json").write_text(json.dumps(content))
        (bundle / name).write_bytes(data)
        _all_of(reads, bundle)

    return read


def _files(content: dict[str, Any]) -> list[dict[str, Any]]:
    golden = [frame[key] for frame in content["golden"] for key in ("image", "outputs")]
    return [variant["file"] for variant in content["variants"]] + golden


def _all_of(reads: Sequence[Callable[[Path], None]], path: Path) -> None:
    """Let every reader have its turn; raise the first error in the end."""
    first: BaseException | None = None
    for read in reads:
        try:
            read(path)
        except (click.ClickException, _segrt_error()) as error:  # noqa: PERF203 (each has its turn)
            first = first or error
    if first is not None:
        raise first


def _segrt_error() -> type[Exception]:
    from segrt.runtime.errors import SegrtError

    return SegrtError


def in_file(name: str, *reads: Callable[[Path], object]) -> Read:
    """Return a reader of a file `name` of its own."""

    def read(folder: Path, data: bytes) -> None:
        path = folder / name
        path.write_bytes(data)
        _all_of(reads, path)  # type: ignore[arg-type]

    return read


def verify(bundle: Path) -> None:
    command("verify", bundle, "--backend", "onnxruntime", "--threads", 1)


def inspect(bundle: Path) -> None:
    command("inspect", bundle)


def run(bundle: Path) -> None:
    out = bundle.parent / "out"
    command("run", bundle, bundle.parent / "images/0.png", "--out", out, "--backend", "onnxruntime", "--threads", 1)


def nodes(bundle: Path) -> None:
    from segrt.runtime.inference.layers.module_names import read_nodes

    read_nodes(bundle / "model.fp32.onnx")


def picture(path: Path) -> None:
    from segrt.runtime.files.images import read_image

    read_image(path)


def label_picture(path: Path) -> None:
    from segrt.runtime.evaluate.datasets.label_folders import read_label_picture

    read_label_picture(path)


def panoptic_png(path: Path) -> None:
    from segrt.runtime.results.coco_format import read_panoptic_png

    read_panoptic_png(path)


def eval_predictions(path: Path) -> None:
    more = ("--predictions-dir", path.parent / "truth")
    command("eval", "--predictions", path, "--annotations", path.parent / "truth.json", *more)


def eval_truth(path: Path) -> None:
    """Measure the truth's own annotations on it: predictions of all three forms."""
    folder = path.parent
    for name in ("results.json", "stuff.json"):
        command("eval", "--predictions", folder / name, "--annotations", path, "--panoptic-dir", folder / "truth")


def eval_bundle(path: Path) -> None:
    folder = path.parent
    command("eval", folder / "query_instances", "--annotations", path, "--common-classes", "--threads", 1)


def eval_instances(path: Path) -> None:
    command("eval", "--predictions", path.parent / "results.json", "--annotations", path)


def eval_classes(path: Path) -> None:
    folder = path.parent.parent
    command("eval", folder / "argmax", "--annotations", path.parent, "--images", folder / "images", "--threads", 1)


def labels(path: Path) -> None:
    from segrt.runtime.results.labels.class_lists import read_labels

    read_labels(str(path))


def profile(path: Path) -> None:
    from segrt.runtime.profiling.baseline import compare
    from segrt.runtime.profiling.records import read_profile

    profile = read_profile(path)
    for stage in compare(profile, read_profile(path.parent / "profile.json"), 0.1).changes:
        float(stage.ratio)


def engine_record(path: Path) -> None:
    from segrt.runtime.inference.tensorrt.engine_record import is_sealed_here, read

    record = read(path)
    if isinstance(record, str):
        assert "\n" not in record
    else:
        is_sealed_here(record)
        list(record.precisions)


def traces(path: Path) -> None:
    from segrt.runtime.inference.layers.onnxruntime_trace import read_trace
    from segrt.runtime.inference.tensorrt.layer_precisions import engine_precisions
    from segrt.runtime.inference.tensorrt.layer_trace import combine, read_profile

    text = path.read_bytes().decode("utf-8", "replace")
    for read in (read_trace, read_profile, engine_precisions, lambda text: combine([("conv", 1.0)], text)):
        with contextlib.suppress(ValueError):
            read(text)


def public_key(path: Path) -> None:
    from segrt.runtime.bundle.pack.signing import read_public_key

    read_public_key(path)


def private_key(path: Path) -> None:
    from segrt.runtime.bundle.pack.signing import read_private_key

    read_private_key(path)


def unpack(path: Path) -> None:
    command("unpack", path, "--out", path.parent / "unpacked", "--overwrite")


def open_video(path: Path) -> None:
    from segrt.runtime.stream.sources.video_file import VideoSource

    source = VideoSource(path, "video")
    try:
        for _, _ in zip(source.frames(), range(50), strict=False):
            pass
    finally:
        source.close()


def adopt(file: Path) -> None:
    """Adopt the network that lies in the file's folder."""
    folder = file.parent
    command("adopt", folder / "model.onnx", "--out", folder / "bundle", "--overwrite", "--technique", "semantic",
            "--labels", folder.parent / "adopted.txt")  # fmt: skip


def hub_entry(file: Path) -> None:
    from segrt.export.models.catalogue import find_model

    find_model(f"hf:{file.parent}")


def weights(folder: Path, data: bytes) -> None:
    """Read weights by what they begin with, as their names would say."""
    from segrt.export.weights.network_weights import read_tensors

    begins = {b"PK": "pth", b"\x80\x02": "pth", b"\x80\x04": "pkl"}
    path = folder / f"changed.{begins.get(data[:2], 'safetensors')}"
    path.write_bytes(data)
    read_tensors(path)


def rle(folder: Path, data: bytes) -> None:
    from segrt.runtime.results import rle

    del folder
    code: Any = {"size": list(struct.unpack_from("<HH", data.ljust(4, b"\0"))), "counts": data[4:]}
    rle.measure([code])
    rle.decode(code)
