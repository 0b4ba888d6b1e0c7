"""Files of networks that are no ONNX file: whose they are, and the command of their toolchain that exports one."""

import zipfile
from pathlib import Path

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.reading import is_folder, is_regular

_TORCH = (
    "a checkpoint of PyTorch holds weights, no network: export it with what has trained it, Ultralytics: "
    "`yolo export model={name} format=onnx`; your own: `torch.onnx.export(model, example, '{stem}.onnx')`; a model of "
    "`segrt models`: `segrt export MODEL --weights {name}`"
)
_ENGINE = "is an engine of TensorRT for one device; adopt the ONNX file that it was built from, then `segrt build`"
_REMEDIES = {
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".ckpt": _TORCH,
    ".bin": _TORCH,
    ".safetensors": "holds weights, no network: `optimum-cli export onnx --model {folder} onnx` writes one, or "
    "`segrt export hf:{folder}`",
    ".engine": _ENGINE,
    ".plan": _ENGINE,
    ".trt": _ENGINE,
    ".h5": "is a network of Keras: `python -m tf2onnx.convert --keras {name} --output {stem}.onnx`",
    ".keras": "is a network of Keras: `model.export('{stem}.onnx', format='onnx')`",
    ".tflite": "is a network of TensorFlow Lite: `python -m tf2onnx.convert --tflite {name} --output {stem}.onnx`",
    ".pb": "is a graph of TensorFlow: `python -m tf2onnx.convert --saved-model {folder} --output {stem}.onnx`",
    ".pdmodel": "is a network of Paddle: `paddle2onnx --model_dir {folder} --model_filename {name} --params_filename "
    "{stem}.pdiparams --save_file {stem}.onnx`",
    ".mlmodel": "is a network for Core ML; export the one that it was made from to ONNX",
    ".xml": "is a network of OpenVINO; export the one that it was made from to ONNX",
}


def refuse_foreign(path: Path) -> None:
    """Raise SegrtError for a file of another toolchain, with that toolchain's command that writes an ONNX file."""
    suffix = path.suffix.lower()
    if is_folder(path):
        if (path / "saved_model.pb").is_file():
            raise _refusal(path / "saved_model.pb", ".pb")
        return
    if suffix in _REMEDIES and is_regular(path):
        raise _refusal(path, ".pt" if _is_torch(path) else suffix)


def _is_torch(path: Path) -> bool:
    """Whether the file is a zip as `torch.save` writes it, whatever it is called."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(("data.pkl", "constants.pkl")) for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError):
        return False


def _refusal(path: Path, kind: str) -> SegrtError:
    remedy = _REMEDIES[kind].format(name=path, stem=path.stem, folder=path.parent)
    return SegrtError(f"{path}: is no ONNX file; {remedy}")
