#: step roll on sms as user1
sudo mkdir -p /opt/ohpc/pub/rolling
sudo wwvnfs --chroot=${CHROOT}
echo debian13-2 | sudo tee ${CHROOT}/etc/image-release
sudo cp ${CHROOT}/etc/image-release /opt/ohpc/pub/rolling/wanted
sudo pdsh -w c[1-2],g[1-2] "echo debian13-2 >/etc/image-release"
