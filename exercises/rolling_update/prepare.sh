# Two users keep c1 and c2 busy: a thousand short tasks each, one after the other, which note when they begin and end.

#: step image on sms as user1
rm -f tasks.log
sbatch -w c1 --array=1-1000%1 -J tasks -o /dev/null --wrap 't="task $SLURM_ARRAY_TASK_ID"; echo "$t begins on $(hostname -s) at $(date +%s)" >>tasks.log; sleep 10; echo "$t ends" >>tasks.log'
#: wait grep -q begins tasks.log within 120

#: step image on sms as user2
rm -f tasks.log
sbatch -w c2 --array=1-1000%1 -J tasks -o /dev/null --wrap 't="task $SLURM_ARRAY_TASK_ID"; echo "$t begins on $(hostname -s) at $(date +%s)" >>tasks.log; sleep 10; echo "$t ends" >>tasks.log'
#: wait grep -q begins tasks.log within 120
