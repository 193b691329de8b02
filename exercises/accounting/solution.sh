# SLURM-1: a database, slurmdbd, a controller that uses it, and a recorded job.

#: step database on sms as user1
#: expect-fail
sacct
sudo mysqladmin create slurm_acct_db
sudo mysql <<'SQL'
create user 'slurm'@'localhost' identified by 'some_other_password';
grant all privileges on slurm_acct_db.* to 'slurm'@'localhost';
SQL
sudo tee /etc/my.cnf.d/slurmdbd.cnf <<'END'
[mysqld]
innodb_lock_wait_timeout=900
innodb_buffer_pool_size=256M
END
sudo systemctl restart mariadb

#: step daemon on sms as user1
sudo cp /etc/slurm/slurmdbd.conf.example /etc/slurm/slurmdbd.conf
sudo sed -i -f - /etc/slurm/slurmdbd.conf <<'END'
s/^StoragePass=.*/StoragePass=some_other_password/
END
#: may-fail
sudo systemctl restart slurmdbd
#: wait systemctl is-failed slurmdbd within 60
#: may-fail
systemctl --no-pager status slurmdbd
sudo journalctl --no-pager -u slurmdbd -n 5
ls -l /etc/slurm/slurmdbd.conf
sudo chown slurm: /etc/slurm/slurmdbd.conf
sudo chmod 600 /etc/slurm/slurmdbd.conf
sudo systemctl restart slurmdbd
sudo systemctl enable slurmdbd
#: wait ss -Hltn 'sport = :6819' | grep -q 6819 within 180
sudo tail -n 3 /var/log/slurm/slurmdbd.log

#: step controller on sms as user1
sudo sed -i 's/^#*AccountingStorageEnforce=.*/AccountingStorageEnforce=qos,limits,safe/' /etc/slurm/slurm.conf
sudo sed -i 's|^AccountingStorageType=.*|AccountingStorageType=accounting_storage/slurmdbd|' /etc/slurm/slurm.conf
#: may-fail
sudo scontrol reconfigure
#: wait scontrol show config | grep -q accounting_storage/slurmdbd within 180
#: may-fail
#: answer y to (N/y)
sudo sacctmgr add cluster 'cluster'
sacctmgr show cluster format=cluster,controlhost,controlport

#: step count on sms as user1
#: expect-fail
srun hostname
#: answer y to (N/y)
sudo sacctmgr add account trial Description="First steps"
#: answer y to (N/y)
sudo sacctmgr add user user1 DefaultAccount=trial
srun hostname
sacct
# The controller saves its job state after some seconds; a power cycle before that would lose the last job.
#: wait test "$(stat -c %Y /var/lib/slurm/slurmctld/job_state)" -ge "$(SLURM_TIME_FORMAT=%s sacct -aXnP -o End | grep -v Unknown | sort -n | tail -1)" within 90
