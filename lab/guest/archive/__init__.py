"""Trees of files as compressed cpio archives: what wwvnfs, wwbootstrap and nodeimage pack with."""
