"""What comparisons with authors' own code share: how their packages are entered, when outputs agree, the command."""

import argparse
import sys
import tempfile
import types
from collections.abc import Callable, Iterable
from pathlib import Path

from torch import Tensor

SIZE = (256, 320)
MOST = 1e-4  # of a deviation


def enter_bare(folder: Path, packages: Iterable[str]) -> None:
    """Let modules in `packages` of a checkout be imported without what each `__init__` imports."""
    for package in packages:
        empty = types.ModuleType(package)
        empty.__path__ = [str(folder / package.replace(".", "/"))]
        sys.modules[package] = empty


def agree(model: str, pairs: dict[str, tuple[Tensor, Tensor]], remark: str = "") -> bool:
    """Print the largest difference of each (theirs, ours), in deviations of theirs; return whether all are small."""
    found = {name: float((theirs - ours).abs().max() / theirs.std()) for name, (theirs, ours) in pairs.items()}
    print(f"{model:26}" + "".join(f"  {name} {most:.1e}" for name, most in found.items()) + remark, flush=True)
    return max(found.values()) <= MOST


def compare_models(
    description: str | None,
    repository: str,
    part: str,
    models: Iterable[str],
    compare: Callable[[Path, str, Path], bool],
) -> None:
    """Run `compare` with a checkout of `repository`, which has the folder `part`, each model and a folder for files.

    Exits with 1 unless all agree. Without such a checkout nothing is compared.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--model", action="append", choices=tuple(models))
    given = parser.parse_args()
    if not (given.repository / part).is_dir():
        print(f"{given.repository}: is no checkout of {repository}; nothing is compared")
        return
    with tempfile.TemporaryDirectory(prefix="authors-") as out:
        found = [compare(given.repository, model, Path(out)) for model in given.model or models]
    sys.exit(0 if all(found) else 1)
