"""`python -m lab.siphon`: the command siphon."""

from __future__ import annotations

from lab.siphon.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
