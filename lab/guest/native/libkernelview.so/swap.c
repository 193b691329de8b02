/* swapon(2) and swapoff(2): passes them to hwview, which emulates the node's swap areas. If the device is not part of
 * the node's disk, calls the kernel. */
#include "../swap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ask(const char *path, unsigned long request, long flags) {
    int device = open(path, O_RDONLY | O_CLOEXEC);
    if (device < 0)
        return -1;
    int answer = ioctl(device, request, flags);
    int problem = errno;
    close(device);
    errno = problem;
    return answer;
}

__attribute__((visibility("default"))) int swapon(const char *path, int flags) {
    int answer = ask(path, HWVIEW_SWAPON, flags);
    return answer && errno == ENOTTY ? (int)syscall(SYS_swapon, path, flags) : answer;
}

__attribute__((visibility("default"))) int swapoff(const char *path) {
    int answer = ask(path, HWVIEW_SWAPOFF, 0);
    return answer && errno == ENOTTY ? (int)syscall(SYS_swapoff, path) : answer;
}
