#: step stamp on sms as user1
cd ~/closed_gate
sed -i '/image-release/d' pipeline.sh
printf 'role=burnin\nref=main\ncommit=%s\n' "$(git rev-parse HEAD)" >system/etc/image-release
git add --all && git commit -q -m "The stamp is in the image"
git push
sudo rm /etc/image-release
