#: step admit on sms as user1
cd ~/closed_site
sudo mkdir -p /srv/nodeimage/rescue
sudo cp -r delivered/may delivered/june delivered/july delivered/august /srv/nodeimage/rescue/
sudo nodeimage activate rescue may
