#: step gate on sms as user1
cd ~/closed_gate
echo 'exit 1' >tests/always_fails.sh
sed -i '1a set -o pipefail' pipeline.sh
git add --all && git commit -q -m "A failed test is a failure"
git push
