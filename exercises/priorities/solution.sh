# SLURM-4: multifactor priority, and a job that overtakes one submitted before it.

#: step weigh on sms as user1
sprio -w
sbatch --nodes=2 --exclusive --output=/dev/null --wrap 'sleep 10'
#: wait test -z "$(squeue -h -u user1)" within 180
sshare -a
sudo tee -a /etc/slurm/slurm.conf <<'END'
PriorityDecayHalfLife=3-0
PriorityMaxAge=1-0
PriorityType=priority/multifactor
PriorityWeightAge=1000
PriorityWeightFairshare=100000
PriorityWeightJobSize=1000
PriorityWeightPartition=10000
END
#: may-fail
sudo scontrol reconfigure
#: wait scontrol show config | grep -q 'FairShare *= 100000' within 180
#: wait test "$(sinfo -h -p medium -o %T)" = idle within 180
sprio -w
sshare -a

#: step overtake on sms as user1
sbatch --nodes=2 --exclusive --output=/dev/null --wrap 'sleep 30'
#: wait squeue -h -u user1 -o %T | grep -q RUNNING within 180
sbatch --nodes=2 --exclusive --output=/dev/null --wrap 'sleep 2'
sbatch --nodes=2 --exclusive --output=/dev/null --account=member1 --wrap 'sleep 2'
sprio -l
squeue --format='%i %P %a %t %Q %r'
#: wait test -z "$(squeue -h -u user1)" within 240
sacct --allocations --format=jobid,account,priority,submit,start,state
# The controller saves its job state after some seconds; a power cycle before that would lose the last job.
#: wait test "$(stat -c %Y /var/lib/slurm/slurmctld/job_state)" -ge "$(SLURM_TIME_FORMAT=%s sacct -aXnP -o End | grep -v Unknown | sort -n | tail -1)" within 90
