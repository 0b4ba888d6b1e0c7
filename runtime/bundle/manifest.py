"""`manifest.json` as strict structs: everything that is known about a bundle without opening its network.

Shapes are those of the network's tensors; a leading "N" stands for the number of frames in a batch, any other string
for a length that varies from frame to frame. Files are named relative to the bundle's folder, with forward slashes.
"""

from typing import Annotated, Literal

import msgspec

from segrt.runtime.bundle.truth_card import TruthCard
from segrt.runtime.decode.binary import FEATURE as BINARY
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.processed_size import FEATURE as PROCESSED_SIZE
from segrt.runtime.decode.prompted_masks import PROMPTS, PromptedMasks
from segrt.runtime.decode.prototype_masks import AGNOSTIC
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.files.hashing import Sha256
from segrt.runtime.inference.tensors import DType, Name
from segrt.runtime.preprocess.input_spec import RESIZING, InputSpec
from segrt.runtime.results.labels.label import Label
from segrt.runtime.results.technique import Technique

FORMAT = (1, 4)
MEMBERS, CHANNELS, STATE = "members", "channels", "state"
KNOWN_FEATURES: frozenset[str] = frozenset(
    {AGNOSTIC, MEMBERS, BINARY, CHANNELS, PROCESSED_SIZE, PROMPTS, RESIZING, STATE}
)


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the network comes from: weights (name, address or seed), licence of the weights, versions of tools."""

    weights: str
    licence: str
    versions: dict[str, str] = {}
    notes: str = ""


class HeadTolerance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a head may be from the golden one: |a - b| <= absolute + relative * |b| for every value.

    `rows` says what is compared: `all` values, or only `live_queries`, the queries that the golden result is made of.
    Dead queries may differ between frameworks, where a TopK meets ties among suppressed cells.
    `outliers` is the share of the values that may lie outside.
    """

    absolute: Annotated[float, msgspec.Meta(ge=0.0)]
    relative: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    rows: Literal["all", "live_queries"] = "all"
    outliers: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0


class Tolerance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `segrt verify` asks of a variant on the golden frames.

    `agreement` is the least agreement of the final result, 0 to 1: pixels for semantic and panoptic, mean IoU of the
    matched objects for instance. A head without an entry in `heads` is not compared by itself.
    """

    agreement: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
    heads: dict[str, HeadTolerance] = {}


class HeadParity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Measured difference of one head from the source framework's.

    `relative` is the root of the summed squared differences over that of the summed squared values.
    """

    max_abs: float
    mean_abs: float
    relative: float | None = None


class Parity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Measured agreement of a variant over `images` pictures not used for export.

    `against` says with what: the source framework, or the bundle's own fp32 variant, which was compared with it.
    `agreement` is that of the final results, on the worst picture (see `segrt.runtime.authoring.agreement`). For
    instance and panoptic: `matched` is the share of objects or segments of either side with a partner of their class at
    IoU above 0.5, `pq` the panoptic quality of one against the other, all classes together. `input_mean` and
    `input_max` are the differences between the network's input and that of the framework's own image processor, in grey
    levels (0 to 255), None where it has none.
    """

    images: int
    agreement: float
    heads: dict[str, HeadParity] = {}
    matched: float | None = None
    pq: float | None = None
    input_mean: float | None = None
    input_max: float | None = None
    against: Literal["source", "fp32"] = "source"


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the bundle: path inside it, length in bytes, SHA-256 in lower-case hex."""

    path: Name
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Sha256


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The network at one precision, as an ONNX file.

    In a bundle of members `member_files` are their networks by the members' names, and `file` is the first of them.
    `head_dtypes` names the heads whose dtype differs from the manifest's (float16 heads of an fp16 variant).
    `precision_share` is the share of multiply-adds that really runs at the precision, `weight_share` the share of
    parameters that is stored at it, 0 to 1, where they are known. `kept` names the layers that stay in float32 because
    the results would differ too much without them.
    """

    precision: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*\Z")]
    file: File
    tolerance: Tolerance
    head_dtypes: dict[str, DType] = {}
    member_files: dict[str, File] = {}
    precision_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] | None = None
    weight_share: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] | None = None
    kept: tuple[str, ...] = ()
    parity: Parity | None = None

    @property
    def files(self) -> tuple[File, ...]:
        """The networks' files: one, or one of each member."""
        return tuple(self.member_files.values()) or (self.file,)


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A small picture and what the source framework made of it (NPZ, see `segrt.runtime.bundle.golden`).

    The picture is a PNG, or an NPY of an array that is none.
    """

    name: Name
    image: File
    outputs: File


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One network of a bundle that has two: of a pair that is merged, or the encoder or decoder of prompts.

    Names of its inputs and heads, and roles of its heads, begin with "NAME.".

    `labels` and `decode` are its own; `classes` gives for each of its labels the position among the bundle's labels,
    or -1 for a class that the bundle does not have.
    """

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]*$")]
    technique: Technique
    family: str
    source: Source
    labels: tuple[Label, ...]
    decode: DecodeRule
    classes: tuple[Annotated[int, msgspec.Meta(ge=-1)], ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about a bundle. The first variant is the default one.

    `domain` names the pictures that the network knows, in words, where they are other ones than photos. `card` is what
    the exporter checked.
    """

    format: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+$")] = f"{FORMAT[0]}.{FORMAT[1]}"
    required_features: tuple[str, ...] = ()
    name: Name
    technique: Technique
    family: str
    source: Source
    inputs: tuple[InputSpec, ...]
    heads: tuple[HeadSpec, ...]
    labels: tuple[Label, ...]
    decode: DecodeRule
    variants: tuple[Variant, ...]
    golden: tuple[Golden, ...] = ()
    members: tuple[Member, ...] = ()
    domain: Name | msgspec.UnsetType = msgspec.UNSET
    card: TruthCard | msgspec.UnsetType = msgspec.UNSET

    @property
    def image_input(self) -> InputSpec:
        """The input with role `image`."""
        return next(spec for spec in self.inputs if spec.role == "image")

    @property
    def state(self) -> dict[str, str]:
        """The inputs that are carried from frame to frame, each with the head that it is given; mostly {}."""
        return self._carried("state")

    @property
    def embeddings(self) -> dict[str, str]:
        """The inputs of a decoder that are given what its encoder gave, each with the head; {} without prompts."""
        return self._carried("embedding")

    @property
    def takes_prompts(self) -> bool:
        """Whether its networks segment what boxes or points say, an encoder and a decoder."""
        return isinstance(self.decode, PromptedMasks)

    @property
    def files(self) -> tuple[File, ...]:
        """Every file that the manifest names."""
        golden = [file for frame in self.golden for file in (frame.image, frame.outputs)]
        return (*(file for variant in self.variants for file in variant.files), *golden)

    def _carried(self, role: str) -> dict[str, str]:
        return {spec.name: spec.carries for spec in self.inputs if spec.role == role and isinstance(spec.carries, str)}

    def head(self, role: str) -> HeadSpec:
        """Return the head that plays `role`."""
        return next(spec for spec in self.heads if spec.role == role)
