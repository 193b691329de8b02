/* The node's disk /dev/vda and its partitions. Each is a loop device over a part of one file in the lab's volume; the
 * kernel frees a loop device when nothing has it open or mounted any more. Partitions are not the kernel's own loop
 * partitions: those share their major number with disks of the host, which a container must not access. Programs
 * read /sys in a folder that sysfs.c writes. */
#include "hwview.h"
#include "sysfs.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define NAME "vda"
#define SECTOR 512
#define LOOP_MAJOR 7
#define CONTROL makedev(10, 237)
#define TRIES 64
#define DISK_GROUP 6 /* Debian's group `disk` */
#define PATIENCE 100 /* tenths of a second to wait until the mounts of an earlier boot end */

struct device {
    int loop; /* descriptor, or -1 */
    dev_t number;
    u64 start, length; /* bytes */
};
static struct device parts[PARTITIONS + 1] = {[0 ... PARTITIONS] = {.loop = -1}}; /* 0: the whole disk */
static int image = -1;

/* Opens a device that has no file in /dev. */
static int open_device(mode_t kind, dev_t number, int flags) {
    char path[] = "/dev/.hwview";
    unlink(path);
    if (mknod(path, kind | 0600, number))
        return -1;
    int found = open(path, flags | O_CLOEXEC);
    unlink(path);
    return found;
}

static int free_loop(void) {
    int control = open_device(S_IFCHR, CONTROL, O_RDWR);
    if (control < 0)
        return -1;
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    close(control);
    return number;
}

/* Another process may take the free number first; then tries the next one. */
static int attach(struct device *device) {
    struct loop_config config = {.fd = image, .block_size = SECTOR};
    config.info.lo_offset = device->start;
    config.info.lo_sizelimit = device->length;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "rackling");
    for (int tries = 0; tries < TRIES; tries++) {
        int number = free_loop();
        int loop = number < 0 ? -1 : open_device(S_IFBLK, makedev(LOOP_MAJOR, number), O_RDWR);
        if (loop >= 0 && !ioctl(loop, LOOP_CONFIGURE, &config)) {
            device->loop = loop;
            device->number = makedev(LOOP_MAJOR, number);
            return 0;
        }
        int problem = errno;
        if (loop >= 0)
            close(loop);
        if (problem != EBUSY)
            return -problem;
    }
    return -EBUSY;
}

static void path_of(int number, char *path, size_t size) {
    snprintf(path, size, number ? NODE_DEV "/" NAME "%d" : NODE_DEV "/" NAME, number);
}

static void show(int number) {
    char path[64];
    mode_t mask = umask(0);
    path_of(number, path, sizeof path);
    unlink(path);
    if (!mknod(path, S_IFBLK | 0660, parts[number].number) && lchown(path, 0, DISK_GROUP))
        perror(path);
    umask(mask);
    sysfs_show(NAME, number, parts[number].number, parts[number].start / SECTOR, parts[number].length / SECTOR);
}

static void hide(int number) {
    char path[64];
    path_of(number, path, sizeof path);
    unlink(path);
    sysfs_hide(NAME, number, parts[number].number);
    close(parts[number].loop);
    parts[number].loop = -1;
}

/* Whether a file system or swap area holds the device. */
static bool in_use(const struct device *device) {
    int found = open_device(S_IFBLK, device->number, O_RDONLY | O_EXCL);
    if (found >= 0)
        close(found);
    return found < 0 && errno == EBUSY;
}

bool disk_is(dev_t number) {
    for (int i = 0; i <= PARTITIONS; i++)
        if (parts[i].loop >= 0 && parts[i].number == number)
            return true;
    return false;
}

static bool overlaps(int number, u64 start, u64 length) {
    for (int i = 1; i <= PARTITIONS; i++)
        if (i != number && parts[i].loop >= 0 && start < parts[i].start + parts[i].length &&
            parts[i].start < start + length)
            return true;
    return false;
}

/* Errors follow Linux, block/ioctl.c, blkpg_do_ioctl. */
int disk_partition_add(int number, u64 start, u64 length) {
    if (number < 1 || number > PARTITIONS || !length || start % SECTOR || length % SECTOR ||
        start + length > parts[0].length)
        return -EINVAL;
    if (parts[number].loop >= 0 || overlaps(number, start, length))
        return -EBUSY;
    parts[number] = (struct device){-1, 0, start, length};
    int problem = attach(&parts[number]);
    if (!problem)
        show(number);
    return problem;
}

int disk_partition_remove(int number) {
    if (number < 1 || number > PARTITIONS || parts[number].loop < 0)
        return -ENXIO;
    if (in_use(&parts[number]))
        return -EBUSY;
    hide(number);
    return 0;
}

int disk_partition_resize(int number, u64 length) {
    struct loop_info64 info;
    if (number < 1 || number > PARTITIONS || parts[number].loop < 0)
        return -ENXIO;
    if (overlaps(number, parts[number].start, length))
        return -EBUSY;
    if (ioctl(parts[number].loop, LOOP_GET_STATUS64, &info))
        return -errno;
    info.lo_sizelimit = length;
    if (ioctl(parts[number].loop, LOOP_SET_STATUS64, &info))
        return -errno;
    parts[number].length = length;
    show(number);
    return 0;
}

/* GUID partition table (UEFI 2.10, section 5.3): the header is in the second sector and points to the entries. */
struct header {
    char signature[8];
    char unused[64];
    u64 entries_at; /* in sectors */
    unsigned entries, entry_size;
} __attribute__((packed));
struct entry {
    char type[16], unique[16];
    u64 first, last; /* sectors, both included */
} __attribute__((packed));

static void read_entries(const struct header *header) {
    static const char none[16];
    struct entry entry;
    for (unsigned i = 0; i < le32toh(header->entries) && i < PARTITIONS; i++) {
        u64 at = le64toh(header->entries_at) * SECTOR + (u64)i * le32toh(header->entry_size);
        if (pread(parts[0].loop, &entry, sizeof entry, at) != sizeof entry || !memcmp(entry.type, none, sizeof none))
            continue;
        u64 first = le64toh(entry.first), last = le64toh(entry.last);
        disk_partition_add(i + 1, first * SECTOR, (last + 1 - first) * SECTOR);
    }
}

int disk_read_table(void) {
    struct header header;
    for (int i = 1; i <= PARTITIONS; i++)
        if (parts[i].loop >= 0 && in_use(&parts[i]))
            return -EBUSY;
    for (int i = 1; i <= PARTITIONS; i++)
        if (parts[i].loop >= 0)
            hide(i);
    ioctl(parts[0].loop, BLKFLSBUF, 0);
    if (pread(parts[0].loop, &header, sizeof header, SECTOR) == sizeof header && !memcmp(header.signature, "EFI PART", 8))
        read_entries(&header);
    return 0;
}

/* Whether a loop device already uses the file: one of an earlier boot whose mounts have not ended. */
static bool still_held(const struct stat *file) {
    struct loop_info64 info;
    char path[300];
    bool found = false;
    DIR *folder = opendir("/sys/block");
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
        snprintf(path, sizeof path, "/sys/block/%s/loop", entry->d_name);
        if (strncmp(entry->d_name, "loop", 4) || access(path, F_OK))
            continue;
        int loop = open_device(S_IFBLK, makedev(LOOP_MAJOR, atoi(entry->d_name + 4)), O_RDONLY);
        found = loop >= 0 && !ioctl(loop, LOOP_GET_STATUS64, &info) && info.lo_inode == file->st_ino &&
                info.lo_device == file->st_dev;
        if (loop >= 0)
            close(loop);
    }
    if (folder)
        closedir(folder);
    return found;
}

static void wait_for(const struct stat *file) {
    struct timespec tenth = {0, 100000000};
    for (int i = 0; i < PATIENCE && still_held(file); i++)
        nanosleep(&tenth, NULL);
}

int disk_plug(const char *file) {
    struct stat info;
    if (parts[0].loop >= 0 || !*file)
        return 0; /* the disk is already plugged in, or the node has none */
    image = open(file, O_RDWR | O_CLOEXEC);
    if (image < 0 || fstat(image, &info))
        return -errno;
    wait_for(&info);
    parts[0] = (struct device){-1, 0, 0, info.st_size};
    int problem = attach(&parts[0]);
    if (problem)
        return problem;
    show(0);
    return disk_read_table();
}

size_t disk_text(char *text, size_t size) {
    size_t length = parts[0].loop < 0 ? 0 : snprintf(text, size, "major minor  #blocks  name\n\n");
    for (int i = 0; i <= PARTITIONS; i++) {
        if (parts[i].loop < 0)
            continue;
        length += snprintf(text + length, size - length, i ? "%4u  %7u %10llu %s%d\n" : "%4u  %7u %10llu %s\n",
                           major(parts[i].number), minor(parts[i].number), parts[i].length >> 10, NAME, i);
    }
    return length;
}
