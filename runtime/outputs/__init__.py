"""Results as files: what `segrt run`, `segrt eval` and the sinks of a stream write."""
