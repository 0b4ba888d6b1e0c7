"""The truth card of a bundle, as `segrt inspect` shows it."""

from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.bundle.truth_card import TruthCard
from segrt.runtime.console.printable import say
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import counted


def show_card(manifest: Manifest) -> None:
    """Print what was checked when the bundle was exported, and what its weights are known to score, if it says so."""
    card = manifest.card
    if not isinstance(card, TruthCard):
        return
    how = "one picture alone (--parity quick)" if card.parity == "quick" else counted(card.images, "picture")
    checks = [[check.what, check.measured, check.allowed] for check in card.checks]
    print_table(f"Truth card: compared with the source framework on {how}", ["", "measured", "allowed"], checks)
    if card.pictures == "synthetic":
        say("The pictures were synthetic ones.")
    published, measured = card.published, card.measured
    if published is not None:
        value = f"{published.metric} {published.value:.1%} on {published.dataset}"
        say(f"The weights are published to score {value} ({published.source}).")
    else:
        say("What these weights score where they come from is not known here.")
    if measured is None:
        say("The metric before and after the conversion was not measured (`segrt export --annotations DATA`).")
        return
    rows = [["source framework", _percent(measured.source), ""]]
    for precision, share in measured.variants.items():
        rise = None if share is None or measured.source is None else round(100 * (share - measured.source), 2)
        rows.append([precision, _percent(share), "" if rise is None else f"{rise + 0.0:+.2f}"])  # no "-0.00"
    title = f"{measured.metric} on {counted(measured.images, 'picture')} of {measured.dataset}, before and after"
    print_table(title, ["", measured.metric, "points"], rows)


def _percent(share: float | None) -> str:
    return "nothing to measure" if share is None else f"{share:.2%}"
