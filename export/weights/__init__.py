"""Weights: fetched, read from files or random, and the classes that come with them."""
