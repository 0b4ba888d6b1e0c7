"""Writes bundles into a model repository: a folder for each model, in it a new folder for each version.

A server may read the repository meanwhile: a version is written aside and renamed, `config.pbtxt` is replaced as a
whole, and last, so that nothing is announced that is not there. Versions that lie there already stay.
"""

import hashlib
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from segrt.runtime.bundle.bundle import MANIFEST, Bundle
from segrt.runtime.bundle.chosen_variants import manifest_with
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.bundle.manifest_parsing import parse_manifest
from segrt.runtime.bundle.names import name_problem
from segrt.runtime.bundle.prompt_members import refuse_prompts
from segrt.runtime.errors import BundleError, SegrtError
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.file_check import check_file
from segrt.runtime.preprocess.channels import Raster, image_input, level_picture, read_input
from segrt.runtime.remote.description import own_version
from segrt.runtime.remote.result_tensors import result_kinds
from segrt.runtime.scale.triton.model_config import LABELS, WARMUP, Served, config_text, image_dims
from segrt.runtime.scale.triton.serving_options import BUNDLE, SERVING, Serving, ServingOptions

CONFIG, WARMUP_FOLDER = "config.pbtxt", "warmup"
_DEFAULT_BATCH, _PARTIAL = 4, ".partial"
_MODEL = '''"""Serves the bundle beside this file on a Triton server. Written by `segrt export-triton`."""

try:
    from segrt.runtime.scale.triton.python_model import TritonPythonModel  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"this model needs segrt {version} in the Python that runs the server's models ({{error}}); "
        "see EXECUTION_ENV_PATH in segrt's docs/triton.md"
    ) from error
'''


@dataclass(frozen=True)
class Exported:
    """A model that was written: its folder, the version, and the largest batch."""

    folder: Path
    version: int
    batch: int


def model_name(bundle: Bundle, options: ServingOptions) -> str:
    """Return what the model will be called; raise BundleError where that is no name for a folder."""
    name = options.name or bundle.manifest.name
    problem = name_problem(name)
    if problem is not None:
        raise BundleError(f"--name {problem}; choose another name")
    return name


def export_model(bundle: Bundle, repository: Path, options: ServingOptions) -> Exported:
    """Write `bundle` as a new version of a model in `repository`.

    Raises BundleError or SegrtError for a bundle whose files are not what its manifest says, a batch that its network
    cannot take, another model of that name, and a folder that cannot be written. What was there stays as it was then.
    """
    name = model_name(bundle, options)
    refuse_prompts(bundle.manifest, str(bundle.folder), "export-triton")
    if bundle.manifest.state:
        raise BundleError(
            f"{bundle.folder}: its network carries queries from frame to frame, which a server of single pictures "
            "loses; run `segrt stream` on the device"
        )
    precision = bundle.variant(options.precision).precision
    data = manifest_with(bundle, [precision])
    manifest = parse_manifest(data, str(bundle.folder / MANIFEST))
    serving = Serving(own_version(), precision, options.backend, options.threads, _batch(bundle, options))
    is_new = not (repository / name).exists()
    folder = make_folder(repository / name)
    try:
        _refuse_other_model(folder, manifest, options.versions)
        return _write(Bundle(bundle.folder, manifest), data, serving, options, folder)
    except BaseException as error:
        if is_new and not _has_versions(folder):  # servers refuse folders without a configuration
            shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise SegrtError(
            f"{folder}: cannot be written ({error.strerror}); choose a writable folder with space"
        ) from None


def _write(bundle: Bundle, data: bytes, serving: Serving, options: ServingOptions, folder: Path) -> Exported:
    """Write the next version of the model in `folder`, then what is said of all versions; `data` is the manifest."""
    version = _next_version(folder)
    picture = _sample(bundle)
    with _aside(folder, version) as aside:
        _copy_bundle(bundle, data, aside / BUNDLE)
        (aside / "model.py").write_text(_MODEL.format(version=own_version()))
        (aside / SERVING).write_bytes(msgspec.json.format(msgspec.json.encode(serving)) + b"\n")
        aside.rename(folder / str(version))
    try:
        (folder / WARMUP_FOLDER).mkdir(exist_ok=True)
        write_atomic(folder / WARMUP_FOLDER / WARMUP, picture.tobytes())
        write_atomic(folder / LABELS, "".join(f"{label.name}\n" for label in bundle.manifest.labels).encode())
        served = Served(folder.name, bundle.manifest, hashlib.sha256(data).hexdigest(), serving.batch, picture.shape)
        write_atomic(folder / CONFIG, config_text(served, options).encode())
    except BaseException:  # the configuration that is there speaks of the older versions
        shutil.rmtree(folder / str(version), ignore_errors=True)
        raise
    return Exported(folder, version, serving.batch)


def _has_versions(folder: Path) -> bool:
    """Say whether versions lie in `folder`, or are being written there by another command of this moment."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return any(entry.name.isdecimal() or entry.name.endswith(_PARTIAL) for entry in entries)


@contextmanager
def _aside(folder: Path, version: int) -> Iterator[Path]:
    """Make a folder in which a version is written; what is left of it in the end is removed."""
    aside = folder / f".{version}.{secrets.token_hex(4)}{_PARTIAL}"
    aside.mkdir()
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _batch(bundle: Bundle, options: ServingOptions) -> int:
    """Return the largest batch of the network, 1 where it takes no more."""
    batches = all(spec.shape[0] == "N" for spec in bundle.manifest.inputs)
    if options.batch is None:
        return _DEFAULT_BATCH if batches else 1
    if options.batch > 1 and not batches:
        raise BundleError(
            f"--max-batch {options.batch}: {bundle.where} takes one picture at a time; leave it out, or export the "
            "bundle with a batch that varies"
        )
    return options.batch


def _refuse_other_model(folder: Path, manifest: Manifest, versions: int) -> None:
    """Raise BundleError where `folder` is another's model, or one of another kind.

    One configuration describes all `versions` that are served: with several, their tensors must be alike.
    """
    newest = folder / str(_next_version(folder) - 1) / BUNDLE
    if not newest.is_dir():
        if any(folder.iterdir()):
            raise BundleError(f"{folder}: is there and is no model of segrt; choose another --name or --out")
        return
    found = read_bundle(newest).manifest
    if found.technique != manifest.technique:
        raise BundleError(
            f"{folder}: is a {found.technique} model, but the bundle is {manifest.technique}; choose another --name"
        )
    if versions > 1 and _tensors(found) != _tensors(manifest):
        raise BundleError(
            f"{folder}: its newest version takes or gives tensors of other types, so that both cannot be served; leave "
            "--versions out, or choose another --name"
        )


def _tensors(manifest: Manifest) -> tuple[Any, ...]:
    """Return what the server is told of a model's tensors."""
    return result_kinds(manifest), image_dims(manifest), image_input(manifest.inputs).value_dtype


def _next_version(folder: Path) -> int:
    taken = [int(entry.name) for entry in folder.iterdir() if re.fullmatch(r"[1-9][0-9]{0,9}", entry.name)]
    return max(taken, default=0) + 1


def _copy_bundle(bundle: Bundle, data: bytes, target: Path) -> None:
    target.mkdir(parents=True)
    for file in bundle.manifest.files:
        source = bundle.checked(file, full=True)
        copy = target / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        check_file(copy, file.size, file.sha256, full=True)
    (target / MANIFEST).write_bytes(data)


def _sample(bundle: Bundle) -> Raster:
    """Return the picture that warms a model up: a golden frame's, else a black one of the network's size."""
    manifest = bundle.manifest
    spec = image_input(manifest.inputs)
    if manifest.golden:
        picture = read_input(bundle.checked(manifest.golden[0].image), manifest.inputs)
        picture = picture[..., None] if picture.ndim == 2 else picture
        return np.ascontiguousarray(picture, np.dtype(spec.value_dtype))
    return level_picture(spec, spec.size, 0.0)
