"""Weights that Keras saved: every array in its place, and files that are something else refused in one line."""

import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))

from keras_layout import save_as_keras  # noqa: E402
from torch import nn  # noqa: E402

from segrt.export.weights.keras_weights import keras_arrays, load_keras  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402


def network(seed: int = 1, classes: int = 5) -> Any:
    torch.manual_seed(seed)
    layers = [
        ("first", nn.Conv2d(3, 4, 3)),
        ("first_BN", nn.BatchNorm2d(4)),
        ("apart", nn.Conv2d(4, 4, 3, groups=4, bias=False)),
        ("larger", nn.ConvTranspose2d(4, 6, 2, stride=2)),
        ("last", nn.Linear(6, classes)),
    ]
    made = nn.ModuleDict({"part": nn.Sequential(OrderedDict(layers))})
    norm = made["part"][1]
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(norm.weight)
    return made


@pytest.mark.parametrize("whole_model", [False, True])
@pytest.mark.parametrize("nested", [{}, {"inner_model": ["apart", "larger"]}])
def test_every_array_comes_back(tmp_path: Path, whole_model: bool, nested: dict[str, list[str]]) -> None:
    given, path = network(), tmp_path / "weights.h5"
    saved = save_as_keras(given, path, nested=nested, whole_model=whole_model)
    assert {name: array.shape for name, array in saved.items()} == {
        "first/kernel": (3, 3, 3, 4),
        "first/bias": (4,),
        **{f"first_BN/{kind}": (4,) for kind in ("gamma", "beta", "moving_mean", "moving_variance")},
        "apart/depthwise_kernel": (3, 3, 4, 1),
        "larger/kernel": (2, 2, 6, 4),
        "larger/bias": (6,),
        "last/kernel": (6, 5),
        "last/bias": (5,),
    }
    loaded = network(seed=2)
    load_keras(loaded, path)
    state = loaded.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in given.state_dict().items() if "num_b" not in name)


def test_kernels_mean_what_they_mean_in_keras() -> None:
    """Keras's own definition, by hand: height, width, in, out; a transposed one has out before in."""
    made = network()
    conv, larger = made["part"].first, made["part"].larger
    arrays = {name: array.get() for name, array in keras_arrays(made).items()}
    picture = torch.randn(1, 3, 3, 3)
    by_hand = np.einsum("hwc,hwco->o", picture[0].permute(1, 2, 0).numpy(), arrays["first/kernel"])
    with torch.no_grad():
        np.testing.assert_allclose(conv(picture)[0, :, 0, 0].numpy(), by_hand + arrays["first/bias"], atol=1e-5)
        cell = torch.randn(1, 4, 1, 1)
        by_hand = np.einsum("c,hwoc->ohw", cell[0, :, 0, 0].numpy(), arrays["larger/kernel"])
        found = larger(cell)[0].numpy()
    np.testing.assert_allclose(found, by_hand + arrays["larger/bias"][:, None, None], atol=1e-5)


def test_layers_that_were_made_twice_go_by_their_groups(tmp_path: Path) -> None:
    given, path = network(), tmp_path / "weights.h5"
    save_as_keras(given, path)
    with h5py.File(path, "a") as file:
        group = file["first"]
        group.move("first/kernel:0", "first_3/kernel_1:0")
        group.move("first/bias:0", "first_3/bias_1:0")
        group.attrs["weight_names"] = [b"first_3/kernel_1:0", b"first_3/bias_1:0"]
    loaded = network(seed=2)
    load_keras(loaded, path)
    assert torch.equal(loaded["part"].first.weight, given["part"].first.weight)


def test_a_layer_of_another_name_is_taken_where_it_is_known(tmp_path: Path) -> None:
    given, path = network(), tmp_path / "weights.h5"
    given["part"] = nn.Sequential(
        OrderedDict((name.replace("last", "custom_last"), part) for name, part in given["part"].named_children())
    )
    save_as_keras(given, path)
    loaded = network(seed=2)
    load_keras(loaded, path, other_names={"custom_last": "last"})
    assert torch.equal(loaded["part"].last.weight, given["part"].custom_last.weight)
    with pytest.raises(SegrtError, match="2 missing"):
        load_keras(loaded, path)


def test_another_model_is_counted_and_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    save_as_keras(nn.Sequential(OrderedDict([("first", nn.Conv2d(3, 4, 3)), ("dense", nn.Linear(2, 2))])), path)
    loaded = network()
    before = {name: tensor.clone() for name, tensor in loaded.state_dict().items()}
    with pytest.raises(SegrtError) as caught:
        load_keras(loaded, path)
    told = str(caught.value)
    assert told.startswith(f"{path}: the weights do not fit: 9 missing (apart/depthwise_kernel, ")
    assert "; 2 unexpected (dense/bias, dense/kernel); give weights of this very network" in told
    assert "\n" not in told
    assert all(torch.equal(before[name], tensor) for name, tensor in loaded.state_dict().items())


def test_other_classes_are_a_matter_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    save_as_keras(network(classes=7), path)
    with pytest.raises(SegrtError, match=r"2 of another shape \(last/bias \[7\] instead of \[5\], .*with --labels"):
        load_keras(network(), path)


def _keras3(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("layers/conv2d/vars").create_dataset("0", data=np.zeros(3, np.float32))


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"")


def _cut_off(path: Path) -> None:
    save_as_keras(network(), path)
    path.write_bytes(path.read_bytes()[:3000])


def _other_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=np.zeros(3, np.float32))


def _linked(path: Path) -> None:
    save_as_keras(network(), path)
    save_as_keras(network(), path.with_name("elsewhere.h5"))
    with h5py.File(path, "a") as file:
        del file["first/first/kernel:0"]
        file["first/first/kernel:0"] = h5py.ExternalLink(str(path.with_name("elsewhere.h5")), "first/first/kernel:0")


def _linked_layer(path: Path) -> None:
    save_as_keras(network(), path)
    save_as_keras(network(), path.with_name("elsewhere.h5"))
    with h5py.File(path, "a") as file:
        del file["first"]
        file["first"] = h5py.ExternalLink(str(path.with_name("elsewhere.h5")), "/first")


def _linked_model(path: Path) -> None:
    save_as_keras(network(), path.with_name("elsewhere.h5"))
    with h5py.File(path, "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(path.with_name("elsewhere.h5")), "/")


def _text_arrays(path: Path) -> None:
    save_as_keras(network(), path)
    with h5py.File(path, "a") as file:
        del file["first/first/bias:0"]
        file["first/first/bias:0"] = "text"


def _unnamed(path: Path) -> None:
    save_as_keras(network(), path)
    with h5py.File(path, "a") as file:
        del file["first"].attrs["weight_names"]


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: path.write_text("weights"), "is no HDF5 file; give what Keras writes with model.save_weights"),
        (_zip, "is a zip archive, as Keras 3's .keras; load it there and"),
        (_keras3, "is of Keras 3's own format, which does not name layers; load it there"),
        (_cut_off, r"cannot be read as HDF5 \(.*\); fetch it again"),
        (_other_hdf5, "holds no layers of Keras; give what"),
        (_linked, "/first/first/kernel:0 is missing or a link to elsewhere; fetch it again"),
        (_linked_layer, "/first is missing or a link to elsewhere; fetch it again"),
        (_linked_model, "/model_weights is missing or a link to elsewhere; fetch it again"),
        (_text_arrays, "/first/first/bias:0 is no array of floats in this file"),
        (_unnamed, r"is damaged \(.*\); fetch it again"),
    ],
    ids=["text", "zip", "keras3", "cut off", "other", "link", "linked layer", "linked model", "text array", "unnamed"],
)
def test_what_is_not_keras_is_refused(tmp_path: Path, write: Any, told: str) -> None:
    path = tmp_path / "weights.h5"
    write(path)
    with pytest.raises(SegrtError, match=told) as caught:
        load_keras(network(), path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_without_h5py_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(SegrtError, match=r"weights.h5: needs h5py to be read; pip install 'segrt\[keras\]'"):
        load_keras(network(), tmp_path / "weights.h5")
