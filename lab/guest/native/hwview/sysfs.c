/* Writes files that describe a disk and its partitions, with names and format of Linux's sysfs
 * (Documentation/ABI/stable/sysfs-block). */
#include "sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ROOT NODE_DEV "/.sys" /* on the node's /dev, so that df lists no further mount */
#define LONGEST 128

/* The node's root may replace what lies here. So a path is opened below ROOT without following any link; the names that
 * are written, made and removed are then single ones in an open folder. */
static int beneath(const char *path, int flags) {
    struct open_how how = {
        .flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
        .mode = flags & O_CREAT ? 0644 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    int root = open(ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int found = root < 0 ? -1 : (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    if (root >= 0)
        close(root);
    return found;
}

/* Opens the folder of a path and points `name` to the last word of it. */
static int parent_of(const char *path, const char **name) {
    char folder[LONGEST];
    const char *last = strrchr(path, '/');
    *name = last ? last + 1 : path;
    snprintf(folder, sizeof folder, "%.*s", last ? (int)(last - path) : 1, last ? path : ".");
    return beneath(folder, O_RDONLY | O_DIRECTORY);
}

static void put(const char *folder, const char *name, const char *form, ...) {
    char path[2 * LONGEST];
    struct stat info;
    va_list values;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = beneath(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (file < 0)
        return;
    if (!fstat(file, &info) && S_ISREG(info.st_mode)) {
        va_start(values, form);
        vdprintf(file, form, values);
        va_end(values);
    }
    close(file);
}

struct names {
    char own[32];             /* vda2 */
    char below[64];           /* vda/vda2 */
    char folder[LONGEST];     /* block/vda/vda2 */
    char by_class[LONGEST];   /* class/vda2 */
    char by_number[LONGEST];  /* dev/7:3 */
};

static struct names names_of(const char *disk, int number, dev_t device) {
    struct names found;
    snprintf(found.own, sizeof found.own, number ? "%s%d" : "%s", disk, number);
    snprintf(found.below, sizeof found.below, number ? "%s/%s" : "%s", disk, found.own);
    snprintf(found.folder, LONGEST, "block/%s", found.below);
    snprintf(found.by_class, LONGEST, "class/%s", found.own);
    snprintf(found.by_number, LONGEST, "dev/%u:%u", major(device), minor(device));
    return found;
}

static void make_folder(const char *path) {
    const char *name;
    int folder = parent_of(path, &name);
    if (folder < 0)
        return;
    mkdirat(folder, name, 0755);
    close(folder);
}

static void show_queue(const char *disk) {
    char folder[2 * LONGEST];
    snprintf(folder, sizeof folder, "%s/queue", disk);
    make_folder(folder);
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

static void remove_name(const char *path) {
    const char *name;
    int folder = parent_of(path, &name);
    if (folder < 0)
        return;
    if (unlinkat(folder, name, 0) && errno == EISDIR)
        unlinkat(folder, name, AT_REMOVEDIR);
    close(folder);
}

static void point(const char *from, const char *to) {
    const char *name;
    char path[LONGEST];
    snprintf(path, sizeof path, "../../block/%s", to);
    remove_name(from);
    int folder = parent_of(from, &name);
    if (folder < 0 || symlinkat(path, folder, name))
        perror(from);
    if (folder >= 0)
        close(folder);
}

void sysfs_show(const char *disk, int number, dev_t device, u64 start, u64 length) {
    struct names names = names_of(disk, number, device);
    make_folder(names.folder);
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

/* Only a partition is ever hidden: its folder holds no further one. */
void sysfs_hide(const char *disk, int number, dev_t device) {
    static const char *const files[] = {"dev", "size", "ro", "alignment_offset", "partition", "start", "uevent"};
    struct names names = names_of(disk, number, device);
    char path[2 * LONGEST];
    remove_name(names.by_class);
    remove_name(names.by_number);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", names.folder, files[i]);
        remove_name(path);
    }
    remove_name(names.folder);
}
