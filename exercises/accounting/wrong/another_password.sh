#: step daemon on sms as user1
sudo cp /etc/slurm/slurmdbd.conf.example /etc/slurm/slurmdbd.conf
sudo chown slurm: /etc/slurm/slurmdbd.conf
sudo chmod 600 /etc/slurm/slurmdbd.conf
sudo systemctl restart slurmdbd
#: wait sudo journalctl -u slurmdbd | grep -q 'Access denied' within 90
