# A client without a munge key: fetch the configuration with a token, submit a job, provoke six refusals.

#: step fetch on client as user1
#: expect-fail
sinfo
#: expect-fail
siphon -o /run/slurm/conf sms

#: step fetch on sms as user1
(umask 077; scontrol token lifespan=86400 > slurm.jwt)
ls -l slurm.jwt

#: step fetch on client as user1
siphon --token-file slurm.jwt -o /run/slurm/conf sms
ls -l /run/slurm/conf

#: step submit on client as user1
export $(cat slurm.jwt)
sinfo
sbatch -o from_client.out --wrap 'echo "submitted on $SLURM_SUBMIT_HOST, ran on $(hostname)"'
#: wait grep -q ran from_client.out within 300
cat from_client.out

#: step refusals on client as user1
env -u SLURM_JWT siphon -o try sms; echo "status $?"
(umask 077; scontrol token lifespan=1 > short.jwt)
#: wait ! siphon --token-file short.jwt --dry-run -q -o try sms within 300
siphon --token-file short.jwt -o try sms; echo "status $?"
sed 's/......$/AAAAAA/' slurm.jwt > changed.jwt
siphon --token-file changed.jwt -o try sms; echo "status $?"
siphon --set slurmd -o try sms; echo "status $?"
siphon -o try sms:7000; echo "status $?"

#: step refusals on sms as user1
printf '#!/bin/sh\nexit 0\n' | sudo tee /etc/up.sh
sudo chmod 755 /etc/up.sh
echo 'Prolog=../up.sh' | sudo tee -a /etc/slurm/slurm.conf
sudo scontrol reconfigure
#: wait sudo ssh c1 ls /var/lib/slurm/slurmd/up.sh within 300
sudo ssh c1 ls -R /var/lib/slurm/slurmd
(umask 077; sudo scontrol token username=slurm lifespan=120 > strong.jwt)

#: step refusals on client as user1
siphon --token-file strong.jwt --set slurmd -o try sms; echo "status $?"
#: expect-fail
ls try

#: step refusals on sms as user1
rm -f strong.jwt short.jwt changed.jwt
sudo sed -i '/^Prolog=/d' /etc/slurm/slurm.conf
sudo scontrol reconfigure
sed -i -e '/^no-token/s/=.*/= 22/' -e '/^expired/s/=.*/= 14/' -e '/^changed/s/=.*/= 14/' fetch_config/refusals.txt
sed -i -e '/^slurmd-set/s/=.*/= 15/' -e '/^nobody/s/=.*/= 10/' -e '/^unsafe/s/=.*/= 19/' fetch_config/refusals.txt
cat fetch_config/refusals.txt
