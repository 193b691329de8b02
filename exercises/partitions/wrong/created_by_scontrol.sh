#: step define on sms as user1
sudo scontrol create PartitionName=short Nodes=c[1-2] DefMemPerCPU=400 DefaultTime=2:00:00 MaxTime=2:00:00 PriorityTier=3
sudo scontrol create PartitionName=medium Nodes=c[1-2] DefMemPerCPU=400 DefaultTime=6:00:00 MaxTime=48:00:00 PriorityTier=2
sudo scontrol create PartitionName=long Nodes=c[1-2] DefMemPerCPU=400 DefaultTime=1-0 MaxTime=7-0 DenyAccounts=gratis
sudo scontrol update PartitionName=medium Default=YES
sudo scontrol delete PartitionName=normal
