"""The JSON beside each engine: what it was built from, by what and for what.

The seal says that this device built the plan: an HMAC over the record and the plan's hash, with a key that lies in
the user's cache folder and never leaves the device. A plan is code, and a copied one has no valid seal.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from segrt.runtime.errors import BackendError
from segrt.runtime.files.cache import cache_folder
from segrt.runtime.files.hashing import Sha256
from segrt.runtime.files.json_files import JsonError, decode_json
from segrt.runtime.files.reading import read_bytes
from segrt.runtime.inference.engine_policy import BuildOptions
from segrt.runtime.inference.tensorrt.flavor import FlavorName

FORMAT = 2  # engines of format 1 were built with TF32, whatever their precision
_KEY_BYTES = 32


class LayerPrecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A layer of the network, the kind of its work and the precision that it runs in, "float16" for instance."""

    name: str
    kind: str
    precision: str


class EngineRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about an engine.

    gpu, sm: the GPU that it was built on, "" when it was built without one; targets: the compute capabilities that it
    was built for, by TensorRT-RTX alone. workspace_mb is what the build really used, 0 for TensorRT's own choice.
    layers_from says whether `layers` are those of the parsed network or of the finished engine.
    """

    format: int = FORMAT
    bundle: str
    precision: str
    onnx_sha256: Sha256
    options: BuildOptions
    flavor: FlavorName
    version: str
    gpu: str = ""
    sm: str = ""
    targets: tuple[str, ...] = ()
    driver: str = ""
    plan_bytes: Annotated[int, msgspec.Meta(ge=0)]
    plan_sha256: Sha256
    workspace_mb: int = 0
    seconds: float = 0.0
    built_at: str = ""
    layers_from: Literal["network", "engine"] = "network"
    layers: tuple[LayerPrecision, ...] = ()
    seal: str = ""

    @property
    def precisions(self) -> dict[str, int]:
        """The number of layers at each precision, most frequent first."""
        counts: dict[str, int] = {}
        for layer in self.layers:
            counts[layer.precision] = counts.get(layer.precision, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


def dump(record: EngineRecord) -> bytes:
    """Return the record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def read(path: Path) -> EngineRecord | str:
    """Return the record at `path`, or why there is none."""
    try:
        record: EngineRecord = decode_json(read_bytes(path), EngineRecord)
    except FileNotFoundError:
        return "has no JSON beside it"
    except (OSError, JsonError) as error:
        return f"has a JSON beside it that cannot be read ({getattr(error, 'strerror', None) or error})"
    if record.format != FORMAT:
        return f"has a JSON of format {record.format} beside it, this segrt reads {FORMAT}"
    return record


def sealed(record: EngineRecord) -> EngineRecord:
    """Return the record with this device's seal."""
    return msgspec.structs.replace(record, seal=_seal(record, _key(create=True)))


def is_sealed_here(record: EngineRecord) -> bool:
    """Whether this device, as this user, made the record."""
    key = _key(create=False)
    return bool(key) and hmac.compare_digest(record.seal, _seal(record, key))


def _seal(record: EngineRecord, key: bytes) -> str:
    content = msgspec.json.encode(msgspec.structs.replace(record, seal=""))
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def _key(*, create: bool) -> bytes:
    path = cache_folder() / "engine.key"
    try:
        key = read_bytes(path)
        if len(key) == _KEY_BYTES:
            return key
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror}); make it readable or remove it") from None
    if not create:
        return b""
    key = secrets.token_bytes(_KEY_BYTES)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
        try:
            os.link(aside, path)  # fails when another process was quicker; its key holds then
        except FileExistsError:
            existing = path.read_bytes()
            if len(existing) == _KEY_BYTES:
                return existing
            aside.replace(path)
        return key
    except OSError as error:
        raise BackendError(
            f"{path}: cannot be written ({error.strerror}); set SEGRT_CACHE to a writable folder"
        ) from None
    finally:
        aside.unlink(missing_ok=True)
