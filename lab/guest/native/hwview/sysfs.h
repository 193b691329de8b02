/* sysfs.c: the files that cover /sys/block, /sys/class/block and /sys/dev/block in the node */
#ifndef SYSFS_H
#define SYSFS_H

#include "hwview.h"

/* Partition `number` of a disk, or 0 for the disk itself; start and length in sectors. */
void sysfs_show(const char *disk, int number, dev_t device, u64 start, u64 length);
void sysfs_hide(const char *disk, int number, dev_t device);

#endif
