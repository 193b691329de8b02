/* hwview serve MEMORY-MIB PROCESSORS BOOT-OFFSET DISK-FILE
 *                                      emulates a node's hardware for its processes, during one boot
 * hwview guest COMMAND [ARGUMENT...]    runs a command as one of these processes
 * hwview needs CAP_SYS_ADMIN, and CAP_SYS_PTRACE to write answers into the memory of other users' processes. It runs
 * in the chassis, outside the node; COMMAND and the processes that it starts belong to the node. */
#include "hwview.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET "/run/chassis/hwview"
#define VIEWS_FOLDER "/run/chassis/views"
#define PLUG "/run/chassis/node/plug" /* a FIFO; a line plugs in the disk */
#define LISTENERS 256

static struct sockaddr_un socket_address(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, SOCKET);
    return address;
}

static int fail(const char *what) {
    fprintf(stderr, "hwview: %s: %s\n", what, strerror(errno));
    return 1;
}

/* A descriptor is sent together with one byte (unix(7), SCM_RIGHTS). */
union rights {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
};

static int send_descriptor(int connection, int descriptor) {
    char byte = 0;
    struct iovec part = {&byte, 1};
    union rights rights = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&rights.head), &descriptor, sizeof descriptor);
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    return sendmsg(connection, &message, 0) == 1 ? 0 : -1;
}

static int receive_descriptor(int connection) {
    char byte;
    int found = -1;
    struct iovec part = {&byte, 1};
    union rights rights;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
        memcpy(&found, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof found);
    return found;
}

static int guest(char **command) {
    struct sockaddr_un address = socket_address();
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address))
        return fail(SOCKET);
    int listener = calls_filter();
    if (listener < 0 || send_descriptor(connection, listener))
        return fail("filter");
    close(listener);
    close(connection);
    execvp(*command, command);
    return fail(*command);
}

static int listening(void) {
    struct sockaddr_un address = socket_address();
    int found = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(SOCKET);
    umask(077);
    if (found < 0 || bind(found, (struct sockaddr *)&address, sizeof address) || listen(found, 64))
        return -1;
    return found;
}

enum { FUSE, SERVER, PLUGS, FIXED }; /* then the listeners */
static struct pollfd waiting[FIXED + LISTENERS];
static size_t count = FIXED;

/* The boot agent, which writes the line, only waits until the device appears; so an error is only printed here. */
static void plug(int plugs, const char *file) {
    char line[64];
    int problem = read(plugs, line, sizeof line) > 0 ? disk_plug(file) : 0;
    if (problem)
        fprintf(stderr, "hwview: %s: %s\r\n", file, strerror(-problem));
}

static int plugs(void) {
    unlink(PLUG);
    return mkfifo(PLUG, 0600) ? -1 : open(PLUG, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static void admit(int server) {
    int connection = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    int listener = connection < 0 ? -1 : receive_descriptor(connection);
    if (connection >= 0)
        close(connection);
    if (listener < 0)
        return;
    if (count == FIXED + LISTENERS) {
        close(listener); /* filtered calls of its processes then fail with ENOSYS */
        return;
    }
    waiting[count++] = (struct pollfd){listener, POLLIN, 0};
}

static void serve_once(const struct node *node) {
    if (poll(waiting, count, -1) < 0)
        return;
    if (waiting[FUSE].revents)
        views_answer(waiting[FUSE].fd);
    if (waiting[PLUGS].revents)
        plug(waiting[PLUGS].fd, node->disk);
    for (size_t i = count - 1; i >= FIXED; i--) {
        if (waiting[i].revents & POLLIN)
            calls_answer(waiting[i].fd, node);
        else if (waiting[i].revents) { /* the last process under this filter has ended */
            close(waiting[i].fd);
            waiting[i] = waiting[--count];
        }
    }
    if (waiting[SERVER].revents)
        admit(waiting[SERVER].fd);
}

static int serve(const struct node *node) {
    memory_of(node->memory);
    mkdir(VIEWS_FOLDER, 0755);
    int fuse = views_mount(VIEWS_FOLDER);
    if (fuse < 0)
        return fail(VIEWS_FOLDER);
    int slot = plugs();
    if (slot < 0)
        return fail(PLUG);
    int server = listening(); /* last, because the firmware takes the socket as the sign that hwview is ready */
    if (server < 0)
        return fail(SOCKET);
    const int fixed[] = {[FUSE] = fuse, [SERVER] = server, [PLUGS] = slot};
    for (size_t i = 0; i < FIXED; i++)
        waiting[i] = (struct pollfd){fixed[i], POLLIN, 0};
    for (;;)
        serve_once(node);
}

int main(int words, char **word) {
    if (words == 6 && !strcmp(word[1], "serve"))
        return serve(&(struct node){strtoull(word[2], NULL, 10) * MIB, atoi(word[3]), atol(word[4]), word[5]});
    if (words >= 3 && !strcmp(word[1], "guest"))
        return guest(word + 2);
    fputs("usage: hwview serve MEMORY-MIB PROCESSORS BOOT-OFFSET DISK-FILE | hwview guest COMMAND [ARGUMENT...]\n", stderr);
    return 2;
}
