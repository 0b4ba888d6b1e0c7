"""What `segrt run` can save of each result: one class and one entry in `SAVERS` for each kind.

Every file is whole as soon as it is there; a JSON that covers all pictures is written when the work ends, also when
it ends with an error, so what was saved stays valid.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import check_folder, make_folder, write_atomic
from segrt.runtime.files.images import write_image
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.outputs.coco_results import PanopticFolder
from segrt.runtime.outputs.object_savers import CutoutsSaver, MasksSaver
from segrt.runtime.outputs.saver import Origin, Saver, Segmented
from segrt.runtime.registry import Registry
from segrt.runtime.results import InstanceResult, PanopticResult, SemanticResult

_QUERY_RULES = (MergeQueries, QueryInstances, QuerySemantic)


class OverlaySaver(Saver):
    """`overlay/NAME.png`: the result painted over the picture."""

    def add(self, item: Segmented) -> Path:
        """Draw and write the overlay."""
        from segrt.runtime.draw import overlay

        path = make_folder(self.out / "overlay") / f"{item.name}.png"
        write_image(path, overlay(item.image, item.result, style=self.origin.style))
        return path


class PanopticSaver(Saver):
    """`panoptic/NAME.png` and `panoptic.json` as COCO's panoptic format has them."""

    def __init__(self, out: Path, origin: Origin) -> None:
        super().__init__(out, origin)
        self._folder = PanopticFolder(out / "panoptic.json", origin.manifest.labels)

    @staticmethod
    def why_not(origin: Origin) -> str | None:
        """Only panoptic results have segments."""
        return None if origin.manifest.technique == "panoptic" else "panoptic needs a panoptic bundle"

    def add(self, item: Segmented) -> None:
        """Write the PNG and keep the annotation."""
        assert isinstance(item.result, PanopticResult)
        self._folder.add(item.result, item.image_id, f"{item.name}{item.path.suffix}")

    def finish(self) -> None:
        """Write the JSON."""
        self._folder.write()


class CocoSaver(Saver):
    """`coco.json`: objects as COCO's instance results have them (category_id, bbox, score, RLE)."""

    wants_picture = False

    def __init__(self, out: Path, origin: Origin) -> None:
        super().__init__(out, origin)
        self._entries: list[dict[str, Any]] = []

    @staticmethod
    def why_not(origin: Origin) -> str | None:
        """Semantic results have no objects."""
        return "coco needs an instance or panoptic bundle" if origin.manifest.technique == "semantic" else None

    def add(self, item: Segmented) -> None:
        """Keep the picture's objects."""
        result = item.result.to_instances() if isinstance(item.result, PanopticResult) else item.result
        assert isinstance(result, InstanceResult)
        self._entries += result.to_coco(item.image_id)

    def finish(self) -> None:
        """Write the JSON."""
        write_atomic(self.out / "coco.json", encode_json(self._entries) + b"\n")


class LabelsSaver(Saver):
    """`labels/NAME.png`: a grey PNG of class ids (8 or 16 bits, the highest value is void) and `labels.json`."""

    wants_picture = False

    @staticmethod
    def why_not(origin: Origin) -> str | None:
        """Objects may overlap, so instance results have no class for each pixel."""
        return "labels needs a semantic or panoptic bundle" if origin.manifest.technique == "instance" else None

    def add(self, item: Segmented) -> Path:
        """Write the class map."""
        result = item.result.to_semantic() if isinstance(item.result, PanopticResult) else item.result
        assert isinstance(result, SemanticResult)
        path = make_folder(self.out / "labels") / f"{item.name}.png"
        write_image(path, result.class_map)
        return path

    def finish(self) -> None:
        """Write the labels' names by class id."""
        labels = [{"id": index, "name": label.name} for index, label in enumerate(self.origin.manifest.labels)]
        write_atomic(self.out / "labels.json", encode_json(labels) + b"\n")


class QueriesSaver(Saver):
    """`queries/NAME.png`: a grid of the kept queries' masks, each with its class and score."""

    wants_heads = True

    @staticmethod
    def why_not(origin: Origin) -> str | None:
        """Only query-based networks have queries, and the grid reads softmax scores."""
        rule = origin.decode
        if not isinstance(rule, _QUERY_RULES) or getattr(rule, "activation", "softmax") != "softmax":
            return "queries needs a bundle of a network with softmax queries"
        return None

    def add(self, item: Segmented) -> Path:
        """Draw and write the grid."""
        from segrt.runtime.draw import query_grid

        manifest = self.origin.manifest
        classes = item.heads[manifest.head("class_logits").name][0]
        masks = item.heads[manifest.head("mask_logits").name][0]
        assert item.geometry is not None
        grid = query_grid(
            item.image,
            classes,
            masks,
            manifest.labels,
            score_threshold=getattr(self.origin.decode, "score_threshold", 0.5),
            window=item.geometry.window_on((masks.shape[1], masks.shape[2])),
        )
        path = make_folder(self.out / "queries") / f"{item.name}.png"
        write_image(path, grid)
        return path


SAVERS: Registry[type[Saver]] = Registry(
    "saver",
    {
        "overlay": OverlaySaver,
        "panoptic": PanopticSaver,
        "coco": CocoSaver,
        "labels": LabelsSaver,
        "queries": QueriesSaver,
        "cutouts": CutoutsSaver,
        "masks": MasksSaver,
    },
)


class Savers:
    """Several savers at once; leaving the `with` block finishes each of them, whatever happened.

    Until the first picture is there nothing is made or written, so that what an earlier run has left stays.
    """

    def __init__(self, kinds: Iterable[str], out: Path, origin: Origin) -> None:
        chosen = list(dict.fromkeys(kinds))
        if not chosen:
            raise SegrtError(f"--save must be of {', '.join(SAVERS)}, but is empty")
        for kind in chosen:
            if kind not in SAVERS:
                raise SegrtError(f"--save must be of {', '.join(SAVERS)}, but got {kind!r}")
            reason = SAVERS.load(kind).why_not(origin)
            if reason is not None:
                raise SegrtError(f"--save {reason}, but {origin.manifest.name!r} is {origin.manifest.technique}")
        check_folder(out)
        self._out = out
        self._saved = False
        self._savers = [SAVERS.load(kind)(out, origin) for kind in chosen]
        self.wants_heads = any(saver.wants_heads for saver in self._savers)
        self.wants_picture = next((kind for kind in chosen if SAVERS.load(kind).wants_picture), None)

    def add(self, item: Segmented) -> list[Path]:
        """Save one picture's outputs; return its files, in the order of the kinds."""
        make_folder(self._out)
        written = [saver.add(item) for saver in self._savers]
        self._saved = True
        return [path for path in written if path is not None]

    def __enter__(self) -> "Savers":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._saved:
            return
        with ExitStack() as stack:
            for saver in self._savers:
                stack.callback(saver.finish)
