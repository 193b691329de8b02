#: step gratis on sms as user1
sudo sacctmgr -i add account gratis cluster=cluster FairShare=1

#: step member on sms as user1
sudo sacctmgr -i add account member1 cluster=cluster FairShare=10
sudo sacctmgr -i add user user1,user2 DefaultAccount=member1
