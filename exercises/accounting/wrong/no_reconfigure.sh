#: step controller on sms as user1
sudo sed -i 's/^#*AccountingStorageEnforce=.*/AccountingStorageEnforce=qos,limits,safe/' /etc/slurm/slurm.conf
sudo sed -i 's|^AccountingStorageType=.*|AccountingStorageType=accounting_storage/slurmdbd|' /etc/slurm/slurm.conf
