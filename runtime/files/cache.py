"""Where segrt keeps what it can make again: engines, unpacked bundles, fetched weights, notes of checked files."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return segrt's cache folder: `SEGRT_CACHE`, else the user's cache folder of the platform."""
    override = os.environ.get("SEGRT_CACHE")
    if override:
        return Path(override)
    import platformdirs

    return Path(platformdirs.user_cache_dir("segrt", appauthor=False))
