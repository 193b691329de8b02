# GPU-1: a separate chroot for the GPU nodes, with a driver.

#: step tree on sms as user1
sudo ssh g1 lspci
#: expect-fail
sudo ssh g1 nvidia-smi
GCHROOT=/opt/ohpc/admin/images/debian13-gpu
sudo rsync -a ${CHROOT}/ ${GCHROOT}/

#: step install on sms as user1
sudo install -m 0755 ~/gpu_driver/emulated-gpu-470.256.02.run ${GCHROOT}/root/
KV=$(sudo ssh g1 uname -r)
sudo mount --bind /proc ${GCHROOT}/proc
sudo mount --bind /dev ${GCHROOT}/dev
sudo chroot ${GCHROOT} /root/emulated-gpu-470.256.02.run --disable-nouveau --kernel-name=${KV} --no-drm --run-nvidia-xconfig --silent

#: step tidy on sms as user1
sudo rm ${GCHROOT}/root/emulated-gpu-470.256.02.run
sudo umount ${GCHROOT}/dev ${GCHROOT}/proc

#: step boot on sms as user1
sudo wwvnfs --chroot=${GCHROOT}
sudo wwsh -y provision set 'g*' --vnfs=debian13-gpu
sudo scontrol update nodename=g[1-2] state=drain reason="new image"
#: may-fail
sudo pdsh -w g[1-2] reboot
#: wait sudo ssh -o ConnectTimeout=2 g1 nvidia-smi -L && sudo ssh -o ConnectTimeout=2 g2 nvidia-smi -L within 180
sudo ssh g1 nvidia-smi
sudo ssh g1 nvidia-smi | grep Driver
#: wait test "$(sinfo -h -n g1,g2 -t drained -o %D)" = 2 within 120
sudo scontrol update nodename=g[1-2] state=resume

#: step use on sms as user1
#: wait test "$(sinfo -h -n g1,g2 -t idle -o %D)" = 2 within 60
cd
srun --gres=gpu:1 sh -c 'echo $CUDA_VISIBLE_DEVICES; nvidia-smi'
