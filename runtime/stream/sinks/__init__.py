"""Where results go: one file for each kind of sink, listed in `sink_kinds`."""
