"""How many CPU threads may be asked for, everywhere the same, and how many the system gives."""

import threading

MOST_THREADS = 256
_SPARE = 16  # for the stages of a stream, which come later and cannot be fewer


def threads_to_be_had(wanted: int) -> int:
    """Return how many of `wanted` threads, the caller's included, can be used: 1 to `wanted`.

    Libraries that start several at once fail, or hang, when they get only some of them, so this starts as many, and
    ends them. What a limit of processes (ulimit -u, TasksMax=) leaves is not used up: a few stay free for others.
    """
    release = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(wanted - 1 + _SPARE):
            thread = threading.Thread(target=release.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # "can't start new thread"
        pass
    finally:
        release.set()
        for thread in started:
            thread.join()
    return max(1, min(wanted, len(started) + 1 - _SPARE))
