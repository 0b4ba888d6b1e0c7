"""Three hundred changed files, the same each time, over all readers; `make soak` reads ten thousand."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("cryptography")
pytest.importorskip("torch")

import campaign
import mutators
from readers import READERS, Reader
from valid_files import prepare

FILES = 150


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    prepare(folder)
    return folder


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_accepts_the_files_that_the_changed_ones_are_made_of(
    reader: Reader, seeds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(seeds, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    for seed in reader.seeds:
        if reader.name != "keys":  # a key is of one kind, and both readers have their turn
            reader.read(tmp_path / "work", (seeds / seed).read_bytes())


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_changes_are_the_same_each_time_and_are_changes(reader: Reader, seeds: Path) -> None:
    files = [campaign.changed(reader.name, number, seeds) for number in range(12)]
    assert files == [campaign.changed(reader.name, number, seeds) for number in range(12)]
    originals = {(seeds / seed).read_bytes() for seed in reader.seeds}
    assert len(set(files) - originals) >= 6


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_changed_files_are_read_or_refused_in_one_line() -> None:
    each = -(-FILES // len(READERS))
    outcomes = campaign.run({reader.name: range(each) for reader in READERS})
    assert [finding for outcome in outcomes for finding in outcome.findings] == []
    assert sum(outcome.files for outcome in outcomes) >= FILES
    assert sum(outcome.refused for outcome in outcomes) > FILES / 2


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ("raise KeyError('x')", "KeyError"),
        ("os.abort()", "the process ended with -6"),
        ("time.sleep(60)", "took more than"),
        ("bytearray(3 << 30)", "MemoryError"),
        ("open('../outside', 'w').close()", "wrote outside its folder"),
        ("raise SegrtError('two\\nlines')", "not one line"),
    ],
)
def test_the_campaign_finds_what_must_not_happen(body: str, finding: str, tmp_path: Path) -> None:
    """A reader that fails in each way, in the place of the real ones."""
    for name in ("campaign.py", "mutators.py"):
        text = (Path(campaign.__file__).parent / name).read_text()
        (tmp_path / name).write_text(text.replace("MOST_SECONDS = 20.0", "MOST_SECONDS = 1.0"))
    (tmp_path / "readers.py").write_text(
        f"""
import os, time
from dataclasses import dataclass
from segrt.runtime.errors import SegrtError

@dataclass
class Reader:
    name: str
    seeds: tuple
    mutate: object
    read: object
    allowed: tuple = ()

def read(folder, data):
    if data == b"b":
        {body}

READERS = [Reader("one", ("seed",), lambda data, rng: b"b", read)]
"""
    )
    (tmp_path / "valid_files.py").write_text("def prepare(folder):\n    (folder / 'seed').write_bytes(b'a')\n")
    code = "import campaign; print(campaign.run({'one': range(2)})[0].findings)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={**os.environ}, check=True
    )
    assert done.stdout.count(finding) == 2, done.stdout


def test_a_hidden_field_is_what_a_reader_of_32_bits_takes_for_it() -> None:
    changed = {mutators.protobuf(b"\x6a\x01a", random.Random(seed)) for seed in range(200)}
    assert any(data.startswith(mutators.varint(0x6A | 1 << 32)) for data in changed)
