#!/usr/bin/env bash
# One run on a machine with an NVIDIA GPU: builds engines, verifies golden frames, compares all heads with ONNX Runtime,
# times eager torch, torch.compile, ONNX Runtime CUDA and TensorRT on 1080p pictures, and writes a table.
#
#   tests/gpu/run.sh [--out DIR] [--bundles DIR] [--frames N] [--quick]
#
# Without a GPU it says so and ends with 0. Without TensorRT it checks and times CUDA itself and ONNX Runtime, and says
# what stays unverified. --bundles takes bundles that are there (DIR/NAME) and needs no torch; --quick takes the
# embedded ones. PYTHON names the interpreter (default: .venv/bin/python, else python3).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-}
if [ -z "$python" ]; then
    python=.venv/bin/python
    [ -x "$python" ] || python=python3
fi
exec "$python" tests/gpu/measure.py "$@"
