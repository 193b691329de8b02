#: step roll on sms as user1
echo 'RebootProgram="/sbin/shutdown -r now"' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait scontrol show config | grep -q '^RebootProgram.*shutdown' within 60
