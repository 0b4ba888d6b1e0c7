"""What this device has, which of segrt's features work on it, and the command that brings what is missing.

`machine` answers questions about a device (this one, or one from a bug report), with `probes` that run in processes of
their own; `facts` are the answers put together. `features` tells the state of each feature by them, for backends,
sources and sinks by what those declare (`kinds`); `remedies` are the commands.
"""
