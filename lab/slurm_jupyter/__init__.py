"""What the image slurm-jupyter runs: its first process, Slurm's commands for the page, its sign-in."""
