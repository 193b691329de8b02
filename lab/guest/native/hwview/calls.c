/* Answers system calls whose result depends on the node's hardware. A seccomp filter on all processes of the node
 * passes these calls to hwview (seccomp_unotify(2)); the kernel executes all others. */
#include "hwview.h"
#include "../swap.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/blkpg.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#if defined __x86_64__
#define MACHINE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define MACHINE AUDIT_ARCH_AARCH64
#else
#error "define MACHINE as AUDIT_ARCH_... of this architecture"
#endif

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define WHEN(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define GIVE(what) BPF_STMT(BPF_RET | BPF_K, what)

int calls_filter(void) {
    struct sock_filter code[] = {
        LOAD(arch), WHEN(MACHINE, 0, 9), /* else: allow */
        LOAD(nr),
        WHEN(SYS_sysinfo, 8, 0), WHEN(SYS_sched_getaffinity, 7, 0), WHEN(SYS_ioctl, 0, 5),
        LOAD(args[1]), WHEN(BLKPG, 4, 0), WHEN(BLKRRPART, 3, 0), WHEN(HWVIEW_SWAPON, 2, 0), WHEN(HWVIEW_SWAPOFF, 1, 0),
        GIVE(SECCOMP_RET_ALLOW), GIVE(SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* Memory, swap and uptime are the node's; load and number of processes are the host's, as in /proc/loadavg. */
static int answer_sysinfo(const struct seccomp_notif *call, long boot_offset) {
    struct sysinfo found;
    struct timespec up;
    struct memory memory = memory_now();
    if (sysinfo(&found) || clock_gettime(CLOCK_BOOTTIME, &up))
        return -errno;
    found.uptime = up.tv_sec + boot_offset + (up.tv_nsec ? 1 : 0); /* kernel/sys.c, do_sysinfo */
    found.totalram = memory.total;
    found.freeram = memory.free;
    found.sharedram = memory.shared;
    found.bufferram = 0;
    found.totalswap = found.freeswap = memory.swap;
    found.totalhigh = found.freehigh = 0;
    found.mem_unit = 1;
    return procmem_write(call->pid, call->data.args[0], &found, sizeof found);
}

/* The engine limits a node's processor time but lets it run on every processor of the host, so the kernel would return
 * all of them. A process that has set its own affinity, or asks about another process, gets the kernel's answer. */
static bool answer_affinity(const struct seccomp_notif *call, struct seccomp_notif_resp *reply, int processors) {
    cpu_set_t chosen, own;
    size_t size = (processors + 63) / 64 * 8;
    if (call->data.args[0] || call->data.args[1] < size || sched_getaffinity(call->pid, sizeof chosen, &chosen) ||
        CPU_COUNT(&chosen) <= processors)
        return false;
    CPU_ZERO(&own);
    for (int i = 0; i < processors; i++)
        CPU_SET(i, &own);
    reply->error = procmem_write(call->pid, call->data.args[2], &own, size);
    reply->val = reply->error ? 0 : size;
    return true;
}

static bool is_node_disk(const struct seccomp_notif *call) {
    char path[64];
    struct stat info;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", call->pid, (int)call->data.args[0]);
    return !stat(path, &info) && S_ISBLK(info.st_mode) && disk_is(info.st_rdev);
}

static int answer_blkpg(const struct seccomp_notif *call) {
    struct blkpg_ioctl_arg what;
    struct blkpg_partition part;
    if (procmem_read(call->pid, call->data.args[2], &what, sizeof what) ||
        procmem_read(call->pid, (u64)what.data, &part, sizeof part))
        return -EFAULT;
    switch (what.op) {
    case BLKPG_ADD_PARTITION: return disk_partition_add(part.pno, part.start, part.length);
    case BLKPG_DEL_PARTITION: return disk_partition_remove(part.pno);
    case BLKPG_RESIZE_PARTITION: return disk_partition_resize(part.pno, part.length);
    default: return -EINVAL;
    }
}

static int answer_ioctl(const struct seccomp_notif *call) {
    if (!may_administer(call->pid))
        return -EACCES;
    switch ((unsigned)call->data.args[1]) {
    case BLKPG: return answer_blkpg(call);
    case BLKRRPART: return disk_read_table();
    case HWVIEW_SWAPON: return swap_on(call->pid, (int)call->data.args[0], (int)call->data.args[2]);
    default: return swap_off(call->pid, (int)call->data.args[0]);
    }
}

static bool answered(const struct seccomp_notif *call, struct seccomp_notif_resp *reply, const struct node *node) {
    switch (call->data.nr) {
    case SYS_sysinfo: reply->error = answer_sysinfo(call, node->boot_offset); return true;
    case SYS_sched_getaffinity: return answer_affinity(call, reply, node->processors);
    default:
        if (!is_node_disk(call))
            return false;
        reply->error = answer_ioctl(call);
        return true;
    }
}

void calls_answer(int listener, const struct node *node) {
    struct seccomp_notif call;
    memset(&call, 0, sizeof call);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
        return; /* the caller has been killed */
    struct seccomp_notif_resp reply = {.id = call.id};
    if (!answered(&call, &reply, node))
        reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE; /* let the kernel execute it */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}
