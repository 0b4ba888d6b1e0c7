"""Fixtures for all rooms: a cache of their own, whole tables, a wheel, tiny networks with bundles of them."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from segrt.runtime.console.printable import printable

# What tests of several rooms import lies here. At the end, for other packages have names of these folders.
sys.path.append(str(Path(__file__).resolve().parent))

from tiny_networks import builders

# A shell's background jobs ignore Ctrl-C, and so would the processes that are interrupted here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that none is begun when another worker has nothing left to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Keep what was imported out of the garbage collector's sight: it is a million objects, looked at each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep segrt's cache out of the user's home."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SEGRT_CACHE", str(folder))
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Look that a test which is marked to print a command's table has printed one, and so has had it checked."""
    outcome = yield
    for marker in pyfuncitem.iter_markers("prints_table"):
        (command,) = marker.args
        assert command in pyfuncitem.funcargs["whole_tables"], f"no table of `segrt {command}` was printed"
    return outcome


@pytest.fixture(autouse=True)
def whole_tables(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Look that no table that a test prints loses a letter at 60, 80 and 120 columns; return the commands that did."""
    from segrt.runtime.console import tables

    commands, really = set(), tables.print_on

    def checked(console: Any, title: str, columns: list[str], rows: list[list[str]]) -> None:
        really(console, title, columns, rows)
        context = click.get_current_context(silent=True)
        if context is not None:
            commands.add(str(context.command.name))
        for width in (60, 80, 120):
            narrow = type(console)(file=StringIO(), width=width, highlight=False)
            really(narrow, title, columns, rows)
            wanted = Counter(
                letter for row in rows for cell in row for letter in printable(cell) if not letter.isspace()
            )
            shown = Counter(narrow.file.getvalue())
            assert not wanted - shown, f"{title} loses {wanted - shown} at {width} columns"

    monkeypatch.setattr(tables, "print_on", checked)
    return commands


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The shared fixtures' folder; skips where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "fixtures"
    if not folder.is_dir():
        pytest.skip(f"the shared fixtures are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what git knows, so that no stale build folder is shipped.

    Where `SEGRT_OBJECTS` keeps object files in this tree, those as new as their sources are linked, not made again.
    """
    root, folder = Path(__file__).resolve().parents[1], tmp_path_factory.mktemp("source")
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, names):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    kept = os.environ.get("SEGRT_OBJECTS", "")
    if kept and not Path(kept).is_absolute() and (root / kept).is_dir():
        shutil.copytree(root / kept, folder / kept)
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture
def tiny(tmp_path: Path) -> SimpleNamespace:
    """Builders of tiny networks and bundles: `tiny.bundle("argmax")` → folder."""
    return builders(tmp_path)


@pytest.fixture(scope="session")
def tiny_once(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The same, for fixtures that several tests share."""
    return builders(tmp_path_factory.mktemp("tiny"))
