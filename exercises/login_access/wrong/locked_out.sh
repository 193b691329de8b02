#: step admit on login as root
sed -i 's/pam_slurm.so/pam_slrum.so/' /etc/pam.d/sshd
#: step admit on sms as user1
#: expect-fail
sudo ssh -o BatchMode=yes login true
