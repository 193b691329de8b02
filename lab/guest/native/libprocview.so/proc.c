/* /proc/modules for nodes of a host whose kernel has no such file: a name that procfs lacks cannot be mounted
 * over. Opening it opens the list that libkernelview.so keeps. Given to a node's programs only where it is needed. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define LIST "/usr/lib/rackling/kernel/modules"

/* Whether a call that failed is worth another try with the list's own path. */
static bool missing(const char *path) {
    return path && errno == ENOENT && !strcmp(path, "/proc/modules");
}

/* Programs reach open(2) by many names; each of these takes three or four words, whatever its header says. */
#define OPEN(name)                                                                            \
    int name(const char *path, int flags, unsigned mode);                                     \
    int name(const char *path, int flags, unsigned mode) {                                    \
        __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);                  \
        int fd = real(path, flags, mode);                                                     \
        return fd < 0 && missing(path) ? real(LIST, flags, mode) : fd;                        \
    }

#define OPENAT(name)                                                                          \
    int name(int at, const char *path, int flags, unsigned mode);                             \
    int name(int at, const char *path, int flags, unsigned mode) {                            \
        __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);                  \
        int fd = real(at, path, flags, mode);                                                 \
        return fd < 0 && missing(path) ? real(at, LIST, flags, mode) : fd;                    \
    }

#define FOPEN(name)                                                                           \
    void *name(const char *path, const char *mode);                                           \
    void *name(const char *path, const char *mode) {                                          \
        __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);                  \
        void *file = real(path, mode);                                                        \
        return !file && missing(path) ? real(LIST, mode) : file;                              \
    }

OPEN(open)
OPEN(open64)
OPEN(__open_2)
OPEN(__open64_2)
OPENAT(openat)
OPENAT(openat64)
OPENAT(__openat_2)
OPENAT(__openat64_2)
FOPEN(fopen)
FOPEN(fopen64)
