# Trust the builder's key, look at all four releases, and admit the one that passes.

#: step trust on sms as user1
cd closed_site
cat /srv/by_phone.txt
for key in delivered/keys/*.pub; do ssh-keygen -lf $key; done
sudo mkdir -p /etc/nodeimage
echo "builder $(cat delivered/keys/builder.pub)" | sudo tee /etc/nodeimage/allowed_signers

#: step admit on sms as user1
cd ~/closed_site
#: expect-fail
nodeimage verify ./delivered/august
#: expect-fail
nodeimage verify ./delivered/july
#: expect-fail
nodeimage verify ./delivered/june
nodeimage verify ./delivered/may
sudo mkdir -p /srv/nodeimage/rescue
sudo cp -r delivered/may /srv/nodeimage/rescue/
sudo nodeimage activate rescue may
nodeimage list
