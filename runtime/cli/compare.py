"""`segrt compare`: several bundles on one picture, side by side."""

from pathlib import Path

import click

from segrt.runtime.cli.options import backend_options
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import counted, milliseconds


@click.command()
@click.argument("image")
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE...")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Picture to write (.png).")
@click.option(
    "--repeat", type=click.IntRange(1, 1000), default=5, show_default=True, help="Runs per bundle that are timed."
)
@backend_options
def compare(
    image: str, bundles: tuple[str, ...], out: Path, repeat: int, backend: str, precision: str | None, threads: int
) -> None:
    """Segment IMAGE with each BUNDLE and write one picture that shows the results side by side.

    Under each stands the median time of --repeat runs, after one that is not counted.
    """
    from segrt.runtime.draw import overlay, side_by_side
    from segrt.runtime.files.atomic import make_folder
    from segrt.runtime.files.collisions import refuse_same
    from segrt.runtime.files.images import check_suffix, read_image, write_image
    from segrt.runtime.results import InstanceResult, PanopticResult
    from segrt.runtime.segmenter import open_bundle

    check_suffix(out)
    refuse_same("--out", out, {"the picture": image})
    picture = read_image(image)
    make_folder(out.absolute().parent)
    panels = [("input", picture, [f"{picture.shape[1]} × {picture.shape[0]} pixels"])]
    rows = []
    for name in bundles:
        with open_bundle(name, backend=backend, precision=precision, threads=threads) as segmenter:
            segmenter(picture)
            results = [segmenter(picture) for _ in range(repeat)]
            timings = [result.timings for result in results if result.timings is not None]
            result = results[-1]
            if isinstance(result, PanopticResult):
                found = counted(len(result.segments), "segment")
            elif isinstance(result, InstanceResult):
                found = counted(len(result), "object")
            else:
                present = set(result.class_map.flat) - {result.void_id}
                found = f"{len(present)} class" + ("" if len(present) == 1 else "es")
            total = milliseconds([timing.total_ms for timing in timings])
            rows.append(
                [
                    segmenter.manifest.name,
                    segmenter.technique,
                    milliseconds([timing.preprocess_ms for timing in timings]),
                    milliseconds([timing.inference_ms for timing in timings]),
                    milliseconds([timing.postprocess_ms for timing in timings]),
                    total,
                    found,
                ]
            )
            where = f"{segmenter.backend.name} {segmenter.backend.device}, {segmenter.variant.precision}"
            caption = [f"{total} ({where})", found]
            drawn = overlay(picture, result, text_scale=1.5)  # the sheet shows it reduced
            panels.append((f"{segmenter.technique}: {segmenter.manifest.name}", drawn, caption))
    write_image(out, side_by_side(panels))
    print_table(f"{out}", ["bundle", "technique", "preprocess", "inference", "postprocess", "total", "found"], rows)
