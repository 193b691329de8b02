/* The node's total and used memory, as the kernel counts it for the container's cgroup: v2 (memory.current,
 * memory.stat) or v1 (memory.usage_in_bytes, total_* in memory.stat). */
#include "hwview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define V2 "/cgroup"
#define V1 "/sys/fs/cgroup/memory"

static u64 limit;

static size_t read_all(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, size - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = 0;
    return length;
}

/* The number in the line that begins with `name`. */
static u64 counter(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, name, length) && line[length] == ' ')
            return strtoull(line + length, NULL, 10);
    return 0;
}

struct counters {
    u64 used, file, shared, anonymous, active_file, inactive_file, active_anon, inactive_anon;
    u64 mapped, dirty, writeback, unevictable, reclaimable, slab, stacks, tables;
};

static struct counters count_v2(const char *used, const char *stat) {
    return (struct counters){
        .used = strtoull(used, NULL, 10),
        .file = counter(stat, "file"),
        .shared = counter(stat, "shmem"),
        .anonymous = counter(stat, "anon"),
        .active_file = counter(stat, "active_file"),
        .inactive_file = counter(stat, "inactive_file"),
        .active_anon = counter(stat, "active_anon"),
        .inactive_anon = counter(stat, "inactive_anon"),
        .mapped = counter(stat, "file_mapped"),
        .dirty = counter(stat, "file_dirty"),
        .writeback = counter(stat, "file_writeback"),
        .unevictable = counter(stat, "unevictable"),
        .reclaimable = counter(stat, "slab_reclaimable"),
        .slab = counter(stat, "slab_reclaimable") + counter(stat, "slab_unreclaimable"),
        .stacks = counter(stat, "kernel_stack"),
        .tables = counter(stat, "pagetables"),
    };
}

static struct counters count_v1(const char *used, const char *stat) {
    struct counters found = {
        .used = strtoull(used, NULL, 10),
        .file = counter(stat, "total_cache"),
        .shared = counter(stat, "total_shmem"),
        .anonymous = counter(stat, "total_rss"),
        .active_file = counter(stat, "total_active_file"),
        .inactive_file = counter(stat, "total_inactive_file"),
        .active_anon = counter(stat, "total_active_anon"),
        .inactive_anon = counter(stat, "total_inactive_anon"),
        .mapped = counter(stat, "total_mapped_file"),
        .dirty = counter(stat, "total_dirty"),
        .writeback = counter(stat, "total_writeback"),
        .unevictable = counter(stat, "total_unevictable"),
    };
    u64 known = found.file + found.anonymous;
    found.slab = found.used > known ? found.used - known : 0; /* v1 does not count the kernel's memory separately */
    return found;
}

static struct counters count(void) {
    char used[64], stat[8192];
    if (read_all(V2 "/memory.current", used, sizeof used)) {
        read_all(V2 "/memory.stat", stat, sizeof stat);
        return count_v2(used, stat);
    }
    read_all(V1 "/memory.usage_in_bytes", used, sizeof used);
    read_all(V1 "/memory.stat", stat, sizeof stat);
    return count_v1(used, stat);
}

static u64 unused(const struct counters *now) { return limit > now->used ? limit - now->used : 0; }

/* Memory available without swapping: Linux's estimate (mm/show_mem.c, si_mem_available) without its reserves. */
static u64 obtainable(const struct counters *now) {
    u64 found = unused(now) + now->active_file + now->inactive_file + now->reclaimable;
    return found < limit ? found : limit;
}

void memory_of(u64 bytes) { limit = bytes; }

struct memory memory_now(void) {
    struct counters now = count();
    return (struct memory){limit, unused(&now), obtainable(&now), now.shared, swap_bytes()};
}

struct row {
    const char *name;
    u64 bytes;
};

size_t memory_text(char *text, size_t size) {
    struct counters now = count();
    u64 swap = swap_bytes();
    const struct row rows[] = {
        {"MemTotal", limit},
        {"MemFree", unused(&now)},
        {"MemAvailable", obtainable(&now)},
        {"Buffers", 0},
        {"Cached", now.file},
        {"SwapCached", 0},
        {"Active", now.active_anon + now.active_file},
        {"Inactive", now.inactive_anon + now.inactive_file},
        {"Active(anon)", now.active_anon},
        {"Inactive(anon)", now.inactive_anon},
        {"Active(file)", now.active_file},
        {"Inactive(file)", now.inactive_file},
        {"Unevictable", now.unevictable},
        {"Mlocked", 0},
        {"SwapTotal", swap},
        {"SwapFree", swap},
        {"Dirty", now.dirty},
        {"Writeback", now.writeback},
        {"AnonPages", now.anonymous},
        {"Mapped", now.mapped},
        {"Shmem", now.shared},
        {"KReclaimable", now.reclaimable},
        {"Slab", now.slab},
        {"SReclaimable", now.reclaimable},
        {"SUnreclaim", now.slab - now.reclaimable},
        {"KernelStack", now.stacks},
        {"PageTables", now.tables},
        {"CommitLimit", limit / 2 + swap},
        {"Committed_AS", now.anonymous + now.shared},
    };
    size_t length = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s:", rows[i].name);
        length += snprintf(text + length, size - length, "%-15s %8llu kB\n", name, rows[i].bytes >> 10);
    }
    return length;
}
