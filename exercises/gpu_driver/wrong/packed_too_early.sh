#: step install on sms as user1
GCHROOT=${CHROOT}-gpu
RUN=emulated-gpu-470.256.02.run
sudo wwvnfs --chroot=${GCHROOT}
sudo wwsh -y provision set 'g*' --vnfs=debian13-gpu
sudo install -m 0755 ~/gpu_driver/${RUN} ${GCHROOT}/root/
sudo mount --bind /proc ${GCHROOT}/proc
sudo mount --bind /dev ${GCHROOT}/dev
sudo chroot ${GCHROOT} /root/${RUN} --silent --kernel-name=$(uname -r)
sudo umount ${GCHROOT}/dev ${GCHROOT}/proc
sudo rm ${GCHROOT}/root/${RUN}
for node in g1 g2; do cat ~/gpu_driver/${RUN} | sudo ssh $node "cat >/run/${RUN} && sh /run/${RUN} --silent && rm /run/${RUN}"; done
sudo ssh g2 nvidia-smi -L
