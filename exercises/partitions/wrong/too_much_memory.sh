#: step define on sms as user1
sudo sed -i 's/^PartitionName=normal/#&/' /etc/slurm/slurm.conf
sudo tee -a /etc/slurm/slurm.conf <<'END'
PartitionName=DEFAULT DefMemPerCPU=2000 MaxNodes=2 MinNodes=1 Nodes=c[1-2] PriorityJobFactor=1
PartitionName=short DefaultTime=02:00:00 MaxTime=02:00:00 AllowAccounts=ALL PriorityTier=3
PartitionName=medium Default=YES DefaultTime=06:00:00 MaxTime=48:00:00 AllowAccounts=ALL PriorityTier=2
PartitionName=long DefaultTime=24:00:00 MaxTime=168:00:00 DenyAccounts=gratis PriorityTier=1
END
#: may-fail
sudo scontrol reconfigure
#: wait sinfo -h -o %P | grep -q short within 180
