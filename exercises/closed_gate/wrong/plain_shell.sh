#: step gate on sms as user1
cd ~/closed_gate
sed -i '1a set -o pipefail' pipeline.sh
git commit -q -a -m "A failed test is a failure"
git push
