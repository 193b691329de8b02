/* Provides /proc/modules if the host's kernel has no such file: a bind mount needs an existing file. Opening it opens
 * the list that libkernelview.so keeps. Nodes load this library only on such hosts. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define LIST "/usr/lib/rackling/kernel/modules"

/* Whether a failed call should be repeated with the path of the list. */
static bool missing(const char *path) {
    return path && errno == ENOENT && !strcmp(path, "/proc/modules");
}

/* Programs call open(2) by many names. Each of these takes three or four machine words, whatever its prototype is. */
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
