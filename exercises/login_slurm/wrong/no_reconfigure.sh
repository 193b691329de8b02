#: step introduce on sms as user1
sudo ssh login slurmd -C | grep NodeName | sudo tee -a /etc/slurm/slurm.conf
#: may-fail
sudo ssh login systemctl restart slurmd
