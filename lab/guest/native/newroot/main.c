/* newroot FOLDER COMMAND [ARGUMENT...]: makes a mounted folder the root of this mount namespace, takes the old root out of
 * the namespace, and runs the command. chroot(2) would leave the old root below the new one, where root reaches it by
 * unmounting "/" and entering its own namespace anew. With "." for both arguments, pivot_root(2) puts the old root on top
 * of the new one, from where it can be unmounted ("pivot_root(".", ".")" in its manual page). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what) {
    fprintf(stderr, "newroot: %s: %s\n", what, strerror(errno));
    return 64; /* the firmware waits, then powers the node on again */
}

int main(int words, char **word) {
    if (words < 3) {
        fputs("usage: newroot FOLDER COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    if (chdir(word[1]))
        return fail(word[1]);
    if (syscall(SYS_pivot_root, ".", "."))
        return fail("pivot_root");
    if (umount2(".", MNT_DETACH) || chdir("/"))
        return fail("umount");
    execvp(word[2], word + 2);
    return fail(word[2]);
}
