"""Where events of zones go: one file for each kind, listed in `event_kinds`."""
