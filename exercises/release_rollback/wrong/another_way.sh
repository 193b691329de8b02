#: step rollback on sms as user1
sudo nodeimage boot compute c1 --off
