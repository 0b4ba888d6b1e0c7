"""`segrt inspect`: what a bundle holds, without running its network."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import counted

if TYPE_CHECKING:
    from segrt.runtime.bundle.manifest import Parity


@click.command()
@click.argument("bundle")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest and the state of its files as JSON.")
def inspect(bundle: str, as_json: bool) -> None:
    """Show what BUNDLE (a folder, or the name of an embedded bundle) holds.

    Files are compared with the manifest by size alone; `segrt verify` compares their hashes.
    """
    from segrt.runtime.bundle.bundle import Bundle
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.errors import BundleError

    opened: Bundle = read_bundle(bundle)
    manifest = opened.manifest
    states = {file.path: _state(opened.folder / file.path, file.size) for file in manifest.files}
    if as_json:
        import msgspec

        content = {"folder": str(opened.folder.resolve()), "manifest": manifest, "files": states}
        click.echo(msgspec.json.format(msgspec.json.encode(content), indent=2))
        return
    decode = manifest.decode.options
    options = ", ".join(f"{name} {_word(value)}" for name, value in decode.items())
    print_table(
        manifest.name,
        ["", ""],
        [
            ["folder", str(opened.folder)],
            ["format", manifest.format],
            ["technique", manifest.technique],
            ["family", manifest.family],
            ["weights", f"{manifest.source.weights} (licence: {manifest.source.licence})"],
            *([["notes", manifest.source.notes]] if manifest.source.notes else []),
            ["made with", ", ".join(f"{name} {version}" for name, version in manifest.source.versions.items())],
            ["decode rule", manifest.decode.rule_name + (f" ({options})" if options else "")],
            ["labels", f"{len(manifest.labels)}: " + ", ".join(label.name for label in manifest.labels)],
            ["golden frames", ", ".join(frame.name for frame in manifest.golden) or "none"],
        ],
    )
    if manifest.members:
        print_table(
            "Members",
            ["name", "technique", "family", "decode rule", "classes"],
            [
                [
                    member.name,
                    member.technique,
                    member.family,
                    member.decode.rule_name,
                    ", ".join(manifest.labels[index].name for index in member.classes if index >= 0),
                ]
                for member in manifest.members
            ],
        )
    print_table(
        "Inputs",
        ["name", "role", "tensor", "resize", "values"],
        [
            [
                spec.name,
                spec.role,
                f"{spec.dtype} {_shape(spec.shape)} {spec.layout} {spec.color}" if spec.role == "image" else
                f"{spec.dtype} {_shape(spec.shape)}",
                _resize(spec.resize) if spec.role == "image" else "",
                "as they are" if spec.dtype == "uint8" or spec.role != "image" else
                f"(x * {spec.scale:g} - {list(spec.mean)}) / {list(spec.std)}",
            ]
            for spec in manifest.inputs
        ],
    )  # fmt: skip
    print_table(
        "Heads",
        ["name", "role", "tensor"],
        [[head.name, head.role, f"{head.dtype} {_shape(head.shape)}"] for head in manifest.heads],
    )
    print_table(
        "Variants",
        ["precision", "file", "MB", "state", "of the multiply-adds", "of the weights", "agreement"],
        [
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
        ],
    )
    for variant in manifest.variants:
        if variant.kept:
            click.echo(f"In the {variant.precision} variant these layers stay in fp32: {', '.join(variant.kept)}.")
    compared = [
        [variant.precision, name, f"{head.max_abs:.2g}", f"{head.mean_abs:.2g}", _number(head.relative, ".2g")]
        for variant in manifest.variants
        if variant.parity is not None
        for name, head in variant.parity.heads.items()
    ]
    if compared:
        print_table("Heads' errors", ["precision", "head", "largest", "mean", "relative"], compared)
    for variant in manifest.variants:
        parity = variant.parity
        if parity is not None and parity.input_max is not None:
            differs = f"largest {parity.input_max:.2f}, mean {_number(parity.input_mean, '.3f')} grey levels"
            click.echo(f"The network's input differs from that of the source's own image processor by: {differs}.")
            break
    broken = {path: state for path, state in states.items() if state != "ok"}
    if broken:
        path, state = next(iter(broken.items()))
        raise BundleError(f"{opened.folder / path}: {state}; copy the bundle again")


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


def _resize(resize: object) -> str:
    from segrt.runtime.preprocess.input_spec import Resize

    assert isinstance(resize, Resize)
    edge = f" {resize.shortest_edge}" if resize.shortest_edge else ""
    return f"{resize.rule}{edge}, {resize.interpolation}{', antialias' if resize.antialias else ''}"
