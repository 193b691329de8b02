# SLURM-3: partitions short, medium and long, with limits, tiers, and one that gratis may not use.

#: step define on sms as user1
sudo sed -i 's/^PartitionName=normal/#&/' /etc/slurm/slurm.conf
sudo tee -a /etc/slurm/slurm.conf <<'END'
PartitionName=DEFAULT DefMemPerCPU=2000 ExclusiveUser=NO LLN=NO MaxNodes=2 MinNodes=1 Nodes=c[1-2] PriorityJobFactor=1
PartitionName=short DefaultTime=02:00:00 MaxTime=02:00:00 AllowAccounts=ALL PriorityTier=3
PartitionName=medium Default=YES DefaultTime=06:00:00 MaxTime=48:00:00 AllowAccounts=ALL PriorityTier=2
PartitionName=long DefaultTime=24:00:00 MaxTime=168:00:00 DenyAccounts=gratis PriorityTier=1
END
#: may-fail
sudo scontrol reconfigure
#: wait sinfo -h -p short | grep -q short within 180
sinfo

#: step fit on sms as user1
# Nodes of the tutorial's size have enough memory for this job.
#: may-fail
srun hostname
scontrol show node c1 | grep RealMemory
sudo sed -i 's/DefMemPerCPU=2000/DefMemPerCPU=400/' /etc/slurm/slurm.conf
#: may-fail
sudo scontrol reconfigure
#: wait scontrol show partition medium | grep -q DefMemPerCPU=400 within 180
srun hostname

#: step try on sms as user1
srun --partition=short --time=1:00:00 hostname
#: expect-fail
srun --partition=short --time=3:00:00 hostname
#: expect-fail
srun --partition=long hostname
srun --partition=long --account=member1 hostname
sacct --allocations --format=jobid,user,account,partition,state
# The controller saves its job state after some seconds; a power cycle before that would lose the last job.
#: wait test "$(stat -c %Y /var/lib/slurm/slurmctld/job_state)" -ge "$(SLURM_TIME_FORMAT=%s sacct -aXnP -o End | grep -v Unknown | sort -n | tail -1)" within 90
