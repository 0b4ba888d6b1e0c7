"""The shell script that starts a release's stream."""

import re
from collections.abc import Sequence

from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.kept_records import InstallOptions

_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_SPECIAL = re.compile(r'["\\`$]')


def run_script(folders: ServiceFolders, stream: Sequence[str], options: InstallOptions) -> str:
    """Return the script that starts a release's stream."""
    extra = ["--backend", options.backend] if options.backend != "auto" else []
    extra += ["--precision", options.precision] if options.precision else []
    words = " ".join(map(shell_word, [*stream, *extra]))
    return (
        "#!/bin/sh\n# Starts this release; written by `segrt deploy`.\n"
        'here=$(cd -- "$(dirname -- "$0")" && pwd -P) || exit 1\n'
        f'export SEGRT_CACHE="${{SEGRT_CACHE:-{folders.cache}}}"\n'
        f'exec "$here/env/bin/segrt" stream "$here/bundle" {words}\n'
    )


def shell_word(text: str) -> str:
    """Return `text` as a word for sh in which only ${NAME} is alive: the service's variables fill in such places."""
    parts, end = [], 0
    for match in _VARIABLE.finditer(text):
        parts += [_SPECIAL.sub(r"\\\g<0>", text[end : match.start()]), match.group()]
        end = match.end()
    return '"' + "".join([*parts, _SPECIAL.sub(r"\\\g<0>", text[end:])]) + '"'
