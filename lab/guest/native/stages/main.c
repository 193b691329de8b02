/* stages CHASSIS PROC: prints the boot stage of each chassis, one line per node: NODE NOW STAGE SINCE DETAIL...
 * CHASSIS is a folder with a file for each node that holds the process number of its chassis; PROC is /proc.
 *
 * Root in a node may make anything of the stage's file, and this program sees the host's files. So no link is followed,
 * no mount below the chassis's /run is entered, nothing but a plain file is opened, and no more than a line is read. A
 * file system of the node's may keep a reader waiting for ever, where not even SIGKILL ends it (fuse(4)): each file has
 * a process of its own, and nobody waits for one that is late. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE 200 /* bytes of a stage */
#define NODES 512
#define PATIENCE 2000 /* milliseconds, for all files together */

struct reader {
    char node[NAME_MAX + 1];
    pid_t process;
    int answer;
};

/* The number of the mount that a descriptor lies on; asks the kernel alone, and no file system (proc(5), fdinfo). */
static long mount_of(int descriptor) {
    char path[64], line[256];
    long found = -1;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", descriptor);
    FILE *info = fopen(path, "re");
    while (info && found < 0 && fgets(line, sizeof line, info)) sscanf(line, "mnt_id: %ld", &found);
    if (info) fclose(info);
    return found;
}

/* Opens a name in a folder for looking only; -1 if there is none, or if it lies on another mount. */
static int step(int folder, const char *name, int flags) {
    int found = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | flags);
    if (found < 0) return -1;
    long here = mount_of(folder);
    if (here >= 0 && mount_of(found) == here) return found;
    errno = EXDEV;
    return -1;
}

/* Writes a stage's line to a pipe, "off" where there is no such file, else what is wrong with it. */
static void read_stage(const char *root, int answer) {
    char place[64], line[LINE];
    struct stat about;
    ssize_t size = -1;
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) folder = openat(folder, "run", O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC); /* a tmpfs */
    if (folder >= 0) folder = step(folder, "chassis", O_DIRECTORY);
    int inner = folder < 0 ? -1 : step(folder, "node", O_DIRECTORY);
    if (inner < 0 && folder >= 0 && errno == ENOENT) inner = folder; /* a chassis from before it had this folder */
    int file = inner < 0 ? -1 : step(inner, "stage", 0);
    if (file < 0) {
        if (errno == ENOENT || errno == ESRCH) dprintf(answer, "off %ld", (long)time(NULL));
        else dprintf(answer, "unreadable %ld cannot be reached: %s", (long)time(NULL), strerror(errno));
        return;
    }
    if (fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
        snprintf(place, sizeof place, "/proc/self/fd/%d", file);
        int data = open(place, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        size = data < 0 ? -1 : read(data, line, sizeof line);
    }
    if (size < 0) dprintf(answer, "unreadable %ld its stage is no plain file", (long)time(NULL));
    else if (write(answer, line, size) < 0) _exit(1);
}

static int start(struct reader *reader, const char *chassis, const char *proc) {
    char path[PATH_MAX], root[PATH_MAX];
    long pid = 0;
    int ends[2];
    snprintf(path, sizeof path, "%s/%s", chassis, reader->node);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    int known = fscanf(file, "%ld", &pid) == 1;
    fclose(file);
    if (!known || pid <= 0 || pipe2(ends, O_CLOEXEC) < 0) return 0;
    snprintf(root, sizeof root, "%s/%ld/root", proc, pid);
    reader->process = fork();
    if (reader->process == 0) {
        for (int number = 0; number < 3; number++) close(number); /* a late one must hold nobody's output open */
        read_stage(root, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    reader->answer = ends[0];
    return reader->process > 0;
}

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Prints what a reader found: its first line, with a question mark for each control character. */
static void finish(struct reader *reader, long deadline) {
    char line[2 * LINE];
    size_t size = 0;
    ssize_t more = -1;
    struct pollfd wait = {.fd = reader->answer, .events = POLLIN};
    long left = deadline - now_ms();
    while (size < sizeof line - 1 && poll(&wait, 1, left > 0 ? left : 0) > 0) {
        more = read(reader->answer, line + size, sizeof line - 1 - size);
        if (more <= 0) break;
        size += more;
        left = deadline - now_ms();
    }
    if (more != 0) {
        kill(reader->process, SIGKILL);
        size = snprintf(line, sizeof line, "unreadable %ld its file system does not answer", (long)time(NULL));
    }
    for (size_t at = 0; at < size; at++) {
        unsigned char byte = line[at];
        if (byte == '\n') size = at;
        else if (byte < ' ' || byte == 127) line[at] = '?';
    }
    printf("%s %ld %.*s\n", reader->node, (long)time(NULL), (int)size, line);
}

int main(int count, char **words) {
    static struct reader readers[NODES];
    int known = 0;
    if (count != 3) {
        fprintf(stderr, "usage: stages CHASSIS PROC\n");
        return 2;
    }
    DIR *folder = opendir(words[1]);
    for (struct dirent *entry; folder && known < NODES && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        strcpy(readers[known].node, entry->d_name);
        if (start(&readers[known], words[1], words[2])) known++;
    }
    long deadline = now_ms() + PATIENCE;
    for (int at = 0; at < known; at++) finish(&readers[at], deadline);
    return 0;
}
