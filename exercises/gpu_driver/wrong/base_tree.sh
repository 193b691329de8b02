#: step install on sms as user1
sudo install -m 0755 ~/gpu_driver/emulated-gpu-470.256.02.run ${CHROOT}/root/
sudo mount --bind /proc ${CHROOT}/proc
sudo mount --bind /dev ${CHROOT}/dev
sudo chroot ${CHROOT} /root/emulated-gpu-470.256.02.run --kernel-name=$(uname -r) --silent
sudo umount ${CHROOT}/dev ${CHROOT}/proc
