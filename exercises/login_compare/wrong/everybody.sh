#: step assign on sms as user1
sudo wwsh -y provision set '*' --fileadd=slurm.conf.login
#: step deliver on sms as user1
sudo ssh login /warewulf/bin/wwgetfiles -F
