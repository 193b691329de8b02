"""Slurm's configuration protocol, and the command `siphon` that fetches a configuration with it.

Standard library only, Python 3.9 and later; imports nothing else of this project. See README.md, "Design".
"""
