"""Measures the house: `python tests/packaging/house.py` prints what CONTRIBUTING quotes.

Imports are counted wherever they stand: at the top, inside functions, for types, and as text that names a module
("segrt.runtime.inference.onnxruntime:OnnxRuntimeBackend"), which import-linter cannot see.
"""

import ast
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("runtime", "export")
# The one table by which the runtime reaches the exporter.
COMMAND_TABLE = "segrt.runtime.cli"
LONG = 300
_EXPECTED_NAMES = re.compile(r"\.cli\.|\.decode\.cuda\.|\.models\.\w+\.(build|network|framework_result)$")
_NAMED = re.compile(r"segrt\.(?:runtime|export)(?:\.\w+)+")


@dataclass(frozen=True)
class Imports:
    """Which module imports which: as statements, and as text that names a module."""

    statements: Mapping[str, frozenset[str]]
    texts: Mapping[str, frozenset[str]]

    def all(self) -> dict[str, frozenset[str]]:
        """Return both kinds together, without what the table of commands names."""
        return {
            module: targets | (frozenset() if module == COMMAND_TABLE else self.texts[module])
            for module, targets in self.statements.items()
        }


def sources() -> dict[str, Path]:
    """Return every module of the two rooms, name → file."""
    files = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            files[".".join(["segrt", *parts])] = path
    return files


def read_imports(files: Mapping[str, Path]) -> Imports:
    """Return who imports whom among `files`."""
    statements, texts = {}, {}
    for module, path in files.items():
        tree = ast.parse(path.read_text())
        statements[module] = frozenset(_imported(tree, files)) - {module}
        texts[module] = frozenset(_named(tree, files)) - {module}
    return Imports(statements, texts)


def circles(imports: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Return the sets of modules that import each other, directly or by way of others (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    result: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for target in imports[module]:
            if target not in order:
                visit(target)
                lowest[module] = min(lowest[module], lowest[target])
            elif target in stack:
                lowest[module] = min(lowest[module], order[target])
        if lowest[module] == order[module]:
            members = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(members) > 1:
                result.append(sorted(members))

    for module in imports:
        if module not in order:
            visit(module)
    return result


def floors() -> dict[str, int]:
    """Return the floor of every room by the contracts in pyproject.toml; imports go from higher numbers to lower."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    levels = {}
    for contract in contracts:
        if contract["type"] != "layers":
            continue
        for level, names in enumerate(reversed(contract["layers"])):
            for name in names.split("|"):
                levels[f"{contract['containers'][0]}.{name.strip()}"] = level
    return levels


def upward(imports: Mapping[str, frozenset[str]]) -> list[tuple[str, str]]:
    """Return the imports that go up, or across to a room on the same floor, or from the runtime to the exporter."""
    levels = floors()
    wrong = []
    for module, targets in imports.items():
        for target in targets:
            here, there = _room(module), _room(target)
            if here == there or module in ("segrt.runtime", "segrt.export"):
                continue
            runtime, exporter = "segrt.runtime.", "segrt.export."
            if (module.startswith(runtime) and target.startswith(exporter)) or (
                module.startswith(exporter) == target.startswith(exporter) and levels[here] <= levels[there]
            ):
                wrong.append((module, target))
    return sorted(wrong)


def entries(folder: Path) -> tuple[list[str], list[str]]:
    """Return the (folders, modules) that a reader who opens `folder` sees."""
    shown = [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "__pycache__"))]
    return (
        [path.name for path in shown if any(_is_kept(inner) for inner in path.glob("**/*"))],
        [path.name for path in shown if path.suffix == ".py"],
    )


def shared_names(files: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the names that more than one module has.

    Commands are named as what they command, rules are named alike on the CPU and on the GPU, and every model family has
    the same files (`build`, `network`).
    """
    names: dict[str, list[str]] = {}
    for module, path in files.items():
        if path.stem not in ("__init__", "__main__") and not _EXPECTED_NAMES.search(module):
            names.setdefault(path.stem, []).append(module)
    return {name: modules for name, modules in names.items() if len(modules) > 1}


def lengths(files: Mapping[str, Path]) -> dict[str, int]:
    """Return the lines of each file."""
    return {module: len(path.read_text().splitlines()) for module, path in files.items()}


def main() -> None:
    """Print the measures."""
    files = sources()
    imports = read_imports(files).all()
    for room in ROOMS:
        folders, modules = entries(ROOT / room)
        print(f"{room}/: {len(folders)} rooms and {len(modules)} modules: {', '.join([*folders, *modules])}")
        inner = Counter(module.split(".")[2] for module in files if module.startswith(f"segrt.{room}."))
        print("  modules in each: " + ", ".join(f"{name} {count}" for name, count in sorted(inner.items())))
    counts = lengths(files)
    print(f"circles between modules: {len(circles(imports))}")
    print(f"imports that go up: {len(upward(imports))}")
    print(f"names that several modules have: {', '.join(sorted(shared_names(files))) or 'none'}")
    print(f"files above {LONG} lines: {', '.join(sorted(name for name in counts if counts[name] > LONG)) or 'none'}")
    print(f"modules: {len(counts)}, lines: {sum(counts.values())}, median: {statistics.median(counts.values()):.0f}")


def _imported(tree: ast.AST, files: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in files:
                    yield inner
                elif node.module in files and alias.name != "_postproc":
                    yield node.module


def _named(tree: ast.AST, files: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules that texts of the program name; docstrings tell, they do not import."""
    told = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body
        if isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in told:
            for name in _NAMED.findall(node.value):
                while name not in files and "." in name:
                    name = name.rpartition(".")[0]
                if name in files and name.count(".") > 1:
                    yield name


def _is_kept(path: Path) -> bool:
    """Say whether `path` is a file and no by-product: a folder that moved away may leave compiled modules behind."""
    return path.is_file() and path.parent.name != "__pycache__"


def _room(module: str) -> str:
    return ".".join(module.split(".")[:3])


if __name__ == "__main__":
    main()
