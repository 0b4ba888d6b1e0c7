"""The live page: what the browser gets, who may have it, and the server of it. Needs the extra `segrt[web]`."""
