#: step serve on sms as user1
sinfo
