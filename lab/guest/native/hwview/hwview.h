/* board: what of a node's hardware no namespace separates: memory, swap and disk of one node, shown and
 * changed as on a machine of its own. `main.c` says how it is run. */
#ifndef HWVIEW_H
#define HWVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MIB (1ULL << 20)
#define SWAPS 8
#define PARTITIONS 16

typedef unsigned long long u64;

struct node {
    u64 memory; /* bytes */
    int processors;
    long boot_offset; /* seconds from the host's time since boot to the node's */
    const char *disk; /* file; empty: none */
};

/* memory.c: how much memory the node has, from the limits and counters of its container (bytes) */
struct memory {
    u64 total, free, available, shared, swap;
};
void memory_of(u64 bytes);
struct memory memory_now(void);
size_t memory_text(char *text, size_t size); /* as /proc/meminfo */

/* swap.c: the node's swap areas. Nothing is ever paged out to them: no kernel swaps for one container. */
int swap_on(pid_t caller, int descriptor, int flags); /* 0 or -errno, as swapon(2) */
int swap_off(pid_t caller, int descriptor);
u64 swap_bytes(void);
size_t swap_text(char *text, size_t size); /* as /proc/swaps */

/* disk.c: the node's disk and its partitions, as loop devices over a file */
int disk_plug(const char *file);
bool disk_is(dev_t device);
int disk_partition_add(int number, u64 start, u64 length); /* bytes; 0 or -errno, as BLKPG */
int disk_partition_remove(int number);
int disk_partition_resize(int number, u64 length);
int disk_read_table(void); /* as BLKRRPART */
size_t disk_text(char *text, size_t size); /* as /proc/partitions */

/* views.c: files over /proc, by FUSE */
int views_mount(const char *folder); /* returns what to poll */
void views_answer(int fuse);

/* calls.c: system calls whose answer depends on the node's hardware */
int calls_filter(void); /* puts the caller under the filter; returns the listener */
void calls_answer(int listener, const struct node *node);

/* procmem.c: memory and files of the process that made a call */
int procmem_read(pid_t process, u64 address, void *to, size_t size);
int procmem_write(pid_t process, u64 address, const void *from, size_t size);
int reopen_descriptor(pid_t process, int descriptor, int flags); /* anew; descriptor or -errno */
bool may_administer(pid_t process); /* has CAP_SYS_ADMIN */

#endif
