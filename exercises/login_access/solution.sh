# LOGIN-6: a PAM file of its own lets users log in to the login node.

#: step admit on sms as user1
#: expect-fail
ssh login hostname
# diff exits with status 1 if it finds a difference.
#: expect-fail
diff /etc/pam.d/sshd ${CHROOT}/etc/pam.d/sshd

#: step admit on login as root
sed -i '/pam_slurm/s/^/#/' /etc/pam.d/sshd
tail -n 2 /etc/pam.d/sshd

#: step admit on sms as user1
ssh user1@login hostname

#: step last on sms as user1
sudo wwsh -y file import /etc/pam.d/sshd --name=sshd.login
wwsh file list
sudo wwsh -y provision set login --fileadd=sshd.login
proprint() { wwsh provision print "$@" | grep = | cut -d: -f2-; }
#: expect-fail
diff -u <(proprint c1) <(proprint login)
#: may-fail
sudo ssh login reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login '! grep -q pam_slurm /etc/pam.d/sshd' within 120
#: wait ssh -o BatchMode=yes -o ConnectTimeout=2 login true within 60
ssh login hostname

#: step others on sms as user1
#: expect-fail
ssh c1 hostname
