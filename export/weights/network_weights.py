"""Reads a request's weights (published ones, a file's, or none for random ones) and puts them into networks.

A family's `build` does:

    tensors = network_weights.tensors(request)  # name → tensor, or None for random weights
    network_weights.load(network, tensors, network_weights.name_of(request))
    source = network_weights.source(request, "torchvision")  # for the manifest
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from torch import nn

from segrt.export.family import Request
from segrt.export.quiet import quiet
from segrt.export.weights import checkpoints
from segrt.export.weights.numpy_pickle import read_numpy_pickle
from segrt.export.weights.random_weights import seeded
from segrt.export.weights.torch_file import read_torch_file
from segrt.runtime.bundle.manifest import Source
from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.files.hashing import sha256

Tensors = dict[str, torch.Tensor]
_WRAPPERS = ("state_dict", "model_state_dict", "model", "model_state", "network", "net", "params", "ema", "model_ema")
_COUNTER = "num_batches_tracked"
_SHOWN = 4


def tensors(request: Request) -> Tensors | None:
    """Return the tensors that the request's weights hold, or None for random weights; raise SegrtError without them."""
    path = checkpoint_file(request)
    return None if path is None else read_tensors(path)


def checkpoint_file(request: Request, *, kinds: str = ".pth, .pt or .safetensors") -> Path | None:
    """Return the file of the request's weights, fetched where it is published; None for random weights.

    `kinds` names the files that the network takes in errors.
    """
    if request.weights.kind == "random":
        return None
    if request.weights.kind == "file":
        path = request.weights.path
        if path is None or not path.is_file():
            raise SegrtError(f"--weights {path}: there is no such file; give a {kinds} file")
        return path
    checkpoint = request.model.checkpoint
    if checkpoint is None:
        raise SegrtError(
            f"{request.model.name} has no published weights for the whole network; "
            "give your own with --weights FILE, or --weights random"
        )
    if checkpoint.by_hand:
        raise SegrtError(
            f"{checkpoint.address}: only a browser can fetch the weights of {request.model.name} from there; "
            "save the file and give it with --weights FILE"
        )
    return checkpoints.fetch(checkpoint.address)


def read_tensors(path: Path) -> Tensors:
    """Return the state dict in a .safetensors, .pth or .pt file, or detectron2's .pkl; wrappers ("model") are undone.

    Pickled files are read for tensors or arrays alone, so that no code in them runs. Tensors are mapped from the file
    where its format allows it. Raises SegrtError for other files.
    """
    remedy = "give a state dict saved by torch.save, or a .safetensors file"
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return _without_module(load_file(path))
        is_numpys = path.suffix == ".pkl" and not is_zipfile(path)  # torch saves zip files whatever they are called
        content = read_numpy_pickle(path) if is_numpys else read_torch_file(path)
    except FileNotFoundError:
        raise SegrtError(f"{path}: there is no such file; {remedy}") from None
    except SegrtError:
        raise
    except Exception as error:  # pickle, zipfile, safetensors and torch have errors of their own
        if path.suffix != ".safetensors" and not isinstance(error, OSError) and not _begins_like_torch(path):
            raise SegrtError(f"{path}: is no state dict, but a file of another kind; {remedy}") from None
        raise SegrtError(f"{path}: cannot be read as weights ({one_line(error, 200)}); {remedy}") from None
    tensors_by_name = _unwrapped(content)
    if not tensors_by_name:
        raise SegrtError(f"{path}: holds no tensors by name; {remedy}")
    return tensors_by_name


def load(
    network: nn.Module,
    given: Tensors | None,
    where: str,
    *,
    rename: Callable[[str], str | None] | None = None,
    optional: Sequence[str] = (),
) -> None:
    """Put the tensors `given` into `network`; None leaves it as it is. `where` names their origin in errors.

    `rename` maps a name in the file to the network's (None: leave out). `optional` are patterns of names
    ("aux_classifier.*") that may be missing on either side. Prefixes that all names share ("module.") are undone.
    Raises SegrtError that lists missing, unexpected and misshapen tensors.
    """
    if given is None:
        return
    expected = network.state_dict()
    if rename is not None:
        renamed = {name: rename(name) for name in given}
        given = {new: given[old] for old, new in renamed.items() if new is not None}
    given = _without_prefix(given, expected)

    def must(name: str) -> bool:
        return not name.endswith(_COUNTER) and not any(fnmatchcase(name, pattern) for pattern in optional)

    misshapen = [
        (name, tuple(given[name].shape), tuple(expected[name].shape))
        for name in expected
        if name in given and given[name].shape != expected[name].shape
    ]
    report_misfits(
        where,
        missing=[name for name in expected if name not in given and must(name)],
        unexpected=[name for name in given if name not in expected and must(name)],
        misshapen=misshapen,
    )
    _put(network, {name: given[name] for name in expected if name in given}, expected)


def _put(network: nn.Module, given: Tensors, expected: Mapping[str, torch.Tensor]) -> None:
    """Let `network` have the tensors `given` themselves, not copies of them; those of another dtype are converted.

    Tensors that the network has under several names stay one.
    """
    same: dict[tuple[int, tuple[int, ...], torch.dtype], torch.Tensor] = {}
    tensors = {}
    for name, tensor in given.items():
        known = expected[name]
        key = (known.data_ptr(), tuple(known.shape), known.dtype)
        if known.is_meta or not known.numel():
            tensors[name] = tensor.to(known.dtype)
        else:
            tensors[name] = same.setdefault(key, tensor.to(known.dtype))
    network.load_state_dict(tensors, strict=False, assign=True)


def report_misfits(
    where: str, *, missing: Sequence[str], unexpected: Sequence[str], misshapen: Sequence[tuple[str, Any, Any]]
) -> None:
    """Raise SegrtError that lists what does not fit; `misshapen` holds (name, shape there, shape here)."""
    parts = []
    for names, what in ((missing, "missing"), (unexpected, "unexpected")):
        if names:
            parts.append(f"{len(names)} {what} ({_listed(sorted(names))})")
    if misshapen:
        shapes = [f"{name} {list(there)} instead of {list(here)}" for name, there, here in sorted(misshapen)]
        parts.append(f"{len(misshapen)} of another shape ({_listed(shapes)})")
    if parts:
        remedy = "give weights of this very network"
        if misshapen and not missing and not unexpected:
            remedy += ", and its own classes with --labels"
        raise SegrtError(f"{where}: the weights do not fit: {'; '.join(parts)}; {remedy}")


def load_transformers(network_class: Any, config: Any, request: Request, given: Tensors | None = None) -> Any:
    """Return a transformers network of `network_class` made from `config`, in eval mode, with the request's weights.

    Random weights come from the request's seed. Older checkpoints' names are converted as transformers does; `given`
    are the weights where they have been read, and renamed, already.
    """
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging

    config.dtype = "float32"
    given = tensors(request) if given is None else given
    bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    with seeded(request.weights.seed), quiet():
        if given is None:
            network = network_class(config)
        else:
            where = name_of(request)
            try:
                network, info = network_class.from_pretrained(
                    None,
                    config=config,
                    state_dict=given,
                    dtype=torch.float32,
                    ignore_mismatched_sizes=True,
                    output_loading_info=True,
                )
            except (RuntimeError, ValueError, KeyError) as error:
                raise SegrtError(f"{where}: the weights do not fit ({one_line(error, 200)})") from None
            report_misfits(
                where,
                missing=[name for name in info["missing_keys"] if not name.endswith(_COUNTER)],
                unexpected=[name for name in info["unexpected_keys"] if not name.endswith(_COUNTER)],
                misshapen=list(info["mismatched_keys"]),
            )
    if bar:
        logging.enable_progress_bar()
    return network.eval()


def name_of(request: Request) -> str:
    """Return what the weights are called in manifests and errors."""
    weights = request.weights
    if weights.kind == "random":
        return f"random, seed {weights.seed}"
    if weights.kind == "file":
        return str(weights.path)
    return request.model.checkpoint.address if request.model.checkpoint else "unpublished"


def source(request: Request, *packages: str, notes: str = "") -> Source:
    """Return the manifest's note on where the network comes from; `packages` are those that built it."""
    weights = request.weights
    name, licence = name_of(request), "none"
    if weights.kind == "file" and weights.path is not None:
        name, licence = f"{weights.path.name} (sha256 {sha256(weights.path)[:12]})", "unknown"
    elif weights.kind == "pretrained" and request.model.checkpoint is not None:
        licence = request.model.checkpoint.licence
    versions = {package: version(package) for package in ("torch", *packages)}
    return Source(name, licence, versions, notes)


def _unwrapped(content: Any) -> Tensors:
    """Return the tensors in what a file held, whatever training framework wrapped them."""
    while isinstance(content, Mapping):
        averaged = content.get("ema")
        if isinstance(averaged, Mapping) and isinstance(averaged.get("module"), Mapping):
            content = averaged["module"]  # of RT-DETR and what came of it, which use them before the last step's own
            continue
        plain = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None or len(plain) > 1:
            return _without_module(plain)
        content = inner
    return {}


def _without_module(given: Tensors) -> Tensors:
    """Undo the "module." that torch's parallel training puts before every name."""
    if given and all(name.startswith("module.") for name in given):
        return {name.removeprefix("module."): tensor for name, tensor in given.items()}
    return given


def _without_prefix(given: Tensors, expected: Mapping[str, Any]) -> Tensors:
    """Undo prefixes that all names share, as long as none of them is the network's own name."""
    while given and not any(name in expected for name in given):
        first = next(iter(given)).partition(".")[0] + "."
        if not all(name.startswith(first) for name in given):
            break
        given = {name[len(first) :]: tensor for name, tensor in given.items()}
    return given


def _listed(names: Sequence[str]) -> str:
    more = f", … {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _begins_like_torch(path: Path) -> bool:
    """Whether a file begins as torch's do: as a zip archive, or as a pickle of protocol 2 or later."""
    with path.open("rb") as file:
        return file.read(2).startswith((b"PK", b"\x80"))
