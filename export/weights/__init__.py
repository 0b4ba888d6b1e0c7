"""Weights of networks: fetched, read from files or random; and the classes that checkpoints name."""
