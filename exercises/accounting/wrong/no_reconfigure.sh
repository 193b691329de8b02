#: step database on sms as user1
sudo mysqladmin create slurm_acct_db
sudo mysql <<'SQL'
create user 'slurm'@'localhost' identified by 'some_other_password';
grant all privileges on slurm_acct_db.* to 'slurm'@'localhost';
SQL
printf '%s\n' '[mysqld]' innodb_lock_wait_timeout=900 | sudo tee /etc/my.cnf.d/slurmdbd.cnf
sudo systemctl restart mariadb

#: step daemon on sms as user1
sudo cp /etc/slurm/slurmdbd.conf.example /etc/slurm/slurmdbd.conf
sudo sed -i "s/^StoragePass=.*/StoragePass=some_other_password/" /etc/slurm/slurmdbd.conf
sudo chown slurm: /etc/slurm/slurmdbd.conf
sudo chmod 600 /etc/slurm/slurmdbd.conf
sudo systemctl restart slurmdbd
#: wait ss -Hltn 'sport = :6819' | grep -q 6819 within 180
sudo systemctl enable slurmdbd

#: step controller on sms as user1
sudo sed -i 's/^#*AccountingStorageEnforce=.*/AccountingStorageEnforce=qos,limits,safe/' /etc/slurm/slurm.conf
sudo sed -i 's|^AccountingStorageType=.*|AccountingStorageType=accounting_storage/slurmdbd|' /etc/slurm/slurm.conf
