#!/bin/bash
# A job that occupies one CPU for 15 seconds. The policy decides its partition and account.
#SBATCH --ntasks=1
#SBATCH --output=%x.%j.out

echo "job $SLURM_JOB_ID of $USER on $(hostname): account $SLURM_JOB_ACCOUNT, partition $SLURM_JOB_PARTITION"
sleep 15
