"""Every command that prints a table does so in a test that says it: there it is looked at in several widths."""

import ast
from importlib.util import find_spec
from pathlib import Path

import click

from segrt.runtime.cli import COMMANDS, LazyGroup

TESTS = Path(__file__).resolve().parents[1]
PRINTING = "segrt.runtime.console.tables"


def imports_of(module: str) -> set[str]:
    """Return the modules that one imports, at its top or inside functions."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    found = set()
    for node in ast.walk(ast.parse(Path(spec.origin).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def prints_tables(module: str, commands: frozenset[str]) -> bool:
    """Whether a command's module, or one beside it that is no command's itself, imports what prints tables."""
    seen, left = set(), [module]
    while left:
        name = left.pop()
        seen.add(name)
        imported = imports_of(name)
        if PRINTING in imported:
            return True
        left += [other for other in imported - seen - commands if ".cli." in other and _is_module(other)]
    return False


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def marked() -> set[str]:
    """Return the commands that tests are marked to print tables of; each such test looks that it does."""
    found = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "prints_table":
                found |= {word.value for word in node.args if isinstance(word, ast.Constant)}
    return found


def test_every_command_that_prints_a_table_does_so_in_a_test() -> None:
    group = LazyGroup()
    modules = {}
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        modules[name] = COMMANDS[name][0].partition(":")[0]
    commands = frozenset(modules.values())
    printing = {name for name, module in modules.items() if prints_tables(module, commands - {module})}
    assert {"inspect", "profile", "models"} <= printing
    assert printing - marked() == set(), "mark a test that prints its table with @pytest.mark.prints_table(COMMAND)"
    assert marked() - printing == set(), "marked for commands that print no table"
