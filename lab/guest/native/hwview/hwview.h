/* hwview: emulates the hardware of one node that no namespace separates: memory, swap and disk. Programs of the node
 * see and change them as on a machine of its own. `main.c` describes the command line. */
#ifndef HWVIEW_H
#define HWVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NODE_DEV "/run/chassis/dev" /* the node's /dev, where the node may put anything */
#define MIB (1ULL << 20)
#define SWAPS 8
#define PARTITIONS 16

typedef unsigned long long u64;

struct node {
    u64 memory; /* bytes */
    int processors;
    long boot_offset; /* seconds to add to the host's uptime */
    const char *disk; /* path of the disk's file; empty if the node has no disk */
};

/* memory.c: the node's memory in bytes, from the limits and counters of its container */
struct memory {
    u64 total, free, available, shared, swap;
};
void memory_of(u64 bytes);
struct memory memory_now(void);
size_t memory_text(char *text, size_t size); /* in the format of /proc/meminfo */

/* swap.c: the node's swap areas. They are never written: the kernel cannot swap for a single container. */
int swap_on(pid_t caller, int descriptor, int flags); /* 0 or -errno, as swapon(2) */
int swap_off(pid_t caller, int descriptor);
u64 swap_bytes(void);
size_t swap_text(char *text, size_t size); /* in the format of /proc/swaps */

/* disk.c: the node's disk and its partitions, as loop devices over a file */
int disk_plug(const char *file);
bool disk_is(dev_t device);
int disk_partition_add(int number, u64 start, u64 length); /* bytes; 0 or -errno, as BLKPG */
int disk_partition_remove(int number);
int disk_partition_resize(int number, u64 length);
int disk_read_table(void); /* as BLKRRPART */
size_t disk_text(char *text, size_t size); /* in the format of /proc/partitions */

/* views.c: files that cover those of /proc, served by FUSE */
int views_mount(const char *folder); /* returns the descriptor to poll */
void views_answer(int fuse);

/* calls.c: system calls whose answer depends on the node's hardware */
int calls_filter(void); /* installs the filter for the calling process; returns the listener */
void calls_answer(int listener, const struct node *node);

/* procmem.c: memory and files of the process that made a call */
int procmem_read(pid_t process, u64 address, void *to, size_t size);
int procmem_write(pid_t process, u64 address, const void *from, size_t size);
int reopen_descriptor(pid_t process, int descriptor, int flags); /* a new descriptor or -errno */
bool may_administer(pid_t process); /* whether it has CAP_SYS_ADMIN */

#endif
