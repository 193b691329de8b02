#: step refusals on sms as user1
sed -i -e '/^no-token/s/=.*/= 22/' -e '/^expired/s/=.*/= 14/' -e '/^changed/s/=.*/= 14/' fetch_config/refusals.txt
sed -i -e '/^slurmd-set/s/=.*/= 14/' fetch_config/refusals.txt
