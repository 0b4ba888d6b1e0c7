"""The manifest of a bundle of which some variants alone are taken along."""

import json
from collections.abc import Sequence
from typing import Any

from segrt.runtime.bundle.bundle import MANIFEST, Bundle
from segrt.runtime.files.json_files import decode_json
from segrt.runtime.files.reading import read_bytes
from segrt.runtime.inference.tf32 import FP32, TF32


def manifest_with(bundle: Bundle, precisions: Sequence[str]) -> bytes:
    """Return the manifest with the variants of `precisions`; unchanged bytes when none or all are named.

    Raises BundleError for a precision that the bundle does not have.
    """
    data = read_bytes(bundle.folder / MANIFEST)
    stored = {variant.precision for variant in bundle.manifest.variants}
    chosen = {bundle.variant(precision).precision for precision in precisions}
    if chosen - stored == {TF32}:  # which is a way to execute fp32, not a file
        chosen = chosen & stored | {FP32}
    if not chosen or chosen == stored:
        return data
    content: dict[str, Any] = decode_json(data)  # as JSON, so that fields of a newer minor version are kept
    content["variants"] = [variant for variant in content["variants"] if variant["precision"] in chosen]
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
