"""Slurm's configuration protocol and `siphon`, the command that fetches with it; standard library only.

Imports nothing of ours, and little of Python's: a fetch is mostly the start of the interpreter. DESIGN.md of
this folder is README.md, section "How it is made".
"""
