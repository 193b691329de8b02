"""Slurm: its commands, and parsers of what they print."""
