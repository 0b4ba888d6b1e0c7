"""Checkpoints that are pickles of arrays are read, and nothing in them is run."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from segrt.export.weights import network_weights
from segrt.runtime.errors import SegrtError


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_come_back_as_tensors(tmp_path: Path, protocol: int) -> None:
    kernel = np.random.default_rng(1).normal(size=(4, 3, 2, 2)).astype(np.float32)
    content = {
        "model": {"stem.weight": kernel, "stem.norm.num_batches_tracked": np.array(7), "half": np.ones(3, np.float16)},
        "__author__": "somebody",
        "matching_heuristics": True,
    }
    path = tmp_path / "model_final_bd324a.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found = network_weights.read_tensors(path)
    assert sorted(found) == ["half", "stem.norm.num_batches_tracked", "stem.weight"]
    torch.testing.assert_close(found["stem.weight"], torch.from_numpy(kernel), rtol=0, atol=0)
    assert int(found["stem.norm.num_batches_tracked"]) == 7


def test_the_names_of_older_numpy_are_known(tmp_path: Path) -> None:
    data = pickle.dumps({"model": {"w": np.arange(3.0)}}, protocol=2)
    path = tmp_path / "old.pkl"
    path.write_bytes(data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    assert b"numpy.core" in path.read_bytes()
    assert network_weights.read_tensors(path)["w"].tolist() == [0, 1, 2]


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


def test_anything_but_arrays_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "harmful.pkl"
    path.write_bytes(pickle.dumps({"model": {"w": np.zeros(2)}, "more": _Harmful()}))
    with pytest.raises(SegrtError, match=r"harmful\.pkl: cannot be read as weights .*system, which is no array"):
        network_weights.read_tensors(path)
    assert not (tmp_path / "harmed").exists()


def test_a_file_of_torch_may_be_called_pkl(tmp_path: Path) -> None:
    path = tmp_path / "torch.pkl"
    torch.save({"state_dict": {"w": torch.ones(2)}}, path)
    assert network_weights.read_tensors(path)["w"].tolist() == [1, 1]
