"""Counts and times in words."""


def counted(count: int, noun: str) -> str:
    """Return "1 picture", "2 pictures"."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def milliseconds(values: list[float]) -> str:
    """Return the median of `values` as text, "3.21 ms"."""
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.2f} ms" if ordered else "-"


def comma_separated(text: str | None) -> list[str]:
    """Return the names of "fp32, int8", without empty ones."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]
