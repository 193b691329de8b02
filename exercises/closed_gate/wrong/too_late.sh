#: step gate on sms as user1
cd ~/closed_gate
echo 'if grep -q FAILED results.txt; then exit 1; fi' >>pipeline.sh
git commit -q -a -m "A failed test is a failure"
git push
