#: step admit on sms as user1
cd ~/closed_site
sudo mkdir -p /srv/nodeimage/rescue
sudo cp -r delivered/june /srv/nodeimage/rescue/
sudo ln -s june /srv/nodeimage/rescue/current
