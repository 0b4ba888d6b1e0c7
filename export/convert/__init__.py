"""`segrt export`: a model becomes a bundle, each step compared with the framework it came from."""
