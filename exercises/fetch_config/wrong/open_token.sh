#: step fetch on sms as user1
scontrol token lifespan=3600 > slurm.jwt
chmod 644 slurm.jwt
