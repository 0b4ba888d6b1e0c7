"""What a program wrote, cut down to what an operator needs of it."""

_LAST_LINES = 2
_LONGEST = 400


def shorten(text: str) -> str:
    """Return the last error among the lines that a program wrote, else its last lines, as one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("segrt: error: ")]
    return " | ".join(errors[-1:] or lines[-_LAST_LINES:])[-_LONGEST:]
