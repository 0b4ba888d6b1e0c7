"""Writes docs/zoo.md from `segrt models --json`: `python docs/zoo.py`; --check says whether the page is that."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segrt.export.cli.models import BY_NAME

PAGE = Path(__file__).with_name("zoo.md")
_COMMAND = [sys.executable, "-c", "from segrt.runtime.cli import main; main()", "models", "--json"]
_HEAD = """# The models

Made from `segrt models --json` by `make zoo`; it is not written by hand.

`segrt get NAME` fetches the published weights, exports and verifies them; `segrt export NAME` has all options. Sizes
are height × width of the default input, GMACs those of one picture at it.

*Published* is what the publisher says that the weights score, in its own framework, with the source below; where
nothing stands it is not known for these very weights, not low. Your own figure, before and after the conversion and by
precision, is what `segrt export NAME --annotations DATA` writes into the bundle's truth card (`segrt inspect`).

*Verified here* is what the project's checks have exported with random weights: heads and results were held to the
family's limits against the framework, in ONNX Runtime on a CPU, over three photos; the share is the least agreement of
a result. *engine* says that TensorRT-RTX built one of it. "as NAME" stands where another size of the family was taken,
"not noted" where `make zoo` has not run since the checks know the family.
Trained weights are verified where you export them: the export compares before it writes anything. What ran on a GPU
stands in [On a GPU](../benchmarks/gpu.md).

A licence with ⊘ forbids commercial use of the weights; the code's own stands behind the family."""

Entry = Mapping[str, Any]


def page(entries: Sequence[Entry]) -> str:
    """Return the page for the entries of `segrt models --json`."""
    sources: dict[str, int] = {}
    parts = [_HEAD]
    for technique in ("semantic", "instance", "panoptic"):
        group = [entry for entry in entries if entry["technique"] == technique]
        parts += [f"\n## {technique.capitalize()}\n", *_table(group, entries, sources)]
        by_name = (f"- {', '.join(f'`{name}`' for name in names)}: {what}" for names, what in BY_NAME[technique])
        parts += ["\nBy name:\n", *by_name]
    parts += ["\n## Sources\n", *(f"{number}. {source}" for source, number in sources.items()), "\n## Versions\n"]
    parts += _versions(entries)
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(group: Iterable[Entry], entries: Sequence[Entry], sources: dict[str, int]) -> list[str]:
    rows = [
        "| model | size | M params | GMACs | weights | published | verified here |",
        "|---|---|---|---|---|---|---|",
    ]
    family = None
    for entry in group:
        if entry["family"] != family:
            family = entry["family"]
            rows.append(f"| **{family.replace('_', ' ')}** (code {entry['code_licence']}) | | | | | | |")
        height, width = entry["size"]
        cells = [
            f"`{entry['name']}`",
            f"{height}×{width}",
            f"{entry['parameters'] / 1e6:.1f}",
            f"{entry['gmacs']:.1f}",
            _weights(entry),
            _published(entry, sources),
            _verified(entry, entries),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _weights(entry: Entry) -> str:
    weights = entry["weights"]
    if weights is None:
        return "none published"
    covers = "" if weights["covers"] == "network" else f" ({weights['covers']} alone)"
    return ("⊘ " if weights["forbids_commercial_use"] else "") + weights["licence"] + covers


def _published(entry: Entry, sources: dict[str, int]) -> str:
    published = entry["published"]
    if published is None:
        return ""
    number = sources.setdefault(published["source"], len(sources) + 1)
    return f"{published['metric']} {100 * published['value']:.1f}, {published['dataset']} [{number}](#sources)"


def _verified(entry: Entry, entries: Sequence[Entry]) -> str:
    record = entry["verified"]
    if record is not None:
        height, width = record["size"]
        shape = f"{height}×{width}" + ("" if record["whole"] else ", fewer layers")
        engine = ", engine" if "tensorrt-rtx" in record["runtimes"] else ""
        return f"{record['weights']}, {shape}: {record['agreement']:.2%}{engine}"
    alike = [other for other in entries if other["family"] == entry["family"] and other["verified"] is not None]
    alike.sort(key=lambda other: other["technique"] != entry["technique"])
    return f"as `{alike[0]['name']}`" if alike else "not noted"


def _versions(entries: Sequence[Entry]) -> list[str]:
    """Return what the checks ran with, a line for each package."""
    found: dict[str, set[str]] = {}
    for record in (entry["verified"] for entry in entries if entry["verified"] is not None):
        for package, version in {**record["versions"], **record["runtimes"]}.items():
            found.setdefault(package, set()).add(version)
    return [f"- {package} {', '.join(sorted(versions))}" for package, versions in sorted(found.items())]


def main() -> int:
    """Write the page, or compare it; return 1 where it is another one."""
    listed = subprocess.run(_COMMAND, capture_output=True, text=True, check=True).stdout
    text = page(json.loads(listed))
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if PAGE.is_file() and PAGE.read_text() == text:
        return 0
    print(f"{PAGE}: is not what `segrt models --json` says; `python docs/zoo.py` writes it anew", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
