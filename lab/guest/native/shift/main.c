/* shift BASE PATH...: moves the owners of everything below each path by BASE, into the range of ids that the root of a
 * user namespace has. What is beyond the first 65536 ids stays, so a second run changes nothing. chown(2) takes set-user-ID
 * bits and capabilities from a file; both are put back, capabilities in the form that names the namespace's root
 * (capabilities(7), "File capability extended attribute versioning"). Other mounts are not entered. */
#include <endian.h>
#include <errno.h>
#include <ftw.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define IDS 65536 /* ids of a range */
#define CAPS "security.capability"
#define FOLDERS 64 /* open at a time */

static unsigned base;

static int fail(const char *path) {
    fprintf(stderr, "shift: %s: %s\n", path, strerror(errno));
    return 1;
}

static int give_back(const char *path, const struct stat *info, struct vfs_ns_cap_data *caps, ssize_t size) {
    if (S_ISLNK(info->st_mode))
        return 0;
    if (info->st_mode & (S_ISUID | S_ISGID) && chmod(path, info->st_mode & 07777))
        return fail(path);
    if (size != (ssize_t)sizeof(struct vfs_cap_data))
        return 0; /* none, or of a form that names a root already */
    caps->magic_etc = htole32((le32toh(caps->magic_etc) & ~VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_3);
    caps->rootid = htole32(base);
    return setxattr(path, CAPS, caps, sizeof *caps, 0) ? fail(path) : 0;
}

static int move(const char *path, const struct stat *info, int kind, struct FTW *place) {
    struct vfs_ns_cap_data caps;
    (void)place;
    if (kind == FTW_NS || kind == FTW_DNR)
        return fail(path);
    uid_t owner = info->st_uid < IDS ? info->st_uid + base : info->st_uid;
    gid_t group = info->st_gid < IDS ? info->st_gid + base : info->st_gid;
    if (owner == info->st_uid && group == info->st_gid)
        return 0;
    ssize_t size = S_ISREG(info->st_mode) ? getxattr(path, CAPS, &caps, sizeof caps) : -1;
    if (lchown(path, owner, group))
        return fail(path);
    return give_back(path, info, &caps, size);
}

int main(int words, char **word) {
    base = words > 2 ? (unsigned)strtoul(word[1], NULL, 10) : 0;
    if (base < IDS) {
        fputs("usage: shift BASE PATH...\n", stderr);
        return 2;
    }
    for (int i = 2; i < words; i++)
        if (nftw(word[i], move, FOLDERS, FTW_PHYS | FTW_MOUNT))
            return 1;
    return 0;
}
