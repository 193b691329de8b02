/* Writes files that describe a disk and its partitions, with names and format of Linux's sysfs
 * (Documentation/ABI/stable/sysfs-block). */
#include "sysfs.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ROOT "/dev/.sys" /* on /dev, so that df lists no further mount */
#define LONGEST 128

static void put(const char *folder, const char *name, const char *form, ...) {
    char path[2 * LONGEST];
    va_list values;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    if (!file)
        return;
    va_start(values, form);
    vfprintf(file, form, values);
    va_end(values);
    fclose(file);
}

struct names {
    char own[32];             /* vda2 */
    char below[64];           /* vda/vda2 */
    char folder[LONGEST];     /* ROOT/block/vda/vda2 */
    char by_class[LONGEST];   /* ROOT/class/vda2 */
    char by_number[LONGEST];  /* ROOT/dev/7:3 */
};

static struct names names_of(const char *disk, int number, dev_t device) {
    struct names found;
    snprintf(found.own, sizeof found.own, number ? "%s%d" : "%s", disk, number);
    snprintf(found.below, sizeof found.below, number ? "%s/%s" : "%s", disk, found.own);
    snprintf(found.folder, LONGEST, ROOT "/block/%s", found.below);
    snprintf(found.by_class, LONGEST, ROOT "/class/%s", found.own);
    snprintf(found.by_number, LONGEST, ROOT "/dev/%u:%u", major(device), minor(device));
    return found;
}

static void show_queue(const char *disk) {
    char folder[2 * LONGEST];
    snprintf(folder, sizeof folder, "%s/queue", disk);
    mkdir(folder, 0755);
    put(folder, "rotational", "1\n");
    put(folder, "logical_block_size", "512\n");
    put(folder, "physical_block_size", "512\n");
    put(folder, "hw_sector_size", "512\n");
    put(folder, "minimum_io_size", "512\n");
    put(folder, "optimal_io_size", "0\n");
    put(folder, "discard_granularity", "512\n");
    put(folder, "discard_max_bytes", "2147483136\n");
    put(folder, "read_ahead_kb", "128\n");
    put(folder, "nr_requests", "256\n");
    put(folder, "scheduler", "[none] mq-deadline\n");
}

static void point(const char *from, const char *to) {
    char path[LONGEST];
    snprintf(path, sizeof path, "../../block/%s", to);
    unlink(from);
    if (symlink(path, from))
        perror(from);
}

void sysfs_show(const char *disk, int number, dev_t device, u64 start, u64 length) {
    struct names names = names_of(disk, number, device);
    mkdir(names.folder, 0755);
    put(names.folder, "dev", "%u:%u\n", major(device), minor(device));
    put(names.folder, "size", "%llu\n", length);
    put(names.folder, "ro", "0\n");
    put(names.folder, "alignment_offset", "0\n");
    if (number) {
        put(names.folder, "partition", "%d\n", number);
        put(names.folder, "start", "%llu\n", start);
    } else {
        put(names.folder, "removable", "0\n");
        put(names.folder, "hidden", "0\n");
        put(names.folder, "range", "16\n");
        put(names.folder, "ext_range", "256\n");
        show_queue(names.folder);
    }
    put(names.folder, "uevent", "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=%s\n", major(device), minor(device), names.own,
        number ? "partition" : "disk");
    point(names.by_class, names.below);
    point(names.by_number, names.below);
}

static int drop(const char *path, const struct stat *info, int kind, struct FTW *where) {
    (void)info, (void)kind, (void)where;
    return remove(path);
}

void sysfs_hide(const char *disk, int number, dev_t device) {
    struct names names = names_of(disk, number, device);
    unlink(names.by_class);
    unlink(names.by_number);
    nftw(names.folder, drop, 16, FTW_DEPTH | FTW_PHYS);
}
