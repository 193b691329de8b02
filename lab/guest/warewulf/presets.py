"""The configuration files that wwinit writes where none are: key names as Warewulf's, words our own."""

from __future__ import annotations

FILES = {
    "provision.conf": """\
# How nodes are provisioned.

# The SMS's device on the network that nodes boot from; its address can be given instead of asked for.
network device = eth1
# ip address = 172.16.0.1
# ip netmask = 255.255.0.0

dhcp server = dnsmasq
dhcp network = direct
default transport = http
tftpdir = /var/lib/tftpboot

# /etc/hosts of the SMS, and the file dynamic_hosts that nodes can be given.
update hostfile = yes
generate dynamic_hosts = yes
use localdomain = yes

# Kernel arguments of nodes that have none of their own.
default kargs = "net.ifnames=0 biosdevname=0 quiet"
""",
    "vnfs.conf": """\
# How wwvnfs packs every VNFS; vnfs/NAME.conf adds to it.

# Reads a part of the archive and writes it compressed; parts are compressed side by side and kept.
# Nodes unpack zstd several times faster than gzip. For gzip: gzip command = gzip -6
gzip command = zstd -q -3

# Never part of an image.
exclude += /tmp/*
# exclude += /var/log/*
exclude += /var/chroots/*
exclude += /var/cache
exclude += /usr/src

# Not needed for running jobs: left out, or linked into the hybrid path where one is set.
# hybridpath = /vnfs/%{name}
hybridize += /usr/X11R6
# hybridize += /usr/share/locale
hybridize += /usr/include
hybridize += /usr/share/man
hybridize += /usr/share/doc
""",
    "bootstrap.conf": """\
# What wwbootstrap packs, for every kernel, wherever that kernel comes from.

# Modules by name, or all below a folder of lib/modules/VERSION; what they depend on comes along.
# These are for the cards and disks that this lab's nodes have. Every node unpacks all of it at each boot, so
# what no node has is left out. On metal, name what you have there, for instance:
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
# As OpenHPC adds
drivers += msr, overlay, squashfs

# Loaded in this order when a node starts, before its hardware is looked at. On metal, for instance:
# modprobe += uhci-hcd, ehci-hcd, xhci-hcd, sd_mod
""",
    "defaults/node.conf": """\
# What a new node has when nothing else is said.

netdev = eth0
# groups = compute
# cluster = cluster1
# domain = example
""",
    "defaults/provision.conf": """\
# What a new node is given when nothing else is said.

files = dynamic_hosts, passwd, group
# vnfs = NAME
# bootstrap = VERSION
""",
    "livesync.conf": """\
# Paths of a chroot that never go to running nodes.

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
# An NVMe disk with an EFI partition; partitions of such disks are numbered p1, p2, ...
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
# No disk at all: the root file system is in memory, half of it at most. Same as no layout.
fstab tmpfs / tmpfs size=50% 0 0
""",
}
"""Path below /etc/warewulf to content."""
