#include "board.h"
#include <errno.h>
int disk_plug(const char *file) { (void)file; return -ENOSYS; }
bool disk_is(dev_t d) { (void)d; return false; }
int disk_partition_add(int n, u64 s, u64 l) { (void)n; (void)s; (void)l; return -EINVAL; }
int disk_partition_remove(int n) { (void)n; return -EINVAL; }
int disk_partition_resize(int n, u64 l) { (void)n; (void)l; return -EINVAL; }
int disk_read_table(void) { return -EINVAL; }
size_t disk_text(char *t, size_t s) { (void)t; (void)s; return 0; }
