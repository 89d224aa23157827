/* Keeps /tmp out of a function's memory. The kernel charges a tmpfs page to whoever writes it, so a function of 128 MB that
 * downloads 300 MB to its 512 MB of /tmp would be killed. The guard moves the cell's limit with what lies in /tmp: memory size +
 * /tmp in use. It runs in `priv`, wakes when use reaches that line, and costs nothing otherwise. */
#pragma once
#include "engine/cgroup/cgroup.h"
#include "io/loop.h"

struct guard;

/* The limit to set at the start, before the guard is there. */
uint64_t guard_first_limit(uint64_t memory_bytes);
/* `tmp_fd`: a descriptor (O_PATH will do) in the file system of /tmp, taken over; `group` must live as long. NULL where the kernel
 * has no alarm for memory: then /tmp counts as memory, and the limit is set so. */
struct guard *guard_start(struct loop *l, struct cgroups *g, const char *group, int tmp_fd, uint64_t memory_bytes);
void guard_stop(struct guard *guard);
