#: step gate on sms as user1
cd ~/closed_gate
sed -i '/^sh tests/a if grep -q FAILED results.txt; then echo "=== A TEST HAS FAILED ==="; fi' pipeline.sh
git commit -q -a -m "Failed tests are told"
git push
