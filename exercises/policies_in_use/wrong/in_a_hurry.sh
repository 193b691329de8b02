#: step gratis on sms as user1
cd ~/policies_in_use
sbatch --partition=short --account=gratis sleep15.sh
#: wait sacct -nX -o jobname%15,state | grep -q 'sleep15.sh *COMPLETED' within 240
