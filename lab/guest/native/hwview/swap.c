/* The node's swap areas: emulates swapon(2), swapoff(2) and /proc/swaps for partitions of the node's disk. The areas
 * are recorded and shown, but never written: the kernel cannot swap for a single container. */
#include "hwview.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#define PAGE 4096
#define SIGNATURE "SWAPSPACE2" /* include/linux/swap.h, union swap_header: the last ten bytes of the first page */
#define HEADER 1024            /* offset of version and last page */

struct area {
    char path[64];
    dev_t device;
    int held; /* opened with O_EXCL, so that mkfs refuses a swap area in use */
    u64 kib;
    int priority;
};
static struct area areas[SWAPS];
static size_t count;
static int lowest = -2; /* the kernel's first priority for areas without an explicit one */

static int find(dev_t device) {
    for (size_t i = 0; i < count; i++)
        if (areas[i].device == device)
            return (int)i;
    return -1;
}

static int size_of(int area, u64 *kib) {
    unsigned char page[PAGE];
    unsigned version, last;
    if (pread(area, page, PAGE, 0) != PAGE || memcmp(page + PAGE - 10, SIGNATURE, 10))
        return -EINVAL;
    memcpy(&version, page + HEADER, sizeof version);
    memcpy(&last, page + HEADER + 4, sizeof last);
    if (version != 1 || !last)
        return -EINVAL;
    *kib = (u64)last * (PAGE / 1024);
    return 0;
}

/* The path with which the caller opened the device. */
static void name_of(pid_t caller, int descriptor, char *name, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", caller, descriptor);
    ssize_t length = readlink(path, name, size - 1);
    name[length < 0 ? 0 : length] = 0;
}

static int use(int opened, int flags) {
    struct stat info;
    struct area made = {.held = opened};
    if (fstat(opened, &info) || !S_ISBLK(info.st_mode) || !disk_is(info.st_rdev))
        return -EINVAL;
    if (find(info.st_rdev) >= 0)
        return -EBUSY;
    if (count == SWAPS)
        return -EPERM; /* swapon(2): too many swap areas */
    if (size_of(opened, &made.kib))
        return -EINVAL;
    made.device = info.st_rdev;
    made.priority = flags & SWAP_FLAG_PREFER ? flags & SWAP_FLAG_PRIO_MASK : lowest--;
    areas[count++] = made;
    return 0;
}

int swap_on(pid_t caller, int descriptor, int flags) {
    if (!may_administer(caller))
        return -EPERM;
    int opened = reopen_descriptor(caller, descriptor, O_RDWR | O_EXCL);
    if (opened < 0)
        return opened;
    int problem = use(opened, flags);
    if (problem)
        close(opened);
    else
        name_of(caller, descriptor, areas[count - 1].path, sizeof areas->path);
    return problem;
}

int swap_off(pid_t caller, int descriptor) {
    struct stat info;
    char path[64];
    if (!may_administer(caller))
        return -EPERM;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", caller, descriptor);
    int which = stat(path, &info) ? -1 : find(info.st_rdev);
    if (which < 0)
        return -EINVAL;
    close(areas[which].held);
    areas[which] = areas[--count];
    return 0;
}

u64 swap_bytes(void) {
    u64 kib = 0;
    for (size_t i = 0; i < count; i++)
        kib += areas[i].kib;
    return kib << 10;
}

size_t swap_text(char *text, size_t size) {
    size_t length = snprintf(text, size, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    for (size_t i = 0; i < count; i++)
        length += snprintf(text + length, size - length, "%-39s partition\t%llu\t%s0\t\t%d\n", areas[i].path,
                           areas[i].kib, areas[i].kib < 10000000 ? "\t" : "", areas[i].priority);
    return length;
}
