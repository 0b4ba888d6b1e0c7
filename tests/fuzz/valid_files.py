"""The valid files that changed ones are made of."""

import json
import struct
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

import tiny_networks

SIZE = (24, 48)


def prepare(folder: Path) -> None:
    """Write all valid files into `folder`."""
    _bundles(folder)
    _dataset(folder)
    _pictures(folder)
    _texts(folder)
    _published(folder)
    _video(folder)


def _bundles(folder: Path) -> None:
    from segrt.export.bundling import GoldenPicture, VariantFile, write_bundle
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.pack.writer import write_pack

    for kind in ("argmax", "query_instances", "merge_queries", "paste_masks"):
        model = tiny_networks.KINDS[kind][0]()
        file = folder / f"{kind}.onnx"
        file.write_bytes(model.SerializeToString())
        golden = [GoldenPicture("thirds", tiny_networks.thirds(*SIZE))]
        write_bundle(folder / kind, tiny_networks.network(kind), [VariantFile("fp32", file)], golden, threads=1)
    write_pack(read_bundle(folder / "argmax"), folder / "argmax.segrt")


def _dataset(folder: Path) -> None:
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
        cv2.imwrite(str(folder / "images" / f"{number}.png"), tiny_networks.thirds(*SIZE))
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
    labels = [label for label in tiny_networks.LABELS if label.dataset_id < 30]
    coco_results.write_panoptic_json(folder / "truth.json", images, annotations, labels)
    categories = [{"id": label.dataset_id, "name": label.name} for label in labels]
    things = {"images": images, "annotations": objects, "categories": categories}
    code = rle.encode(np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) % 7 == 0)
    (folder / "mask.rle").write_bytes(struct.pack("<HH", *SIZE) + code["counts"])
    for name, content in (("instances", things), ("results", results), ("stuff", stuff)):
        (folder / f"{name}.json").write_text(json.dumps(content))


def _pictures(folder: Path) -> None:
    from PIL import Image

    picture = Image.fromarray(tiny_networks.thirds(*SIZE)[..., ::-1])
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


def _published(folder: Path) -> None:
    """Write a network as transformers and training scripts publish it."""
    import pickle

    import torch
    from safetensors.torch import save_file

    for name in ("adopted", "hub"):
        (folder / name).mkdir()
        (folder / name / "model.onnx").write_bytes((folder / "argmax.onnx").read_bytes())
    (folder / "adopted.txt").write_text("".join(f"class {number}\n" for number in range(3)))
    config = {
        "model_type": "segformer", "architectures": ["SegformerForSemanticSegmentation"], "num_channels": 3,
        "id2label": {"0": "road", "1": "car", "2": "sky"}, "hidden_sizes": [8, 16], "image_size": 32,
    }  # fmt: skip
    (folder / "hub" / "config.json").write_text(json.dumps(config))
    processor = {
        "image_processor_type": "SegformerImageProcessor", "do_resize": True, "size": {"height": 32, "width": 32},
        "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.25, 0.5],
    }  # fmt: skip
    (folder / "hub" / "preprocessor_config.json").write_text(json.dumps(processor))
    tensors = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.zeros(3)}
    torch.save({"model": tensors, "epoch": 3}, folder / "weights.pth")
    save_file(tensors, folder / "weights.safetensors")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    (folder / "weights.pkl").write_bytes(pickle.dumps({"model": arrays}, protocol=4))


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
