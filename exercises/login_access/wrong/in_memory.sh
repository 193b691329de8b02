#: step admit on login as root
sed -i '/pam_slurm/d' /etc/pam.d/sshd
