"""What the portal's Hub runs: servers as Slurm jobs, and a callback that takes a port and nothing else."""
