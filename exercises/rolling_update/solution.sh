# Stamp and pack a new image, and take c1 and c2 to it under the jobs of two users.

#: step image on sms as user1
squeue
tail -n 4 tasks.log
printf 'role=compute\nref=december\n' | sudo tee ${CHROOT}/etc/image-release
sudo wwvnfs --chroot=${CHROOT}

#: step roll on sms as user1
#: expect-fail
sudo rollout start --image role=compute,ref=december --nodes c1,c2
echo 'RebootProgram="/sbin/shutdown -r now"' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait scontrol show config | grep -q '^RebootProgram.*shutdown' within 60
sudo rollout plan --image role=compute,ref=december --nodes c1,c2 --max-unavailable 1 --floor 'partition:*=50%'
sudo systemd-run -q -u rolling rollout start --image role=compute,ref=december --nodes c1,c2 --max-unavailable 1 --floor 'partition:*=50%'
#: wait rollout status | grep -Eq '^(complete|incomplete|stopped|blocked)' within 900
rollout status

#: step users on sms as user1
sudo ssh c1 cat /etc/image-release
sudo grep -aE 'reboot request queued|returned to service' /var/log/slurm/slurmctld.log
tail -n 8 tasks.log
sudo tail -n 8 /home/user2/tasks.log
squeue
