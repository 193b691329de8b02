# noqa: INP001 - this folder contains only the alias
"""`python -m lab.slurm`: the former name of `python -m lab.siphon`, kept for one release."""

from lab.siphon.cli import main

raise SystemExit(main())
