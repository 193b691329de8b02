"""The configuration files that wwinit writes if they are missing: Warewulf's keys, our own comments."""

from __future__ import annotations

FILES = {
    "provision.conf": """\
# How nodes are provisioned.

# The SMS's device on the network that nodes boot from. The address defaults to the one of the device.
network device = eth1
# ip address = 172.16.0.1
# ip netmask = 255.255.0.0

dhcp server = dnsmasq
dhcp network = direct
default transport = http
tftpdir = /var/lib/tftpboot

# Whether to update /etc/hosts of the SMS, and the file dynamic_hosts, which nodes can be given.
update hostfile = yes
generate dynamic_hosts = yes
use localdomain = yes

# Kernel arguments of nodes without their own.
default kargs = "net.ifnames=0 biosdevname=0 quiet"
""",
    "vnfs.conf": """\
# How wwvnfs packs every VNFS; vnfs/NAME.conf adds to it.

# Compresses a part of the archive from stdin to stdout; parts are compressed in parallel and cached.
# Nodes unpack zstd several times faster than gzip. For gzip: gzip command = gzip -6
gzip command = zstd -q -3

# Paths that are never part of an image.
exclude += /tmp/*
# exclude += /var/log/*
exclude += /var/chroots/*
exclude += /var/cache
exclude += /usr/src

# Paths that jobs do not need: excluded, or linked into the hybrid path if one is set.
# hybridpath = /vnfs/%{name}
hybridize += /usr/X11R6
# hybridize += /usr/share/locale
hybridize += /usr/include
hybridize += /usr/share/man
hybridize += /usr/share/doc
""",
    "bootstrap.conf": """\
# What wwbootstrap packs for every kernel, also for kernels of a chroot.

# Modules by name, or all modules below a folder of lib/modules/VERSION; dependencies are included.
# This list covers the cards and disks of this lab's nodes. Every node unpacks all modules at each boot, so
# other drivers are left out. On real hardware, add its drivers, for example:
# drivers += kernel/drivers/net/, kernel/drivers/infiniband/, kernel/drivers/nvme/host/
# drivers += kernel/drivers/scsi/, kernel/drivers/ata/, kernel/drivers/message/, kernel/drivers/usb/host/
# firmware += bnx2/*, bnx2x/*, cxgb3/*, qed/*, tigon/*
drivers += kernel/drivers/virtio/, kernel/drivers/block/, kernel/drivers/md/
drivers += virtio_net, virtio_pci, virtio_mmio, virtio_ring
# NFS
drivers += nfs, nfsv2, nfsv3, nfsv4, lockd, sunrpc, auth_rpcgss, nfs_acl, grace, fscache
# File systems
drivers += fuse, ext2, ext3, ext4, jbd2, mbcache, crc32c_generic
drivers += xfs, fat, vfat, nls_cp437, nls_iso8859-1, nls_ascii
# Management controllers
drivers += ipmi_devintf, ipmi_si, ipmi_msghandler
# Frequency scaling
drivers += acpi-cpufreq, pcc-cpufreq, powernow-k8
# Added by OpenHPC
drivers += msr, overlay, squashfs

# Modules to load in this order when a node starts, before hardware detection. On real hardware, for example:
# modprobe += uhci-hcd, ehci-hcd, xhci-hcd, sd_mod
""",
    "defaults/node.conf": """\
# Default values of new nodes.

netdev = eth0
# groups = compute
# cluster = cluster1
# domain = example
# netmask = MASK, network = ADDRESS, gateway = ADDRESS: of the device `netdev`, each on a line of its own
# unique hwaddrs = yes
""",
    "defaults/provision.conf": """\
# Default files and images of new nodes.

files = dynamic_hosts, passwd, group
# vnfs = NAME
# bootstrap = VERSION
""",
    "livesync.conf": """\
# Paths of a chroot that are never copied to running nodes.

exclude += /proc, /sys, /dev, /run, /tmp
exclude += /etc/fstab, /etc/hostname, /etc/hosts, /etc/network
""",
    "filesystem/examples/gpt_example.cmds": """\
# A disk with a new GPT: boot, swap, root. Everything on it is lost at each boot.
select /dev/sda
mklabel gpt
mkpart primary 1MiB 3MiB
mkpart primary ext4 3MiB 515MiB
mkpart primary linux-swap 515MiB 2563MiB
mkpart primary ext4 2563MiB 100%
set 1 bios_grub on
name 1 grub
name 2 boot
name 3 swap
name 4 root
mkfs 2 ext4 -L boot
mkfs 3 swap
mkfs 4 ext4 -L root
fstab 4 / ext4 defaults 0 0
fstab 2 /boot ext4 defaults 0 0
fstab 3 none swap defaults 0 0
""",
    "filesystem/examples/efi_nvme_example.cmds": """\
# An NVMe disk with an EFI partition. Partitions of such disks are numbered p1, p2, ...
select /dev/nvme0n1
mklabel gpt
mkpart ESP fat32 1MiB 257MiB
mkpart swap linux-swap 257MiB 2305MiB
mkpart root ext4 2305MiB 100%
set 1 boot on
mkfs p1 vfat -n EFI
mkfs p2 swap
mkfs p3 ext4 -L root
fstab p3 / ext4 defaults 0 0
fstab p1 /boot/efi vfat defaults 0 0
fstab p2 none swap defaults 0 0
""",
    "filesystem/examples/tmpfs_example.cmds": """\
# No disk: the root file system uses up to half of the memory, as without a layout.
fstab tmpfs / tmpfs size=50% 0 0
""",
}
"""Maps each path below /etc/warewulf to its content."""
