"""The bundle: an immutable folder with one deployable model.

`manifest` says what it holds, `manifest_parsing` and `consistency` refuse what is none, `locating` finds one, `bundle`
hands out its files, `network_files` its networks as backends take them.
"""
