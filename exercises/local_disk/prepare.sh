#: step divide on sms as root
grep -q '^RebootProgram=' /etc/slurm/slurm.conf || echo 'RebootProgram="/sbin/shutdown -r now"' >>/etc/slurm/slurm.conf
scontrol reconfigure
#: wait scontrol ping within 30
