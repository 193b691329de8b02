/* Serves the files that cover the host's in /proc, with the FUSE protocol (linux/fuse.h). The content of a file is
 * generated when it is read from the beginning. */
#include "hwview.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LARGEST 8192
#define REQUEST (FUSE_MIN_READ_BUFFER + 4096)
#define FOREVER 1000000 /* seconds: names and kinds never change */

static struct view {
    const char *name;
    size_t (*write)(char *text, size_t size);
    char text[LARGEST];
    size_t length;
} views[] = {
    {"meminfo", memory_text, "", 0},
    {"swaps", swap_text, "", 0},
    {"partitions", disk_text, "", 0},
};
#define VIEWS (sizeof views / sizeof *views)
#define FIRST (FUSE_ROOT_ID + 1)

int views_mount(const char *folder) {
    char options[96];
    /* Without O_NONBLOCK, a read whose request was withdrawn would wait, and with it every answer to a system call. */
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fuse < 0)
        return -1;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
    if (mount("hwview", folder, "fuse", MS_NOSUID | MS_NODEV | MS_NOEXEC, options)) {
        close(fuse);
        return -1;
    }
    return fuse;
}

static void reply(int fuse, u64 unique, int error, const void *body, size_t size) {
    struct fuse_out_header head = {.len = sizeof head + size, .error = error, .unique = unique};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)body, size}};
    if (writev(fuse, parts, 2) < 0)
        return; /* the reader has gone */
}

static struct fuse_attr attributes(u64 node) {
    bool folder = node == FUSE_ROOT_ID;
    return (struct fuse_attr){.ino = node, .mode = folder ? S_IFDIR | 0555 : S_IFREG | 0444, .nlink = folder ? 2 : 1};
}

static void lookup(int fuse, u64 unique, const char *name) {
    for (size_t i = 0; i < VIEWS; i++) {
        if (strcmp(views[i].name, name))
            continue;
        struct fuse_entry_out entry = {.nodeid = FIRST + i, .entry_valid = FOREVER, .attr_valid = FOREVER};
        entry.attr = attributes(entry.nodeid);
        reply(fuse, unique, 0, &entry, sizeof entry);
        return;
    }
    reply(fuse, unique, -ENOENT, NULL, 0);
}

static void read_view(int fuse, u64 unique, u64 node, const struct fuse_read_in *wanted) {
    struct view *view = &views[node - FIRST];
    if (node < FIRST || node >= FIRST + VIEWS) {
        reply(fuse, unique, -EISDIR, NULL, 0);
        return;
    }
    if (wanted->offset == 0)
        view->length = view->write(view->text, sizeof view->text);
    size_t from = wanted->offset < view->length ? wanted->offset : view->length;
    size_t size = view->length - from < wanted->size ? view->length - from : wanted->size;
    reply(fuse, unique, 0, view->text + from, size);
}

static void start(int fuse, u64 unique, const struct fuse_init_in *theirs) {
    struct fuse_init_out ours = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096};
    if (theirs->minor < ours.minor)
        ours.minor = theirs->minor;
    reply(fuse, unique, 0, &ours, sizeof ours);
}

static void opened(int fuse, u64 unique) {
    struct fuse_open_out found = {.open_flags = FOPEN_DIRECT_IO}; /* bypasses the page cache */
    reply(fuse, unique, 0, &found, sizeof found);
}

void views_answer(int fuse) {
    static char request[REQUEST] __attribute__((aligned(8)));
    ssize_t length = read(fuse, request, sizeof request);
    struct fuse_in_header *head = (struct fuse_in_header *)request;
    void *body = head + 1;
    if (length < (ssize_t)sizeof *head)
        return;
    switch (head->opcode) {
    case FUSE_INIT: start(fuse, head->unique, body); break;
    case FUSE_LOOKUP: lookup(fuse, head->unique, body); break;
    case FUSE_GETATTR: {
        struct fuse_attr_out found = {.attr_valid = FOREVER, .attr = attributes(head->nodeid)};
        reply(fuse, head->unique, 0, &found, sizeof found);
        break;
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: opened(fuse, head->unique); break;
    case FUSE_READ: read_view(fuse, head->unique, head->nodeid, body); break;
    case FUSE_STATFS: {
        struct fuse_statfs_out none = {0}; /* no blocks: df does not list it */
        reply(fuse, head->unique, 0, &none, sizeof none);
        break;
    }
    case FUSE_READDIR:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_FLUSH: reply(fuse, head->unique, 0, NULL, 0); break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: break; /* these requests have no reply */
    default: reply(fuse, head->unique, -ENOSYS, NULL, 0);
    }
}
