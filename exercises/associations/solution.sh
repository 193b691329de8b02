# SLURM-2: gratis, member and pay-as-you-go accounts, and what their users may do.

#: step gratis on sms as user1
#: answer y to (N/y)
sudo sacctmgr add account gratis cluster=cluster Description="Gratis Usage" FairShare=1
#: answer y to (N/y)
sudo sacctmgr add user user1 DefaultAccount=gratis
#: answer y to (N/y)
sudo sacctmgr add user user2 DefaultAccount=gratis
sudo sacctmgr show user format=user,defaultaccount

#: step member on sms as user1
#: answer y to (N/y)
sudo sacctmgr add account member1 cluster=cluster Description="Member1 Description" FairShare=10
#: answer y to (N/y)
sudo sacctmgr add user user1 account=member1

#: step paygo on sms as user1
#: answer y to (N/y)
sudo sacctmgr add account paygo cluster=cluster Description="PAYGO Projects" FairShare=1000
#: answer y to (N/y)
sudo sacctmgr add account paygo-project1 cluster=cluster Description="PAYGO Project 1" parent=paygo
#: answer y to (N/y)
sudo sacctmgr add qos paygo-project1 flags=NoDecay,DenyOnLimit
#: answer y to (N/y)
sudo sacctmgr modify qos paygo-project1 set grptresmins=cpu=10
#: answer y to (N/y)
sudo sacctmgr modify account name=paygo set qos+=paygo-project1
#: answer y to (N/y)
sudo sacctmgr add user user2 account=paygo-project1
sudo sacctmgr show assoc format=account,user,parentname,share,qos

#: step jobs on sms as user1
srun --account=member1 hostname
#: expect-fail
srun --account=paygo-project1 --qos=paygo-project1 --time=2 hostname

#: step jobs on sms as user2
srun --account=paygo-project1 --qos=paygo-project1 --time=2 sleep 3
#: expect-fail
srun --account=paygo-project1 --qos=paygo-project1 --time=11 hostname
#: expect-fail
srun --account=member1 hostname
scontrol -o show assoc_mgr qos=paygo-project1 | grep QOS=paygo-project1 | egrep -o 'UsageRaw=[0-9.]*'
sacct --allocations --format=jobid,user,account%15,qos%15,state
# The controller saves its job state after some seconds; a power cycle before that would lose the last job.
#: wait test "$(stat -c %Y /var/lib/slurm/slurmctld/job_state)" -ge "$(SLURM_TIME_FORMAT=%s sacct -aXnP -o End | grep -v Unknown | sort -n | tail -1)" within 90
