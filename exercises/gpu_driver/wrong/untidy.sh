#: step tree on sms as user1
sudo cp -a ${CHROOT} ${CHROOT}-gpu
#: step install on sms as user1
sudo install -m 0755 ~/gpu_driver/emulated-gpu-470.256.02.run ${CHROOT}-gpu/root/
sudo mount --bind /proc ${CHROOT}-gpu/proc
sudo mount --bind /dev ${CHROOT}-gpu/dev
sudo chroot ${CHROOT}-gpu /root/emulated-gpu-470.256.02.run --silent --kernel-name=$(uname -r)
#: step boot on sms as user1
sudo wwvnfs --chroot=${CHROOT}-gpu
sudo wwsh -y provision set '*' --vnfs=debian13-gpu
