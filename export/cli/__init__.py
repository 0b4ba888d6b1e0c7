"""Commands of the export room; the table of commands is in `segrt.runtime.cli`."""
