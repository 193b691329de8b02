"""`python -m lab.rollout`: the command rollout."""

from __future__ import annotations

from lab.rollout.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
