#: step database on sms as user1
sudo mysqladmin create slurm_acct_db
sudo mysql <<'SQL'
create user 'slurm'@'localhost' identified by 'some_other_password';
grant all privileges on slurm_acct_db.* to 'slurm'@'localhost';
set global innodb_lock_wait_timeout=900;
SQL

#: step daemon on sms as user1
sudo install -o slurm -g slurm -m 600 /etc/slurm/slurmdbd.conf.example /etc/slurm/slurmdbd.conf
sudo sed -i s/^StoragePass=.*/StoragePass=some_other_password/ /etc/slurm/slurmdbd.conf
sudo systemctl start slurmdbd
#: wait ss -Hltn 'sport = :6819' | grep -q 6819 within 180
