"""Which classes of a map are painted, and which mean that nothing of interest is there."""

from segrt.runtime.results import Label

UNPAINTED = ("background", "other")  # the picture stays as it is there


def is_painted(label: Label) -> bool:
    """Say whether pixels of the class get a colour."""
    return label.isthing or label.name.lower() not in UNPAINTED
