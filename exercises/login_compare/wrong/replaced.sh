#: step assign on sms as user1
sudo wwsh -y provision set login --files=slurm.conf.login
