#: step boot on sms as user1
sudo wwvnfs --chroot=${CHROOT}-gpu
sudo wwsh -y provision set '*' --vnfs=debian13-gpu
