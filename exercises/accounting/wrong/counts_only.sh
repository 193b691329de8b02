#: step controller on sms as user1
sudo sed -i 's|^AccountingStorageType=.*|AccountingStorageType=accounting_storage/slurmdbd|' /etc/slurm/slurm.conf
#: may-fail
sudo scontrol reconfigure
#: wait scontrol show config | grep -q accounting_storage/slurmdbd within 180
