"""`segrt inspect`: what a bundle holds, without running its network."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.json_output import STANDARD_OUTPUT, JsonCommand, check_json, json_option, write_json_text
from segrt.runtime.console.printable import say
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import counted
from segrt.runtime.files.json_files import encode_json

if TYPE_CHECKING:
    from segrt.runtime.bundle.bundle import Bundle
    from segrt.runtime.bundle.manifest import Manifest, Parity
    from segrt.runtime.preprocess.input_spec import InputSpec, Resize


@click.command(cls=JsonCommand)
@click.argument("bundle")
@json_option("the manifest and the state of its files")
def inspect(bundle: str, json_path: Path | None) -> None:
    """Show what BUNDLE (a folder, or the name of an embedded bundle) holds.

    Files are compared with the manifest by size alone; `segrt verify` compares their hashes.
    """
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.cli.card import show_card
    from segrt.runtime.errors import BundleError

    check_json(json_path)
    opened = read_bundle(bundle)
    manifest = opened.manifest
    states = {file.path: _state(opened.folder / file.path, file.size) for file in manifest.files}
    if json_path is not None:
        import msgspec

        content = {"folder": str(opened.folder.resolve()), "manifest": manifest, "files": states}
        write_json_text(json_path, msgspec.json.format(encode_json(content), indent=2).decode())
        if json_path == STANDARD_OUTPUT:
            return
    _show_bundle(opened)
    _show_members(manifest)
    _show_tensors(manifest)
    _show_variants(manifest, states)
    _show_errors(manifest)
    show_card(manifest)
    for path, state in states.items():
        if state != "ok":
            raise BundleError(f"{opened.folder / path}: {state}; copy the bundle again")


def _show_bundle(bundle: "Bundle") -> None:
    manifest = bundle.manifest
    options = ", ".join(f"{name} {_word(value)}" for name, value in manifest.decode.options.items())
    print_table(
        manifest.name,
        ["", ""],
        [
            ["folder", str(bundle.folder)],
            ["format", manifest.format],
            ["technique", manifest.technique],
            ["family", manifest.family],
            ["weights", f"{manifest.source.weights} (licence: {manifest.source.licence})"],
            *([["notes", manifest.source.notes]] if manifest.source.notes else []),
            *([["knows", f"{manifest.domain} alone"]] if isinstance(manifest.domain, str) else []),
            ["made with", ", ".join(f"{name} {version}" for name, version in manifest.source.versions.items())],
            ["decode rule", manifest.decode.rule_name + (f" ({options})" if options else "")],
            ["labels", f"{len(manifest.labels)}: " + ", ".join(label.name for label in manifest.labels)],
            ["golden frames", ", ".join(frame.name for frame in manifest.golden) or "none"],
        ],
    )


def _show_members(manifest: "Manifest") -> None:
    if not manifest.members:
        return
    rows = [
        [
            member.name,
            member.technique,
            member.family,
            member.decode.rule_name,
            ", ".join(manifest.labels[index].name for index in member.classes if index >= 0),
        ]
        for member in manifest.members
    ]
    print_table("Members", ["name", "technique", "family", "decode rule", "classes"], rows)


def _show_tensors(manifest: "Manifest") -> None:
    inputs = [[spec.name, spec.role, *_input_cells(spec)] for spec in manifest.inputs]
    print_table("Inputs", ["name", "role", "tensor", "resize", "values"], inputs)
    heads = [[head.name, head.role, f"{head.dtype} {_shape(head.shape)}"] for head in manifest.heads]
    print_table("Heads", ["name", "role", "tensor"], heads)


def _input_cells(spec: "InputSpec") -> list[str]:
    """Return an input's tensor, how pictures are resized for it, and what becomes of their values."""
    tensor = f"{spec.dtype} {_shape(spec.shape)}"
    if spec.role != "image":
        return [tensor, "", "as they are"]
    values = f"(x * {spec.scale:g} - {list(spec.mean)}) / {list(spec.std)}"
    grey = f" by {spec.grey}" if isinstance(spec.grey, str) else ""
    cells = [f"{tensor} {spec.layout} {spec.color}{grey}", _resize(spec.resize)]
    of = f" of {spec.value_dtype}" if spec.value_dtype != "uint8" else ""
    return [*cells, "as they are" if spec.dtype == "uint8" else values + of]


def _show_variants(manifest: "Manifest", states: dict[str, str]) -> None:
    rows = [
        [
            variant.precision,
            file.path,
            f"{file.size / 1e6:.2f}",
            states[file.path],
            _number(variant.precision_share, ".1%"),
            _number(variant.weight_share, ".1%"),
            _agreement(variant.parity),
        ]
        for variant in manifest.variants
        for file in variant.files
    ]
    columns = ["precision", "file", "MB", "state", "of the multiply-adds", "of the weights", "agreement"]
    print_table("Variants", columns, rows)
    for variant in manifest.variants:
        if variant.kept:
            say(f"In the {variant.precision} variant these layers stay in fp32: {', '.join(variant.kept)}.")


def _show_errors(manifest: "Manifest") -> None:
    """Print by how much heads differed from the source's, and the network's input from its image processor's."""
    parities = [(variant.precision, variant.parity) for variant in manifest.variants if variant.parity is not None]
    rows = [
        [precision, name, f"{head.max_abs:.2g}", f"{head.mean_abs:.2g}", _number(head.relative, ".2g")]
        for precision, parity in parities
        for name, head in parity.heads.items()
    ]
    if rows:
        print_table("Heads' errors", ["precision", "head", "largest", "mean", "relative"], rows)
    for _, parity in parities:
        if parity.input_max is not None:
            differs = f"largest {parity.input_max:.2f}, mean {_number(parity.input_mean, '.3f')} grey levels"
            say(f"The network's input differs from that of the source's own image processor by: {differs}.")
            break


def _agreement(parity: "Parity | None") -> str:
    """Return a variant's agreement in words: of the final result, and what it is measured against."""
    if parity is None:
        return ""
    parts = [f"{parity.agreement:.4%}"]
    if parity.matched is not None:
        parts.append(f"{parity.matched:.2%} matched")
    if parity.pq is not None:
        parts.append(f"PQ {parity.pq:.4f}")
    return f"{', '.join(parts)} over {counted(parity.images, 'image')}" + (
        " with fp32" if parity.against == "fp32" else ""
    )


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return "x".join(str(side) for side in value)  # a size
    return {None: "none", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)


def _number(value: float | None, style: str) -> str:
    return "" if value is None else format(value, style)


def _state(path: Path, size: int) -> str:
    if path.is_symlink() or not path.is_file():
        return "is a link" if path.is_symlink() else "is missing"
    actual = path.stat().st_size
    return "ok" if actual == size else f"has {actual} bytes instead of {size}"


def _shape(shape: tuple[int | str, ...]) -> str:
    return "×".join(str(dim) for dim in shape)


def _resize(resize: "Resize") -> str:
    edge = f" {resize.shortest_edge}" if resize.shortest_edge else ""
    return f"{resize.rule}{edge}, {resize.interpolation}{', antialias' if resize.antialias else ''}"
