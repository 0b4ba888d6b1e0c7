"""Changed files for every reader: `python tests/soak/mutations.py [--inputs N] [--first K] [--keep DIR] [READER]...`.

Each file must be read, or refused in one line, within 20 seconds and 2 GiB, with nothing written outside the folder.
Prints a row for each reader and every finding; exits with 1 when there is one. File K of a reader is always the same;
another --first gives other files.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fuzz"))

from campaign import run
from readers import READERS


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", help="names of readers; all by default")
    parser.add_argument("--inputs", type=int, default=10_000, help="changed files over all readers")
    parser.add_argument("--first", type=int, default=0, help="the first file's number")
    parser.add_argument("--keep", type=Path, help="where to write files with findings")
    given = parser.parse_args()
    names = given.readers or [reader.name for reader in READERS]
    each = -(-given.inputs // len(names))
    findings = 0
    print(f"{'reader':26}{'files':>7}{'refused':>9}{'seconds':>9}{'slowest':>9}{'MB more':>9}{'findings':>10}")
    begun, total = time.monotonic(), 0
    for name in names:
        (outcome,) = run({name: range(given.first, given.first + each)}, keep=given.keep)
        total += outcome.files
        findings += len(outcome.findings)
        print(
            f"{name:26}{outcome.files:7}{outcome.refused:9}{outcome.seconds:9.1f}{outcome.slowest:9.2f}"
            f"{outcome.peak_mb:9.0f}{len(outcome.findings):10}",
            flush=True,
        )
        for finding in outcome.findings:
            print(f"  {finding}", flush=True)
    print(f"{total} files in {time.monotonic() - begun:.0f} s: {findings} findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
