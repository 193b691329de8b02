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
#: may-fail
sudo systemctl restart slurmdbd
#: wait systemctl is-failed slurmdbd within 60
