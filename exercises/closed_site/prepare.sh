# Four releases of a rescue system were delivered: one good, one changed, one unsigned, one signed by somebody else.

#: step trust on sms as root
export NODEIMAGE_STATE=/var/tmp/state NODEIMAGE_RELEASES=/var/tmp/releases
mkdir -p /var/tmp/keys /var/tmp/rescue /home/user1/closed_site/delivered/keys
for who in builder release-team; do ssh-keygen -q -t ed25519 -N '' -C $who -f /var/tmp/keys/$who; done
cp -a /usr/lib/rackling/initramfs /var/tmp/tree
install -D -m 644 $(ls /boot/vmlinuz-* | tail -n 1) /var/tmp/tree/boot/vmlinuz
printf '%s\n' '[test]' 'untested = true' '[image]' 'kernel = "/boot/vmlinuz"' 'exclude = ["/boot/*"]' >/var/tmp/rescue/image.toml
build() { echo "Rescue system of $1" >/var/tmp/tree/etc/motd && for verb in configure test pack; do nodeimage $verb -q /var/tmp/rescue --tree /var/tmp/tree --ref $1 --commit $2 --date 1793491200 || return; done && nodeimage publish -q rescue --release $1 --key /var/tmp/keys/$3; }
build may 2d6f0c1b7e9a4583c0d1e2f3a4b5968778695a4b builder
build june 7a1c93e5d0b24f68857a6b9c0d1e2f3a4b5c6d7e builder
build july 90e8d7c6b5a4938271605f4e3d2c1b0a99887766 builder
build august c3b2a1908f7e6d5c4b3a29181706f5e4d3c2b1a0 release-team
printf 'changed' | dd of=/var/tmp/releases/rescue/june/image bs=1 seek=4096 conv=notrunc status=none
rm /var/tmp/releases/rescue/july/manifest.json.sig
mv /var/tmp/releases/rescue/may /var/tmp/releases/rescue/june /var/tmp/releases/rescue/july /var/tmp/releases/rescue/august /home/user1/closed_site/delivered/
cp /var/tmp/keys/builder.pub /var/tmp/keys/release-team.pub /home/user1/closed_site/delivered/keys/
printf 'The builder has read this out on the telephone, from a printed sheet:\n%s\n' "$(ssh-keygen -lf /var/tmp/keys/builder.pub | cut -d' ' -f2)" >/srv/by_phone.txt
chown -R user1:user1 /home/user1/closed_site
rm -rf /var/tmp/keys /var/tmp/rescue /var/tmp/tree /var/tmp/state /var/tmp/releases
