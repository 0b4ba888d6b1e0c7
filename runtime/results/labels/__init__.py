"""Class lists of well-known data sets, one module each, and class lists from files."""
