#: step install on sms as user1
sudo install -m 0755 ~/gpu_driver/emulated-gpu-470.256.02.run ${CHROOT}-gpu/root/
# The installer reports that /proc and /dev are missing.
#: expect-fail
sudo chroot ${CHROOT}-gpu /root/emulated-gpu-470.256.02.run --silent
sudo mount --bind /proc ${CHROOT}-gpu/proc
#: expect-fail
sudo chroot ${CHROOT}-gpu /root/emulated-gpu-470.256.02.run --silent
sudo mount --bind /dev ${CHROOT}-gpu/dev
sudo chroot ${CHROOT}-gpu /root/emulated-gpu-470.256.02.run --silent --kernel-name=5.14.0-427.24.1.el9_4.x86_64
