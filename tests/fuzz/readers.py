"""Every reader of files that come from elsewhere, with a valid file each to begin from.

`prepare` writes the valid files into a folder once; `READERS` names, for each, how it is changed and who reads it.
"""

import contextlib
import hashlib
import importlib.util
import io
import json
import shutil
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import mutators as change
import numpy as np

HERE = Path(__file__).resolve().parent
SIZE = (24, 48)
Read = Callable[[Path, bytes], None]
"""Called with the folder of the valid files, which is the process's own, and the changed file's bytes."""


@dataclass(frozen=True)
class Reader:
    """A reader: the valid files that are changed, how, and what reads the result.

    `allowed` are the documented errors of readers that no user meets directly.
    """

    name: str
    seeds: tuple[str, ...]
    mutate: change.Mutator
    read: Read
    allowed: tuple[type[Exception], ...] = ()


def prepare(folder: Path) -> None:
    """Write all valid files into `folder`."""
    tiny = _tests_conftest()
    _bundles(folder, tiny)
    _dataset(folder, tiny)
    _pictures(folder, tiny)
    _texts(folder)
    _video(folder)


def _tests_conftest() -> Any:
    spec = importlib.util.spec_from_file_location("segrt_tests_conftest", HERE.parent / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _bundles(folder: Path, tiny: Any) -> None:
    from segrt.export.bundling import GoldenPicture, VariantFile, write_bundle
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.pack.writer import write_pack

    for kind in ("argmax", "query_instances", "merge_queries", "paste_masks"):
        model = tiny._KINDS[kind][0]()
        file = folder / f"{kind}.onnx"
        file.write_bytes(model.SerializeToString())
        golden = [GoldenPicture("thirds", tiny.thirds(*SIZE))]
        write_bundle(folder / kind, tiny.network(kind), [VariantFile("fp32", file)], golden, threads=1)
    write_pack(read_bundle(folder / "argmax"), folder / "argmax.segrt")


def _dataset(folder: Path, tiny: Any) -> None:
    import cv2

    from segrt.runtime.outputs import coco_results
    from segrt.runtime.results import rle

    (folder / "images").mkdir()
    (folder / "truth").mkdir()
    (folder / "classes").mkdir()
    images, annotations, objects, results, stuff = [], [], [], [], []
    for number in range(2):
        ids = np.zeros(SIZE, np.int32)
        ids[:, 4:20], ids[5:15, 24:40] = 1, 2
        cv2.imwrite(str(folder / "images" / f"{number}.png"), tiny.thirds(*SIZE))
        cv2.imwrite(str(folder / "classes" / f"{number}.png"), np.where(ids > 0, ids * 10, 255).astype(np.uint8))
        coco_results.write_panoptic_png(folder / "truth" / f"{number}.png", ids)
        images.append({"id": number, "file_name": f"{number}.png", "height": SIZE[0], "width": SIZE[1]})
        info = [{"id": i, "category_id": 10 * i, "iscrowd": 0, "area": 16, "bbox": [4, 0, 16, 24]} for i in (1, 2)]
        annotations.append({"image_id": number, "file_name": f"{number}.png", "segments_info": info})
        code = rle.text(rle.encode(ids == 2))
        common = {"image_id": number, "category_id": 20, "bbox": [24, 5, 16, 10]}
        outline = [[24, 5, 40, 5, 40, 15, 24, 15]]
        runs = {"size": list(SIZE), "counts": [24 * 20, 24 * 4, 24 * 24]}
        for mask in (code, outline, runs):
            objects.append({**common, "id": len(objects) + 1, "iscrowd": 0, "area": 160.0, "segmentation": mask})
        results.append({**common, "score": 0.75, "segmentation": code})
        stuff.append({"image_id": number, "category_id": 10, "segmentation": rle.text(rle.encode(ids == 1))})
    labels = [label for label in tiny.LABELS if label.dataset_id < 30]
    coco_results.write_panoptic_json(folder / "truth.json", images, annotations, labels)
    categories = [{"id": label.dataset_id, "name": label.name} for label in labels]
    things = {"images": images, "annotations": objects, "categories": categories}
    code = rle.encode(np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) % 7 == 0)
    (folder / "mask.rle").write_bytes(struct.pack("<HH", *SIZE) + code["counts"])
    for name, content in (("instances", things), ("results", results), ("stuff", stuff)):
        (folder / f"{name}.json").write_text(json.dumps(content))


def _pictures(folder: Path, tiny: Any) -> None:
    from PIL import Image

    picture = Image.fromarray(tiny.thirds(*SIZE)[..., ::-1])
    for name, options in (
        ("jpg", {}),
        ("progressive.jpg", {"progressive": True}),
        ("webp", {}),
        ("lossless.webp", {"lossless": True}),
        ("bmp", {}),
        ("ppm", {}),
        ("tiff", {}),
        ("lzw.tiff", {"compression": "tiff_lzw"}),
        ("jp2", {}),
    ):
        picture.save(folder / f"picture.{name}", **options)


def _texts(folder: Path) -> None:
    from segrt.runtime.bundle.pack.signing import read_private_key
    from segrt.runtime.inference.engine_policy import BuildOptions
    from segrt.runtime.inference.tensorrt.engine_record import EngineRecord, LayerPrecision, dump
    from segrt.runtime.profiling.records import Profile, Run, StageFigures

    stage = StageFigures(1.0, 1.0, 1.0, 1.0, 1.0)
    run = Run(
        bundle="tiny", technique="semantic", backend="onnxruntime", precision="fp32", device="cpu", frames=3,
        stages={"inference": stage, "total": stage}, fps=1.0, peak_rss_mb=1.0, samples={"total": [1.0, 1.0]},
    )  # fmt: skip
    Profile([run]).write(folder / "profile.json")
    record = EngineRecord(
        bundle="tiny", precision="fp32", onnx_sha256="0" * 64, options=BuildOptions(), flavor="tensorrt",
        version="10.3.0", plan_bytes=1, plan_sha256="0" * 64, layers=(LayerPrecision("conv", "conv", "float32"),),
    )  # fmt: skip
    (folder / "engine.json").write_bytes(dump(record))
    (folder / "labels.json").write_text(json.dumps([{"name": "a", "id": 5}, {"name": "b", "color": [1, 2, 3]}]))
    (folder / "labels.csv").write_text("name,r,g,b\na,1,2,3\nb,4,5,6\n")
    (folder / "labels.txt").write_text("a\nb\nc\n")
    (folder / "trace.json").write_text(
        json.dumps(
            [{"name": "model_run", "ts": turn * 10, "dur": 9} for turn in range(3)]
            + [
                {"cat": "Node", "name": "conv_kernel_time", "ts": turn * 10 + 1, "dur": 5, "args": {"op_name": "Conv"}}
                for turn in range(3)
            ]
        )
    )
    (folder / "trtexec.json").write_text(json.dumps([{"count": 3}, {"name": "conv", "averageMs": 0.5}]))
    layer = {"Name": "conv", "LayerType": "CaskConvolution", "Inputs": [{"Format/Datatype": "Row major FP16 format"}]}
    (folder / "inspector.json").write_text(json.dumps({"Layers": [layer]}))
    _keys(folder)
    assert read_private_key(folder / "key.pem")


def _keys(folder: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    plain = form.NoEncryption()
    for name, encoding, kind in (("key.pem", "PEM", "PKCS8"), ("key.ssh", "PEM", "OpenSSH")):
        data = key.private_bytes(getattr(form.Encoding, encoding), getattr(form.PrivateFormat, kind), plain)
        (folder / name).write_bytes(data)
    for name, encoding, kind in (("pub.pem", "PEM", "SubjectPublicKeyInfo"), ("pub.ssh", "OpenSSH", "OpenSSH")):
        form_of = getattr(form.Encoding, encoding), getattr(form.PublicFormat, kind)
        (folder / name).write_bytes(key.public_key().public_bytes(*form_of))


def _video(folder: Path) -> None:
    import av

    for name, codec in (("video.mp4", "mpeg4"), ("video.avi", "mjpeg"), ("video.mkv", "mpeg4")):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=5)
            stream.width, stream.height = SIZE[1], SIZE[0]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((*SIZE, 3), number * 40, np.uint8), format="bgr24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def _command(*arguments: object) -> None:
    """Run a command of segrt in this process, without what it prints."""
    from segrt.runtime.cli import cli

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cli.main([str(argument) for argument in arguments], "segrt", standalone_mode=False)


def _in_bundle(kind: str, name: str, *reads: Callable[[Path], None]) -> Read:
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


def _in_file(name: str, *reads: Callable[[Path], object]) -> Read:
    """Return a reader of a file `name` of its own."""

    def read(folder: Path, data: bytes) -> None:
        path = folder / name
        path.write_bytes(data)
        _all_of(reads, path)  # type: ignore[arg-type]

    return read


def _verify(bundle: Path) -> None:
    _command("verify", bundle, "--backend", "onnxruntime", "--threads", 1)


def _inspect(bundle: Path) -> None:
    _command("inspect", bundle)


def _run(bundle: Path) -> None:
    out = bundle.parent / "out"
    _command("run", bundle, bundle.parent / "images/0.png", "--out", out, "--backend", "onnxruntime", "--threads", 1)


def _nodes(bundle: Path) -> None:
    from segrt.runtime.inference.layers.module_names import read_nodes

    read_nodes(bundle / "model.fp32.onnx")


def _picture(path: Path) -> None:
    from segrt.runtime.files.images import read_image

    read_image(path)


def _label_picture(path: Path) -> None:
    from segrt.runtime.evaluate.datasets.label_folders import read_label_picture

    read_label_picture(path)


def _panoptic_png(path: Path) -> None:
    from segrt.runtime.results.coco_format import read_panoptic_png

    read_panoptic_png(path)


def _eval_predictions(path: Path) -> None:
    more = ("--predictions-dir", path.parent / "truth")
    _command("eval", "--predictions", path, "--annotations", path.parent / "truth.json", *more)


def _eval_truth(path: Path) -> None:
    """Measure the truth's own annotations on it: predictions of all three forms."""
    folder = path.parent
    for name in ("results.json", "stuff.json"):
        _command("eval", "--predictions", folder / name, "--annotations", path, "--panoptic-dir", folder / "truth")


def _eval_bundle(path: Path) -> None:
    folder = path.parent
    _command("eval", folder / "query_instances", "--annotations", path, "--common-classes", "--threads", 1)


def _eval_instances(path: Path) -> None:
    _command("eval", "--predictions", path.parent / "results.json", "--annotations", path)


def _eval_classes(path: Path) -> None:
    folder = path.parent.parent
    _command("eval", folder / "argmax", "--annotations", path.parent, "--images", folder / "images", "--threads", 1)


def _labels(path: Path) -> None:
    from segrt.runtime.results.labels.class_lists import read_labels

    read_labels(str(path))


def _profile(path: Path) -> None:
    from segrt.runtime.profiling.baseline import compare
    from segrt.runtime.profiling.records import read_profile

    profile = read_profile(path)
    for stage in compare(profile, read_profile(path.parent / "profile.json"), 0.1).changes:
        float(stage.ratio)


def _engine_record(path: Path) -> None:
    from segrt.runtime.inference.tensorrt.engine_record import is_sealed_here, read

    record = read(path)
    if isinstance(record, str):
        assert "\n" not in record
    else:
        is_sealed_here(record)
        list(record.precisions)


def _traces(path: Path) -> None:
    from segrt.runtime.inference.layers.onnxruntime_trace import read_trace
    from segrt.runtime.inference.tensorrt.layer_precisions import engine_precisions
    from segrt.runtime.inference.tensorrt.layer_trace import combine, read_profile

    text = path.read_bytes().decode("utf-8", "replace")
    for read in (read_trace, read_profile, engine_precisions, lambda text: combine([("conv", 1.0)], text)):
        with contextlib.suppress(ValueError):
            read(text)


def _public_key(path: Path) -> None:
    from segrt.runtime.bundle.pack.signing import read_public_key

    read_public_key(path)


def _private_key(path: Path) -> None:
    from segrt.runtime.bundle.pack.signing import read_private_key

    read_private_key(path)


def _unpack(path: Path) -> None:
    _command("unpack", path, "--out", path.parent / "unpacked", "--overwrite")


def _open_video(path: Path) -> None:
    from segrt.runtime.stream.sources.video_file import VideoSource

    source = VideoSource(path, "video")
    try:
        for _, _ in zip(source.frames(), range(50), strict=False):
            pass
    finally:
        source.close()


def _rle(folder: Path, data: bytes) -> None:
    from segrt.runtime.results import rle

    del folder
    code: Any = {"size": list(struct.unpack_from("<HH", data.ljust(4, b"\0"))), "counts": data[4:]}
    rle.measure([code])
    rle.decode(code)


READERS: tuple[Reader, ...] = (
    *(
        Reader(f"manifest {kind}", (f"{kind}/manifest.json",), change.mixed(change.json_tree, change.blind),
               _in_bundle(kind, "manifest.json", _inspect, _verify))
        for kind in ("argmax", "query_instances", "merge_queries", "paste_masks")
    ),
    *(
        Reader(f"network {kind}", (f"{kind}/model.fp32.onnx",), change.mixed(change.protobuf, change.blind),
               _in_bundle(kind, "model.fp32.onnx", _nodes, _verify, _run))
        for kind in ("argmax", "merge_queries")
    ),
    *(
        Reader(f"golden {kind}", (f"{kind}/golden/thirds.npz",), change.mixed(change.npz, change.blind),
               _in_bundle(kind, "golden/thirds.npz", _verify))
        for kind in ("argmax", "query_instances", "merge_queries")
    ),
    Reader("golden picture", ("argmax/golden/thirds.png",), change.mixed(change.png, change.blind),
           _in_bundle("argmax", "golden/thirds.png", _verify)),
    Reader("png", ("truth/0.png",), change.mixed(change.png, change.blind),
           _in_file("changed.png", _picture, _label_picture, _panoptic_png)),
    Reader(
        "pictures",
        tuple(f"picture.{name}" for name in ("jpg", "progressive.jpg", "webp", "lossless.webp", "bmp", "ppm", "tiff",
                                             "lzw.tiff", "jp2")),
        change.blind, _in_file("changed.picture", _picture, _label_picture),
    ),
    Reader("pack", ("argmax.segrt",), change.mixed(change.pack, change.blind),
           _in_file("changed.segrt", _inspect, _unpack)),
    Reader("panoptic JSON", ("truth.json",), change.mixed(change.json_tree, change.blind),
           _in_file("changed.json", _eval_truth)),
    Reader("panoptic PNG", ("truth/0.png",), change.mixed(change.png, change.blind),
           _in_file("truth/1.png", lambda path: _eval_truth(path.parent.parent / "truth.json"))),
    Reader("instances JSON", ("instances.json",), change.mixed(change.json_tree, change.blind),
           _in_file("changed.json", _eval_instances, _eval_bundle)),
    Reader("predictions", ("results.json", "stuff.json", "truth.json"), change.mixed(change.json_tree, change.blind),
           _in_file("changed.json", _eval_predictions)),
    Reader("label pictures", ("classes/0.png",), change.mixed(change.png, change.blind),
           _in_file("classes/1.png", _eval_classes)),
    Reader("label lists", ("labels.json",), change.mixed(change.json_tree, change.blind),
           _in_file("changed.labels", _labels)),
    Reader("label lines", ("labels.csv", "labels.txt"), change.mixed(change.lines, change.blind),
           _in_file("changed.labels", _labels)),
    Reader("profile", ("profile.json",), change.mixed(change.json_tree, change.blind),
           _in_file("changed.json", _profile)),
    Reader("engine record", ("engine.json",), change.mixed(change.json_tree, change.blind),
           _in_file("changed.json", _engine_record)),
    Reader("traces", ("trace.json", "trtexec.json", "inspector.json"), change.mixed(change.json_tree, change.blind),
           _in_file("changed.json", _traces)),
    Reader("keys", ("key.pem", "key.ssh", "pub.pem", "pub.ssh"), change.blind,
           _in_file("changed.key", _public_key, _private_key)),
    Reader("video", ("video.mp4", "video.avi", "video.mkv"), change.blind, _in_file("changed.video", _open_video)),
    Reader("run lengths", ("mask.rle",), change.blind, _rle, allowed=(ValueError,)),
)  # fmt: skip
