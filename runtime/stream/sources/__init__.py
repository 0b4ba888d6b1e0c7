"""Where frames come from: one file for each kind of source, looked up in `sources/table.py`."""
