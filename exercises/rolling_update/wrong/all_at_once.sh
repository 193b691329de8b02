#: step roll on sms as user1
echo 'RebootProgram="/sbin/shutdown -r now"' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait scontrol show config | grep -q '^RebootProgram.*shutdown' within 60
sudo scontrol reboot ASAP nextstate=RESUME c1,c2
#: wait sudo ssh -o ConnectTimeout=2 c1 grep -q december /etc/image-release within 400
#: wait sudo ssh -o ConnectTimeout=2 c2 grep -q december /etc/image-release within 400
#: wait test "$(sinfo -hN -n c1,c2 -t idle,alloc,mix -o %N | sort -u | wc -l)" = 2 within 200
