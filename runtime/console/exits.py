"""How a program ends: every error that a user can mend is one line on standard error and an exit code.

0: done. 1: a check ran and failed. 2: wrong use or bad input. 3: a stream stalled. 4: the GPU is lost. 130 and 143:
ended by Ctrl-C or SIGTERM.
"""

import os
import sys

import click

from segrt.runtime.errors import DeviceLostError, SegrtError

INTERRUPTED = 130


def run_command(command: click.Command) -> None:
    """Run a command as the program; a `SegrtError` becomes one line on standard error and its exit code."""
    try:
        code = command(standalone_mode=False)
    except DeviceLostError as error:
        print(f"segrt: error: {error}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.exit_code)  # on a lost device, what the interpreter would free at its end may hang
    except SegrtError as error:
        print(f"segrt: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print("segrt: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(1)  # the reader of our output went away
    sys.exit(code if isinstance(code, int) else 0)
