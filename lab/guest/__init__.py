"""Programs that run inside nodes: standard library only, Python 3.9 or newer."""
