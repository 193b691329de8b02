#: step paygo on sms as user2
srun --account=paygo-project1 --ntasks=4 --time=2 sleep 1
