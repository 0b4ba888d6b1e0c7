"""How many CPU threads may be asked for, everywhere the same."""

MOST_THREADS = 256
