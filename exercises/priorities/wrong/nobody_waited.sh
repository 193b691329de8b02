#: step overtake on sms as user1
srun hostname
srun --account=member1 hostname
