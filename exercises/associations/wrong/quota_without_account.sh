#: step paygo on sms as user1
sudo sacctmgr -i add account paygo cluster=cluster FairShare=1000
sudo sacctmgr -i add account paygo-project1 cluster=cluster parent=paygo
sudo sacctmgr -i add qos paygo-project1 flags=NoDecay,DenyOnLimit
sudo sacctmgr -i modify qos paygo-project1 set grptresmins=cpu=10
sudo sacctmgr -i modify account name=paygo set qos+=paygo-project1
sudo sacctmgr -i modify user user2 set qos+=paygo-project1
