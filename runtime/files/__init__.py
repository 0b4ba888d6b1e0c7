"""Files and their names: pictures read and found, outputs written whole or not at all, addresses without secrets."""
