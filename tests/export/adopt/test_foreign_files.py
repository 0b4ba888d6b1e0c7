"""Files of other toolchains are refused with the command that exports them."""

import zipfile
from pathlib import Path

import pytest

from segrt.export.adopt.foreign_files import refuse_foreign
from segrt.runtime.errors import SegrtError


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("best.pt", "Ultralytics: `yolo export model={path} format=onnx`"),
        ("net.pth", "`torch.onnx.export(model, example, 'net.onnx')`"),
        ("model.safetensors", "`optimum-cli export onnx --model {folder} onnx`"),
        ("x.engine", "adopt the ONNX file that it was built from"),
        ("x.H5", "`python -m tf2onnx.convert --keras {path} --output x.onnx`"),
        ("inference.pdmodel", "`paddle2onnx --model_dir {folder} --model_filename"),
    ],
)
def test_a_file_of_another_toolchain_names_its_command(tmp_path: Path, name: str, remedy: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"weights")
    with pytest.raises(SegrtError) as refused:
        refuse_foreign(path)
    assert str(refused.value).startswith(f"{path}: is no ONNX file; ")
    assert remedy.format(path=path, folder=tmp_path) in str(refused.value)


def test_a_checkpoint_of_torch_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", b"")
    with pytest.raises(SegrtError, match="a checkpoint of PyTorch holds weights, no network"):
        refuse_foreign(path)


def test_onnx_files_and_what_is_not_there_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"")
    refuse_foreign(tmp_path / "net.onnx")
    refuse_foreign(tmp_path / "absent.pt")
    (tmp_path / "folder").mkdir()
    refuse_foreign(tmp_path / "folder")
