#: step introduce on sms as user1
sudo ssh login slurmd -C | grep NodeName | sudo tee -a /etc/slurm/slurm.conf
echo 'PartitionName=visitors Nodes=login' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait scontrol ping within 30
sudo ssh login systemctl restart slurmd
