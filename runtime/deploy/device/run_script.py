"""The shell script that starts a release's stream."""

import shlex
from collections.abc import Sequence

from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.kept_records import InstallOptions


def run_script(folders: ServiceFolders, stream: Sequence[str], options: InstallOptions) -> str:
    """Return the script that starts a release's stream.

    Words are passed on as they are: ${NAME} in them is filled in by segrt itself, so that no value of a variable is
    among the arguments of a process, which everybody on the device may read.
    """
    extra = ["--backend", options.backend] if options.backend != "auto" else []
    extra += ["--precision", options.precision] if options.precision else []
    words = shlex.join([*stream, *extra])
    return (
        "#!/bin/sh\n# Starts this release; written by `segrt deploy`.\n"
        'here=$(cd -- "$(dirname -- "$0")" && pwd -P) || exit 1\n'
        f'[ -n "$SEGRT_CACHE" ] || SEGRT_CACHE={shlex.quote(str(folders.cache))}\n'
        "unset PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONINSPECT PYTHONPLATLIBDIR PYTHONUSERBASE\n"
        "export SEGRT_CACHE PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1\n"
        f'exec "$here/env/bin/segrt" stream "$here/bundle" {words}\n'
    )
