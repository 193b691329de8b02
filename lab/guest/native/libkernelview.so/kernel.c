/* Library that /etc/ld.so.preload loads into every program of a node. Containers share the host's kernel; the library
 * makes programs see the kernel that the node booted (chassis/kernel.sh).
 *   uname(2)                            returns its release and version
 *   init_module(2), delete_module(2)    record modules, which /proc/modules and /sys/module then show
 *   socket(2), {g,s}etsockopt(2)        fail for netfilter unless its modules are loaded; a request loads them, as Linux
 * hwview cannot do this: Docker's seccomp profile refuses these calls before another filter can handle them. */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER "/usr/lib/rackling/kernel/"
#define STATE "/run/.kernel/" /* the same folder, where units with ProtectSystem= and PrivateDevices= may write */
enum { MAX_MODULES = 512, NAME = 64, USED_BY = 1024, LINE = 1200 };
enum { XT_FIRST = 64, XT_LAST = 67 }; /* IPT_SO_… (linux/netfilter_ipv4/ip_tables.h) */

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int refuse(int error) {
    errno = error;
    return -1;
}

/* Reads one of the library's files; returns its length, or -1. Does not change the program's errno. */
static ssize_t content(const char *path, char *to, size_t size) {
    int error = errno;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = -1;
    if (fd >= 0) {
        length = read(fd, to, size - 1);
        close(fd);
    }
    errno = error;
    to[length < 0 ? 0 : length] = 0;
    return length;
}

static int line(const char *path, char *to, size_t size) {
    if (content(path, to, size) <= 0) return 0;
    to[strcspn(to, "\n")] = 0;
    return 1;
}

static int emulated(void) {
    int error = errno;
    int found = access(FOLDER "release", 0) == 0;
    errno = error;
    return found;
}

/* ---- uname(2) */

int uname(struct utsname *to) {
    REAL(uname);
    int status = real(to);
    char text[65];
    if (status == 0 && line(FOLDER "release", text, sizeof text)) memcpy(to->release, text, sizeof text);
    if (status == 0 && line(FOLDER "version", text, sizeof text)) memcpy(to->version, text, sizeof text);
    return status;
}

/* ---- modules: the file `modules` is /proc/modules, newest first; the folder `module` is /sys/module */

struct module { char name[NAME], used_by[USED_BY]; unsigned long size; int users; };
struct modules { struct module list[MAX_MODULES]; int count, fd; char text[MAX_MODULES * 256]; };

/* A line of /proc/modules: name, size, number of users, their names with commas, or a dash. */
static bool read_row(char *row, struct module *to) {
    char *rest, *name = strtok_r(row, " ", &rest), *size = strtok_r(0, " ", &rest);
    char *users = strtok_r(0, " ", &rest), *used_by = strtok_r(0, " ", &rest);
    if (!used_by) return false;
    snprintf(to->name, sizeof to->name, "%s", name);
    snprintf(to->used_by, sizeof to->used_by, "%s", strcmp(used_by, "-") ? used_by : "");
    to->size = (unsigned long)atol(size);
    to->users = atoi(users);
    return true;
}

static struct modules *opened(void) {
    struct modules *all = malloc(sizeof *all);
    char *rest, *one;
    ssize_t length;
    if (!all) return 0;
    all->fd = open(STATE "modules", O_RDWR | O_CLOEXEC);
    if (all->fd < 0) { free(all); return 0; }
    flock(all->fd, LOCK_EX);
    length = pread(all->fd, all->text, sizeof all->text - 1, 0);
    all->text[length < 0 ? 0 : length] = 0;
    all->count = 0;
    for (one = strtok_r(all->text, "\n", &rest); one && all->count < MAX_MODULES; one = strtok_r(0, "\n", &rest))
        if (read_row(one, &all->list[all->count])) all->count++;
    return all;
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
    if (fd < 0) return;
    pwrite(fd, text, strlen(text), 0);
    close(fd);
}

static void attribute(const char *name, const char *key, unsigned long value) {
    char path[256], text[32];
    snprintf(path, sizeof path, STATE "module/%s/%s", name, key);
    snprintf(text, sizeof text, "%lu\n", value);
    put(path, text);
}

static void holder(const char *name, const char *by, int add) {
    char path[256];
    snprintf(path, sizeof path, STATE "module/%s/holders/%s", name, by);
    if (add) mkdir(path, 0755);
    else rmdir(path);
}

static void closed(struct modules *all) {
    size_t length = 0;
    int i;
    for (i = 0; i < all->count && length < sizeof all->text - 1200; i++) {
        struct module *this = &all->list[i];
        length += snprintf(all->text + length, sizeof all->text - length, "%s %lu %d %s Live 0x0000000000000000\n",
                           this->name, this->size, this->users, this->used_by[0] ? this->used_by : "-");
    }
    pwrite(all->fd, all->text, length, 0);
    ftruncate(all->fd, length);
    close(all->fd);
    free(all);
}

static struct module *named(struct modules *all, const char *name) {
    int i;
    for (i = 0; i < all->count; i++)
        if (!strcmp(all->list[i].name, name)) return &all->list[i];
    return 0;
}

static int loaded(const char *name) {
    char path[256];
    int error = errno, found;
    snprintf(path, sizeof path, FOLDER "module/%s/initstate", name);
    found = access(path, 0) == 0;
    errno = error;
    return found;
}

/* Properties of a module file: `key=value` strings in its section .modinfo (elf(5)). */
struct facts { char name[NAME], depends[USED_BY], vermagic[128]; unsigned long size; };

static void fact(const char *text, const char *key, char *to, size_t size) {
    if (!strncmp(text, key, strlen(key))) snprintf(to, size, "%s", text + strlen(key));
}

static bool read_facts(const unsigned char *image, size_t length, struct facts *to) {
    const Elf64_Ehdr *head = (const void *)image;
    memset(to, 0, sizeof *to);
    if (length < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG)) return false;
    if (head->e_shoff > length || head->e_shnum * sizeof(Elf64_Shdr) > length - head->e_shoff) return false;
    if (head->e_shstrndx >= head->e_shnum) return false;
    const Elf64_Shdr *sections = (const void *)(image + head->e_shoff);
    size_t names = sections[head->e_shstrndx].sh_offset;
    for (int i = 0; i < head->e_shnum; i++) {
        size_t at = sections[i].sh_offset, size = sections[i].sh_size, name = names + sections[i].sh_name;
        if (sections[i].sh_flags & SHF_ALLOC) to->size += size;
        if (name + sizeof ".modinfo" > length || strcmp((const char *)image + name, ".modinfo")) continue;
        if (at > length || size > length - at || !size || image[at + size - 1]) return false;
        for (const char *text = (const char *)image + at; text < (const char *)image + at + size; text += strlen(text) + 1) {
            fact(text, "name=", to->name, sizeof to->name);
            fact(text, "depends=", to->depends, sizeof to->depends);
            fact(text, "vermagic=", to->vermagic, sizeof to->vermagic);
        }
    }
    return to->name[0] != 0;
}

static int insert(const void *image, unsigned long length) {
    struct facts facts;
    struct modules *all;
    struct module *other, *new;
    char release[65], depends[USED_BY], *rest, *one;
    char path[256];
    int error = 0, i;
    if (geteuid() != 0) return refuse(EPERM);
    if (!read_facts(image, length, &facts) || !line(FOLDER "release", release, sizeof release)) return refuse(ENOEXEC);
    facts.vermagic[strcspn(facts.vermagic, " ")] = 0;
    if (strcmp(facts.vermagic, release)) return refuse(ENOEXEC);
    if (!(all = opened())) return refuse(EPERM);
    if (named(all, facts.name)) error = EEXIST;
    else if (all->count == MAX_MODULES) error = ENOMEM;
    snprintf(depends, sizeof depends, "%s", facts.depends);
    for (one = strtok_r(depends, ",", &rest); one && !error; one = strtok_r(0, ",", &rest))
        if (!named(all, one)) error = ENOENT;   /* a dependency is missing: its symbols are unknown */
    if (error) { closed(all); return refuse(error); }
    for (one = strtok_r(facts.depends, ",", &rest); one; one = strtok_r(0, ",", &rest)) {
        char used_by[NAME + USED_BY + 1];
        other = named(all, one);
        snprintf(used_by, sizeof used_by, "%s,%s", facts.name, other->used_by);
        memcpy(other->used_by, used_by, sizeof other->used_by - 1);
        attribute(one, "refcnt", (unsigned long)++other->users);
        holder(one, facts.name, 1);
    }
    for (i = all->count++; i > 0; i--) memcpy(&all->list[i], &all->list[i - 1], sizeof all->list[0]);
    new = &all->list[0];
    memset(new, 0, sizeof *new);
    memcpy(new->name, facts.name, sizeof facts.name);
    new->size = (facts.size + 4095) / 4096 * 4096;
    snprintf(path, sizeof path, STATE "module/%s", facts.name);
    mkdir(path, 0755);
    snprintf(path, sizeof path, STATE "module/%s/holders", facts.name);
    mkdir(path, 0755);
    attribute(facts.name, "coresize", new->size);
    attribute(facts.name, "refcnt", 0);
    snprintf(path, sizeof path, STATE "module/%s/initstate", facts.name);
    put(path, "live\n");
    closed(all);
    return 0;
}

int init_module(void *image, unsigned long length, const char *arguments);
int delete_module(const char *name, unsigned flags);

int init_module(void *image, unsigned long length, const char *arguments) {
    REAL(init_module);
    return emulated() ? insert(image, length) : real(image, length, arguments);
}

static int insert_file(int fd) {
    enum { MOST = 64 << 20 };
    void *image = malloc(MOST);
    ssize_t length = image ? pread(fd, image, MOST, 0) : -1;
    int status = length < 0 ? refuse(ENOEXEC) : insert(image, length);
    free(image);
    return status;
}

/* kmod calls finit_module(2) with syscall(2). */
long syscall(long number, ...) {
    REAL(syscall);
    long word[6];
    va_list words;
    va_start(words, number);
    for (int i = 0; i < 6; i++) word[i] = va_arg(words, long);
    va_end(words);
    if (number == SYS_finit_module && emulated()) return insert_file((int)word[0]);
    return real(number, word[0], word[1], word[2], word[3], word[4], word[5]);
}

static void forget(const char *used_by, const char *name, char *to, size_t size) {
    char text[USED_BY], *rest, *one;
    size_t length = 0;
    snprintf(text, sizeof text, "%s", used_by);
    to[0] = 0;
    for (one = strtok_r(text, ",", &rest); one; one = strtok_r(0, ",", &rest))
        if (strcmp(one, name)) length += snprintf(to + length, size - length, "%s,", one);
}

static void withdraw(struct modules *all, const char *name) {
    static const char *files[] = {"initstate", "coresize", "refcnt"};
    char path[256], used_by[USED_BY];
    int i, kept = 0;
    for (i = 0; i < all->count; i++) {
        struct module *this = &all->list[i];
        if (!strcmp(this->name, name)) continue;
        forget(this->used_by, name, used_by, sizeof used_by);
        if (strcmp(used_by, this->used_by)) {
            memcpy(this->used_by, used_by, sizeof used_by);
            attribute(this->name, "refcnt", --this->users);
            holder(this->name, name, 0);
        }
        if (kept++ != i) memcpy(&all->list[kept - 1], this, sizeof *this);
    }
    all->count = kept;
    for (i = 0; i < 3; i++) {
        snprintf(path, sizeof path, STATE "module/%s/%s", name, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, STATE "module/%s/holders", name);
    rmdir(path);
    snprintf(path, sizeof path, STATE "module/%s", name);
    rmdir(path);
}

int delete_module(const char *name, unsigned flags) {
    REAL(delete_module);
    struct modules *all;
    struct module *this;
    char copy[NAME];
    int error = 0;
    if (!emulated()) return real(name, flags);
    if (geteuid() != 0 || !(all = opened())) return refuse(EPERM);
    snprintf(copy, sizeof copy, "%s", name);
    this = named(all, copy);
    if (!this) error = ENOENT;
    else if (this->users) error = EAGAIN;
    else withdraw(all, copy);
    closed(all);
    return error ? refuse(error) : 0;
}

/* ---- netfilter: nft uses nfnetlink, older programs use ip_tables */

/* The kernel runs modprobe when a program needs a module that is not loaded (kernel/module/kmod.c, request_module). */
static void request(char *alias, char *second) {
    char *arguments[] = {"/sbin/modprobe", "-q", "-a", "--", alias, second, 0};
    char *environment[] = {"HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", 0};
    int error = errno, pid;
    if (geteuid() == 0 && posix_spawn(&pid, arguments[0], 0, 0, arguments, environment) == 0) waitpid(pid, 0, 0);
    errno = error;
}

static int has_nftables(void) {
    if (loaded("nfnetlink") && loaded("nf_tables")) return 1;
    request("net-pf-16-proto-12", "nfnetlink-subsys-10");
    return loaded("nfnetlink") && loaded("nf_tables");
}

int socket(int domain, int type, int protocol) {
    REAL(socket);
    if (domain == AF_NETLINK && protocol == NETLINK_NETFILTER && emulated() && !has_nftables())
        return refuse(EPROTONOSUPPORT);
    return real(domain, type, protocol);
}

static int lacks_iptables(int level, int option) {
    if (level != IPPROTO_IP || option < XT_FIRST || option > XT_LAST || !emulated() || loaded("ip_tables")) return 0;
    request("ip_tables", 0);
    return !loaded("ip_tables");
}

int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict size) {
    REAL(getsockopt);
    return lacks_iptables(level, option) ? refuse(ENOPROTOOPT) : real(fd, level, option, value, size);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t size) {
    REAL(setsockopt);
    return lacks_iptables(level, option) ? refuse(ENOPROTOOPT) : real(fd, level, option, value, size);
}
