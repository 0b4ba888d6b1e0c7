"""Class lists of well-known data sets, one module each, and reading one from a file."""
