# LOGIN-4: compare the settings of nodes, and assign the login node its slurm.conf.

#: step assign on sms as user1
# Warewulf 3 itself exits with status 1 after `provision print`, even without an error.
#: may-fail
wwsh provision print c1
#: may-fail
wwsh provision print login
wwsh provision print c1 | grep = | cut -d: -f2-
proprint() { wwsh provision print "$@" | grep = | cut -d: -f2-; }
diff -u <(proprint c1) <(proprint login)
sudo wwsh -y provision set login --fileadd=slurm.conf.login

#: step compare on sms as user1
# diff exits with status 1 if it finds a difference.
#: expect-fail
diff -u <(proprint c1) <(proprint login)

#: step deliver on sms as user1
sudo ssh login /warewulf/bin/wwgetfiles -F
sudo ssh login cat /etc/slurm/slurm.conf
