"""Who may import whom, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = sorted((ROOT / "runtime").rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", RUNTIME, ids=lambda path: str(path.relative_to(ROOT)))
def test_runtime_imports_neither_torch_nor_export(path: Path) -> None:
    roots = {".".join(name.split(".")[:2]) for name in imported_modules(path)} | {
        name.split(".")[0] for name in imported_modules(path)
    }
    assert not roots & {"torch", "torchvision", "transformers", "matplotlib", "onnx", "segrt.export", "pycocotools"}
    if path != ROOT / "runtime/postproc/core.py":
        assert "segrt.runtime._postproc" not in imported_modules(path)


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd="/").stdout


def test_importing_the_runtime_is_cheap_and_loads_no_heavy_package() -> None:
    code = (
        "import time; start = time.process_time(); import segrt.runtime; spent = time.process_time() - start\n"
        "import sys; print(spent, *({'torch', 'matplotlib', 'cv2', 'onnxruntime', 'av', 'rich'} & set(sys.modules)))"
    )
    spent, *loaded = min((run_python(code).split() for _ in range(3)), key=lambda words: float(words[0]))
    assert float(spent) < 0.2
    assert loaded == []


def test_running_a_model_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import numpy, sys; from segrt.runtime import open_bundle\n"
        "with open_bundle('street-panoptic', threads=1) as segmenter:\n"
        "    result = segmenter(numpy.zeros((90, 160, 3), numpy.uint8))\n"
        "print(result.segment_ids.shape, *({'torch', 'matplotlib', 'supervision', 'onnx'} & set(sys.modules)))"
    )
    assert run_python(code).strip() == "(90, 160)"


def test_no_command_is_imported_for_the_help_text() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from segrt.runtime.cli import COMMANDS, cli\n"
        "done = CliRunner().invoke(cli, ['--help']); assert done.exit_code == 0, done.output\n"
        "assert all(name in done.output for name in COMMANDS)\n"
        "print(*(name for name in sys.modules if name.startswith('segrt.runtime.cli.')))"
    )
    assert run_python(code).strip() == ""
