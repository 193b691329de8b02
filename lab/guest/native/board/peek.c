/* Memory and files of the process whose system call is being answered. */
#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define CAP_SYS_ADMIN_BIT 21

int peek_bytes(pid_t process, u64 address, void *to, size_t size) {
    struct iovec ours = {to, size}, theirs = {(void *)address, size};
    return process_vm_readv(process, &ours, 1, &theirs, 1, 0) == (ssize_t)size ? 0 : -EFAULT;
}

int poke_bytes(pid_t process, u64 address, const void *from, size_t size) {
    struct iovec ours = {(void *)from, size}, theirs = {(void *)address, size};
    return process_vm_writev(process, &ours, 1, &theirs, 1, 0) == (ssize_t)size ? 0 : -EFAULT;
}

/* Page by page, as what follows the string's page need not be there. */
int peek_string(pid_t process, u64 address, char *to, size_t size) {
    for (size_t done = 0; done < size;) {
        size_t step = PAGE - (address + done) % PAGE;
        if (step > size - done)
            step = size - done;
        if (peek_bytes(process, address + done, to + done, step))
            return -EFAULT;
        if (memchr(to + done, 0, step))
            return 0;
        done += step;
    }
    return -ENAMETOOLONG;
}

int open_as(pid_t process, const char *path, int flags) {
    char place[64];
    snprintf(place, sizeof place, "/proc/%d/%s", process, *path == '/' ? "root" : "cwd");
    int folder = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    struct open_how how = {.flags = flags | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT};
    int found = syscall(SYS_openat2, folder, path, &how, sizeof how);
    int problem = errno;
    close(folder);
    return found < 0 ? -problem : found;
}

bool may_administer(pid_t process) {
    char path[64], line[128];
    u64 rights = 0;
    snprintf(path, sizeof path, "/proc/%d/status", process);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "CapEff: %llx", &rights) == 1)
            break;
    fclose(file);
    return rights >> CAP_SYS_ADMIN_BIT & 1;
}
