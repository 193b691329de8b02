#!/bin/bash
# A job that keeps one CPU for a quarter of a minute. Which partition and which account? As the policy says.
#SBATCH --ntasks=1
#SBATCH --output=%x.%j.out

echo "job $SLURM_JOB_ID of $USER on $(hostname): account $SLURM_JOB_ACCOUNT, partition $SLURM_JOB_PARTITION"
sleep 15
