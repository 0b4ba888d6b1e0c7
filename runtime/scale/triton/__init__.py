"""Bundles for Triton: a repository of models that answer with results, and the model that a server runs."""
