"""`python -m lab.slurm_token`: the command slurm-token."""

from __future__ import annotations

from lab.slurm_token.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
