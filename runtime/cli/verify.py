"""`segrt verify`: the golden frames of a bundle on this device."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.options import execution_options
from segrt.runtime.console.tables import print_table

if TYPE_CHECKING:
    from segrt.runtime.inference.execution import Execution


@click.command()
@click.argument("bundle")
@execution_options
def verify(bundle: str, execution: "Execution") -> None:
    """Check BUNDLE (a folder or a pack) on this device: every file's hash, then the golden frames of every variant.

    Then two different pictures, one after the other and both at once: each must get its own heads. Prints what was
    compared and exits with 1 when a golden frame differs from what the source framework gave, or a picture gets what
    is another's. --precision chooses one variant, or tf32.
    """
    from segrt.runtime.authoring.two_pictures import check_two_pictures
    from segrt.runtime.authoring.verification import verify as check
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.pack.reader import Pack, is_pack
    from segrt.runtime.errors import CheckFailed
    from segrt.runtime.segmenter import open_segmenter

    if is_pack(Path(bundle)):
        with Pack(bundle) as pack:
            pack.check()  # the file itself, not what was unpacked from it once
    opened = read_bundle(bundle)
    variants = (opened.variant(execution.precision),) if execution.precision else opened.manifest.variants
    for file in opened.manifest.files:
        opened.checked(file, full=True)
    rows, failed, where = [], 0, ""
    for variant in variants:
        with open_segmenter(
            opened,
            backend=execution.backend,
            precision=variant.precision,
            threads=execution.threads,
            engines=execution.engines,
            decode_on=execution.decode_on,
            trial_prompt=True,
        ) as segmenter:
            where = f"{segmenter.backend.name} ({segmenter.backend.device})"
            for line in [*check(segmenter), *check_two_pictures(segmenter)]:
                failed += not line.passed
                state = "ok" if line.passed else "DIFFERS"
                rows.append([variant.precision, line.frame, line.what, line.value, line.limit, state])
    print_table(
        f"{opened.manifest.name} on {where}: {len(opened.manifest.files)} files with the right hash",
        ["variant", "picture", "compared", "found", "allowed", ""],
        rows,
    )
    if failed:
        raise CheckFailed(f"{opened.folder}: {failed} of {len(rows)} checks differ on this device")
