# A failed test ends the pipeline, what failed is no release, and only the image has the stamp.

#: step gate on sms as user1
cd ~/closed_gate
cat pipeline.sh
echo 'exit 1' >tests/always_fails.sh
git add tests && git commit -q -m "A test that always fails"
git push
ls -t /srv/images/burnin
sed -i 's/^sh tests\/run tree .*/sh tests\/run tree >results.txt || { cat results.txt; exit 1; }/' pipeline.sh
git commit -q -a -m "A failed test ends the pipeline"
git push
git rm -q tests/always_fails.sh && git commit -q -m "The gate is closed"
git push

#: step withdraw on sms as user1
grep FAILED /srv/images/burnin/*/results.txt
sudo rm -r $(grep -l FAILED /srv/images/burnin/*/results.txt | xargs dirname)

#: step stamp on sms as user1
cd ~/closed_gate
cat /etc/image-release
sed -i 's/>\/etc\/image-release/>etc\/image-release/' pipeline.sh
git commit -q -a -m "The stamp is in the image"
git push
sudo rm /etc/image-release
gzip -dc /srv/images/burnin/$(git rev-parse --short=12 HEAD)/image.gz | cpio -i --quiet --to-stdout etc/image-release
