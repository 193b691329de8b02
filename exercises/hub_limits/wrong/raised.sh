# Instead of asking for less.

#: step fit on sms as root
sacctmgr -i modify qos notebook set maxwall=08:00:00
ssh login hub-server start user1
