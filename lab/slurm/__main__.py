"""`python -m lab.slurm`: the command siphon."""

from __future__ import annotations

from lab.slurm.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
