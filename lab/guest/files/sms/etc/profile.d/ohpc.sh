# The chroot that VNFS images are packed from, as OpenHPC's install guide exports it.
export CHROOT=/opt/ohpc/admin/images/debian13
