"""Where results go: one file for each kind of sink, looked up in `sinks/table.py`."""
