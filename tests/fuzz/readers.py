"""Every reader of files from elsewhere: the valid files to begin from, how they are changed, what reads them."""

from dataclasses import dataclass

import mutators as change
import reads as read


@dataclass(frozen=True)
class Reader:
    """A reader: the valid files that are changed, how, and what reads the result.

    `allowed` are the documented errors of readers that no user meets directly.
    """

    name: str
    seeds: tuple[str, ...]
    mutate: change.Mutator
    read: read.Read
    allowed: tuple[type[Exception], ...] = ()


READERS: tuple[Reader, ...] = (
    *(
        Reader(f"manifest {kind}", (f"{kind}/manifest.json",), change.mixed(change.json_tree, change.blind),
               read.in_bundle(kind, "manifest.json", read.inspect, read.verify))
        for kind in ("argmax", "query_instances", "merge_queries", "paste_masks")
    ),
    *(
        Reader(f"network {kind}", (f"{kind}/model.fp32.onnx",), change.mixed(change.protobuf, change.blind),
               read.in_bundle(kind, "model.fp32.onnx", read.nodes, read.verify, read.run))
        for kind in ("argmax", "merge_queries")
    ),
    *(
        Reader(f"golden {kind}", (f"{kind}/golden/thirds.npz",), change.mixed(change.npz, change.blind),
               read.in_bundle(kind, "golden/thirds.npz", read.verify))
        for kind in ("argmax", "query_instances", "merge_queries")
    ),
    Reader("golden picture", ("argmax/golden/thirds.png",), change.mixed(change.png, change.blind),
           read.in_bundle("argmax", "golden/thirds.png", read.verify)),
    Reader("png", ("truth/0.png",), change.mixed(change.png, change.blind),
           read.in_file("changed.png", read.picture, read.label_picture, read.panoptic_png)),
    Reader(
        "pictures",
        tuple(f"picture.{name}" for name in ("jpg", "progressive.jpg", "webp", "lossless.webp", "bmp", "ppm", "tiff",
                                             "lzw.tiff", "jp2")),
        change.blind, read.in_file("changed.picture", read.picture, read.label_picture),
    ),
    Reader("pack", ("argmax.segrt",), change.mixed(change.pack, change.blind),
           read.in_file("changed.segrt", read.inspect, read.unpack)),
    Reader("panoptic JSON", ("truth.json",), change.mixed(change.json_tree, change.blind),
           read.in_file("changed.json", read.eval_truth)),
    Reader("panoptic PNG", ("truth/0.png",), change.mixed(change.png, change.blind),
           read.in_file("truth/1.png", lambda path: read.eval_truth(path.parent.parent / "truth.json"))),
    Reader("instances JSON", ("instances.json",), change.mixed(change.json_tree, change.blind),
           read.in_file("changed.json", read.eval_instances, read.eval_bundle)),
    Reader("predictions", ("results.json", "stuff.json", "truth.json"), change.mixed(change.json_tree, change.blind),
           read.in_file("changed.json", read.eval_predictions)),
    Reader("label pictures", ("classes/0.png",), change.mixed(change.png, change.blind),
           read.in_file("classes/1.png", read.eval_classes)),
    Reader("label lists", ("labels.json",), change.mixed(change.json_tree, change.blind),
           read.in_file("changed.labels", read.labels)),
    Reader("label lines", ("labels.csv", "labels.txt"), change.mixed(change.lines, change.blind),
           read.in_file("changed.labels", read.labels)),
    Reader("profile", ("profile.json",), change.mixed(change.json_tree, change.blind),
           read.in_file("changed.json", read.profile)),
    Reader("engine record", ("engine.json",), change.mixed(change.json_tree, change.blind),
           read.in_file("changed.json", read.engine_record)),
    Reader("traces", ("trace.json", "trtexec.json", "inspector.json"), change.mixed(change.json_tree, change.blind),
           read.in_file("changed.json", read.traces)),
    Reader("keys", ("key.pem", "key.ssh", "pub.pem", "pub.ssh"), change.blind,
           read.in_file("changed.key", read.public_key, read.private_key)),
    Reader("video", ("video.mp4", "video.avi", "video.mkv"), change.blind,
           read.in_file("changed.video", read.open_video)),
    Reader("adopted network", ("argmax.onnx", "query_instances.onnx"), change.mixed(change.protobuf, change.blind),
           read.in_file("adopted/model.onnx", read.adopt)),
    Reader("transformers config", ("hub/config.json",), change.mixed(change.json_tree, change.blind),
           read.in_file("hub/config.json", read.hub_entry, read.adopt)),
    Reader("transformers processor", ("hub/preprocessor_config.json",), change.mixed(change.json_tree, change.blind),
           read.in_file("hub/preprocessor_config.json", read.hub_entry, read.adopt)),
    Reader("weights", ("weights.pth", "weights.pkl", "weights.safetensors"), change.blind, read.weights),
    Reader("run lengths", ("mask.rle",), change.blind, read.rle, allowed=(ValueError,)),
)  # fmt: skip
