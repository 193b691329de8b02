#: step daemon on sms as user1
sudo cp /etc/slurm/slurmdbd.conf.example /etc/slurm/slurmdbd.conf
sudo sed -i "s/^StoragePass=.*/StoragePass=some_other_password/" /etc/slurm/slurmdbd.conf
#: may-fail
sudo systemctl restart slurmdbd
#: wait systemctl is-failed slurmdbd within 60
