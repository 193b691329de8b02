# Release "november" of the image is active, and c1 boots it. The image of december is packed, and not published.

#: step publish on sms as root
cp -a ${CHROOT} /var/tmp/tree
yum -q -y --installroot=/var/tmp/tree install kernel
install -d /etc/nodeimage
[ -s /etc/nodeimage/signing_key ] || ssh-keygen -q -t ed25519 -N '' -C builder -f /etc/nodeimage/signing_key
echo "builder $(cat /etc/nodeimage/signing_key.pub)" >/etc/nodeimage/allowed_signers
cd /home/user1/release_rollback
build() { echo "Image of $1" >/var/tmp/tree/etc/motd && for verb in configure test pack; do nodeimage $verb -q compute --tree /var/tmp/tree --ref $1 --commit $2 --date $3 || return; done; }
build november 5b0e7a41c9d2f3868a1b04c7de95f2a6b7c81d30 1793491200
nodeimage publish -q compute --release november
nodeimage activate -q compute november
build december 91c4f07be2a6d5838b7c0f1e4d92a3b6c5e8f704 1796083200
rm -r /var/tmp/tree
wwsh -y file import /etc/warewulf/vnfs/ssh/ssh_host_ed25519_key --name=ssh_host_key
wwsh -y file set ssh_host_key --path=/etc/ssh/ssh_host_ed25519_key --mode=0600
wwsh -y provision set c1 --fileadd=ssh_host_key
nodeimage boot -q compute c1
scontrol update nodename=c1 state=drain reason="new way to boot"
ssh -o BatchMode=yes c1 systemctl reboot
#: wait test "$(ssh -o BatchMode=yes -o ConnectTimeout=2 c1 sed -n s/^IMAGE_REF=//p /etc/image-release)" = november within 240
scontrol update nodename=c1 state=resume
