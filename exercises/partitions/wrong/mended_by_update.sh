#: step fit on sms as user1
sudo scontrol update PartitionName=short DefMemPerCPU=400
sudo scontrol update PartitionName=medium DefMemPerCPU=400
sudo scontrol update PartitionName=long DefMemPerCPU=400
