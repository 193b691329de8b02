#: step trust on sms as user1
cd ~/closed_site
sudo mkdir -p /etc/nodeimage
for key in builder release-team; do echo "$key $(cat delivered/keys/$key.pub)"; done | sudo tee /etc/nodeimage/allowed_signers
