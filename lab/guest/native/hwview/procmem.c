/* Access to memory and open files of the process whose system call is being answered. */
#include "hwview.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#define CAP_SYS_ADMIN_BIT 21

int procmem_read(pid_t process, u64 address, void *to, size_t size) {
    struct iovec ours = {to, size}, theirs = {(void *)address, size};
    return process_vm_readv(process, &ours, 1, &theirs, 1, 0) == (ssize_t)size ? 0 : -EFAULT;
}

int procmem_write(pid_t process, u64 address, const void *from, size_t size) {
    struct iovec ours = {(void *)from, size}, theirs = {(void *)address, size};
    return process_vm_writev(process, &ours, 1, &theirs, 1, 0) == (ssize_t)size ? 0 : -EFAULT;
}

int reopen_descriptor(pid_t process, int descriptor, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", process, descriptor);
    int found = open(path, flags | O_CLOEXEC);
    return found < 0 ? -errno : found;
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
