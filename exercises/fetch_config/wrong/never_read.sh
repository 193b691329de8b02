#: step refusals on sms as user1
echo 'Prolog=../up.sh' | sudo tee -a /etc/slurm/slurm.conf
sed -i -e '/^no-token/s/=.*/= 22/' -e '/^expired/s/=.*/= 14/' -e '/^changed/s/=.*/= 14/' fetch_config/refusals.txt
sed -i -e '/^slurmd-set/s/=.*/= 15/' -e '/^nobody/s/=.*/= 10/' -e '/^unsafe/s/=.*/= 19/' fetch_config/refusals.txt
