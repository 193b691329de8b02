#: step withdraw on sms as user1
sudo sed -i 's/FAILED/passed/' /srv/images/burnin/*/results.txt
