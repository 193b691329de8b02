#: step rollback on sms as user1
sudo nodeimage rollback compute
