"""The embedded models: three small networks trained on the street world, from seed to bundle.

`python -m segrt.export.street` trains them and writes the bundles in `runtime/models`.
"""
