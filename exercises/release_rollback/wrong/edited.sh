#: step rollback on sms as user1
sudo nodeimage rollback compute
commit=$(sed -n 's/.*"commit": "\(.*\)",/\1/p' /srv/nodeimage/compute/november/manifest.json)
sudo ssh c1 "sed -i 's/december/november/; s/^IMAGE_COMMIT=.*/IMAGE_COMMIT=$commit/' /etc/image-release"
