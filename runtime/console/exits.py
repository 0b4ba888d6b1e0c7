"""How a program ends: every error that a user can mend is one line on standard error and an exit code.

0: done. 1: a check ran and failed. 2: wrong use or bad input. 3: a stream stalled. 4: the GPU is lost. 130 and 143:
ended by Ctrl-C or SIGTERM.
"""

import atexit
import os
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

import click

from segrt.runtime.console.printable import printable
from segrt.runtime.console.suggestions import suggestion
from segrt.runtime.errors import DeviceLostError, SegrtError

INTERRUPTED = 130


_THREADS = ("segrt ", "AnyIO worker")  # that may be inside native code: our own, and those of the live page's server
_PATIENCE_SECONDS = 1.0
_INTERRUPTED_PATIENCE_SECONDS = 0.1  # whoever has sent a signal waits


def run_command(command: click.Command) -> NoReturn:
    """Run a command as the program; a `SegrtError` becomes one line on standard error and its exit code."""
    try:
        code = command(standalone_mode=False)
    except DeviceLostError as error:
        print(printable(f"segrt: error: {error}"), file=sys.stderr)
        _flush()
        os._exit(error.exit_code)  # on a lost device, what the interpreter would free at its end may hang
    except SegrtError as error:
        print(printable(f"segrt: error: {error}"), file=sys.stderr)
        leave(error.exit_code)
    except click.NoSuchOption as error:
        _with_suggestion(error).show()
        leave(error.exit_code)
    except click.ClickException as error:
        error.show()
        leave(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print("segrt: interrupted", file=sys.stderr)
        leave(INTERRUPTED)
    except BrokenPipeError:
        leave(1)  # the reader of our output went away
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        leave(ended.code)
    leave(code if isinstance(code, int) else 0)


def _with_suggestion(error: click.NoSuchOption) -> click.NoSuchOption:
    """Add the option that begins so, or is most like it, where click names none."""
    if error.ctx is not None and not error.possibilities:
        options = [name for param in error.ctx.command.params for name in (*param.opts, *param.secondary_opts)]
        meant = suggestion(error.option_name, [name for name in options if name.startswith("--")])
        if meant is not None:
            name = error.option_name
            return click.NoSuchOption(name, f"No such option {name!r}; did you mean {meant!r}?", ctx=error.ctx)
    return error


def leave(code: int) -> NoReturn:
    """End the process with `code`; at once where a thread has not ended.

    Such a thread (a camera that does not answer, a frame that is being drawn) may come back from native code while the
    interpreter ends. It is unwound then, and C++ on its stack aborts the process.
    """
    deadline = time.monotonic() + (_INTERRUPTED_PATIENCE_SECONDS if code >= INTERRUPTED else _PATIENCE_SECONDS)
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith(_THREADS):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                leave_at_once(code)
    sys.exit(code)


def leave_at_once(code: int) -> NoReturn:
    """End the process with `code` and wait for no thread; what was registered to be done at its end is done."""
    with suppress(Exception):
        atexit._run_exitfuncs()
    _flush()
    os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
