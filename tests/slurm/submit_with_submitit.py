"""Runs in a client: one job by submitit, whose script is a single srun."""

import submitit

executor = submitit.AutoExecutor(folder="submitit.%j")
executor.update_parameters(timeout_min=5, slurm_partition="normal", slurm_mem="200M")
print(executor.submit(pow, 2, 10).result())
