"""What `open_bundle` costs before it is called, and what opening a bundle of this device leaves out."""

import subprocess
import sys

_CODE = """
import sys
from segrt.runtime import open_bundle

def loaded(*names):
    return [name for name in names if name in sys.modules]

assert not loaded("numpy", "cv2", "onnxruntime", "msgspec"), "before the call"
with open_bundle("street-semantic", device="cpu", threads=1) as segmenter:
    assert segmenter.technique == "semantic"
others = loaded(
    "segrt.runtime.remote.remote_bundle", "segrt.runtime.bundle.pack.reader",
    "segrt.runtime.inference.tensorrt.engine_backend", "segrt.runtime.preprocess.cuda.slot_pictures",
    "multiprocessing", "rich", "PIL", "difflib",
)
assert not others, others
"""


def test_opening_imports_nothing_before_it_is_called_and_then_only_what_this_bundle_needs() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_results_that_nobody_segmented_are_drawn_all_the_same() -> None:
    code = (
        "import numpy as np\nfrom segrt.runtime import Label, SemanticResult\n"
        "result = SemanticResult(np.zeros((8, 8), np.uint8), (Label('road', 0, False, (9, 8, 7)),))\n"
        "assert result.plot(np.zeros((8, 8, 3), np.uint8)).any()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
