"""The profile as one self-contained page: no network, light and dark, on a phone and in print."""
