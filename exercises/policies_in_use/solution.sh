# SLURM-5: jobs of two users under every policy of this chapter, and jobs that use gaps.

#: step gratis on sms as user1
cd ~/policies_in_use
cat sleep15.sh
sbatch sleep15.sh
squeue
#: expect-fail
sbatch --partition=long sleep15.sh

#: step member on sms as user1
sbatch --partition=long --account=member1 sleep15.sh
#: wait test -z "$(squeue -h -u user1)" within 240
sacct --allocations --format=jobid,jobname%12,account,partition,state

#: step paygo on sms as user1
sudo install -o user2 -g user2 sleep15.sh /home/user2/

#: step paygo on sms as user2
sbatch --account=paygo-project1 --qos=paygo-project1 --ntasks=4 --time=2 sleep15.sh
#: wait test -z "$(squeue -h -u user2)" within 240
scontrol -o show assoc_mgr qos=paygo-project1 | grep QOS=paygo-project1 | egrep -o 'UsageRaw=[0-9.]*'
sbatch --account=paygo-project1 --qos=paygo-project1 --time=10 sleep15.sh
#: wait squeue -h -u user2 -o %r | grep -q Limit within 180
squeue --format='%i %u %a %t %l %r'
scancel --user=user2 --state=pending

#: step backfill on sms as user1
sudo tee -a /etc/slurm/slurm.conf <<'END'
SchedulerType=sched/backfill
SchedulerParameters=bf_window=10080,bf_resolution=504,bf_max_job_user=80,bf_continue,default_queue_depth=200
END
#: may-fail
sudo scontrol reconfigure
#: wait scontrol show config | grep -q bf_window=10080 within 180
#: wait test "$(sinfo -h -p medium -o %T)" = idle within 180
sbatch --nodes=1 --exclusive --output=/dev/null --wrap 'sleep 90'
#: wait squeue -h -u user1 -o %T | grep -q RUNNING within 180
sbatch --nodes=2 --exclusive --output=/dev/null --wrap 'sleep 2'
sbatch --time=1 sleep15.sh
squeue --format='%i %D %t %l %Q %r'
#: wait sacct -nX -o flags%40 | grep -q SchedBackfill within 180
squeue --format='%i %D %t %l %Q %r'
# It ends while the one ahead of it still waits, so their start times differ by whole seconds.
#: wait test -z "$(squeue -h -u user1 -n sleep15.sh)" within 180
scancel --user=user1 --state=running
#: wait test -z "$(squeue -h -u user1)" within 180
sacct --allocations --format=jobid,partition,account,state,start,flags%30
