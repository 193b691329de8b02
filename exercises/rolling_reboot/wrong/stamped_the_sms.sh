#: step roll on sms as user1
sudo mkdir -p /opt/ohpc/pub/rolling
echo debian13-2 | sudo tee /etc/image-release
sudo cp /etc/image-release /opt/ohpc/pub/rolling/wanted
sudo wwvnfs --chroot=${CHROOT}
