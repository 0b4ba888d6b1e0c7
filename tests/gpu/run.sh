#!/usr/bin/env bash
# One run of at most five minutes on a machine with an NVIDIA GPU. First what must be right, in under a minute: doctor,
# every rule's kernels against the C++ core and prepared pictures against the CPU's, bit for bit (640x480 to 4K), CUDA's
# interface, golden frames and two pictures of the embedded bundles. Whole results against the CPU's: pictures, batches,
# tiles of a 4K picture, prompts, things followed; and the commands. Then a table on 1080p pictures: segrt's stages by
# CUDA events and wall time (p50, p99), beside torch eager, torch.compile and transformers' usual way, for bundles that
# are exported meanwhile.
#
#   tests/gpu/run.sh [--out DIR] [--bundles DIR] [--frames N] [--seconds N] [--quick]
#
# Without a GPU it says so and ends with 0. What does not fit into the time is left out and named; what was found by
# then is always written. --bundles takes bundles that are there (DIR/NAME) instead of exporting; --quick takes the
# embedded ones alone and needs no torch. PYTHON names the interpreter (default: .venv/bin/python, else python3).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-}
if [ -z "$python" ]; then
    python=.venv/bin/python
    [ -x "$python" ] || python=python3
fi
exec "$python" tests/gpu/measure.py "$@"
