/* Control groups: one group a sandbox under `quartet-<instance>/`, on cgroup v1 (a hierarchy per controller) and v2.
 *
 * `priv` owns `struct cgroups` and makes, limits and removes groups by name. Some files are opened once and their descriptors
 * handed to `api`, which then freezes, thaws and reads without asking anybody: cgroup_put_*() and cgroup_get_*() below know
 * how each version spells what. Nothing here blocks for longer than the kernel's own work. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cgroup_controller {
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_PIDS,
	CGROUP_FREEZER,
	CGROUP_ACCOUNT, /* v1: who counts processor time, where that is a hierarchy of its own; else CGROUP_CPU's does it */
	CGROUP_CONTROLLERS
};

/* Files that are handed out as descriptors. */
enum cgroup_file {
	CGROUP_FILE_FREEZE,
	CGROUP_FILE_CPU_QUOTA,
	CGROUP_FILE_MEMORY_PEAK,
	CGROUP_FILE_OOM_EVENTS,
	CGROUP_FILE_MEMORY_NOW,
	CGROUP_FILE_CPU_USED,
	CGROUP_FILES
};

enum {
	CGROUP_NAME_MAX = 32,
	CGROUP_CPU_PERIOD_US =
	        20000,            /* short, so that a throttled function stalls for milliseconds and not for a tenth of a second */
	CGROUP_CPU_MIN_US = 1000, /* the kernel's least quota */
};

struct cgroups {
	int version; /* 1 or 2 */
	bool has[CGROUP_CONTROLLERS];
	int base[CGROUP_CONTROLLERS]; /* directories in which our own group is; v2 uses the first alone; -1: none */
	int own[CGROUP_CONTROLLERS];  /* our own group: the parent of every sandbox's */
	/* v1: the same in the tree of v2 that a service manager has beside the hierarchies; -1: there is none */
	int tree_base, tree;
	char name[CGROUP_NAME_MAX]; /* quartet-<instance> */
};

/* What a group may use. 0 means: leave as it is. */
struct cgroup_limits {
	uint64_t memory_bytes;      /* without swap */
	uint64_t memory_soft_bytes; /* kept for it when the machine runs short */
	uint32_t pids;
	uint32_t cpu_weight;   /* 1..10000; 100 is everybody's */
	uint32_t cpu_quota_us; /* of CGROUP_CPU_PERIOD_US; UINT32_MAX: no limit */
};

/* Opens (makes) our group below `root` ("/sys/fs/cgroup"). `self` is the text of /proc/self/cgroup: on v2 it says where a service
 * manager delegated us a subtree. -ENOSYS: no usable hierarchy there; else negative errno. */
int cgroups_open(struct cgroups *g, const char *root, const char *self, const char *instance);
/* Closes the descriptors; with `remove`, takes away our own group, which must be empty. Safe after a failed open. */
void cgroups_close(struct cgroups *g, bool remove);
/* Kills everything in every group below ours and removes the groups: what an earlier process left. Groups m<number> and t<number>,
 * which are machines' and tasks', are left alone unless they are empty. Returns how many are still there (a process is dying: call
 * again). Names in it are `c<number>`, so a later cgroup_make() of a fresh number is not disturbed. */
unsigned cgroups_sweep(struct cgroups *g);

/* Makes the group `still`, empty, frozen and limited for as long as we run. The kernel patches its own code when the first group is
 * frozen or limited and when the last one no longer is; with this one there, freezing a sandbox costs microseconds. */
void cgroups_make_still(struct cgroups *g);

/* Makes the group `name`; -EEXIST when it is there. On failure nothing of it is left. A name may lead into a group ("t1/w"). */
int cgroup_make(struct cgroups *g, const char *name);
/* Groups in `name` may have limits; on v2 no process may be in itself then. */
int cgroup_share(struct cgroups *g, const char *name);
int cgroup_limit(struct cgroups *g, const char *name, const struct cgroup_limits *limits);
/* Descriptors through which a child gets into the group; absent ones are -1. The caller closes them. v1: of files, with which a
 * single-threaded child joins by cgroup_join(). v2: the first alone, the group's directory, which clone3() wants for
 * CLONE_INTO_CGROUP: no moving, and no moment outside. */
int cgroup_open_join(struct cgroups *g, const char *name, int ret_fds[CGROUP_CONTROLLERS]);
/* The same for a child that will have no right of its own to: descriptors for cgroup_join(), on v2 too. */
int cgroup_open_procs(struct cgroups *g, const char *name, int ret_fds[CGROUP_CONTROLLERS]);
/* Its directories, to be looked at and no more: of v1 those of memory, CPU and processes. Absent ones are -1. */
int cgroup_open_look(struct cgroups *g, const char *name, int ret_fds[CGROUP_CONTROLLERS]);
/* What to write "0" to for who serves the files that processes of a group write to, and must not have to wait for their memory: a
 * process whose memory ends writes out what it has first, on v1 even that which only this one can take. -1 on v2, where it needs
 * not, else negative errno. */
int cgroup_open_outside(struct cgroups *g);
/* Moves the calling thread's process in. Writing "0" to v1's `tasks` spares the kernel's global lock and its 10 ms. */
int cgroup_join(const int fds[CGROUP_CONTROLLERS]);
/* -ENOENT where the kernel has no such file. */
int cgroup_open_file(struct cgroups *g, const char *name, enum cgroup_file file);
/* Makes a group below `name`, in the one tree, that belongs to user and group `owner`, who may make groups in it but cannot raise
 * a limit. ret_fds: one to write "0" to - whoever writes joins it, without right of his own to -, and its cpu.stat. -ENOTSUP: there
 * is no tree. cgroup_remove() takes it away with all that was made in it. */
int cgroup_delegate(struct cgroups *g, const char *name, unsigned owner, int ret_fds[2]);
/* Thaws and kills all inside, and in the groups in it, and lifts its limit of CPU: a process does the work of its death itself, and
 * a thousand of them with a tenth of a processor take a minute for it. */
int cgroup_kill(struct cgroups *g, const char *name);
/* Removes it, a machine's or a task's with the groups in it; 0 when it is gone or never was, -EBUSY and nothing removed while a
 * process is inside, wherever. */
int cgroup_remove(struct cgroups *g, const char *name);

/* Wakes its owner when a group's memory use crosses a line; v2: also when it meets its limit. */
#define CGROUP_NO_ALARM UINT64_MAX
struct cgroup_alarm {
	int version, usage_fd;
	int event_fd;    /* to be watched for `events`; another one after every cgroup_alarm_set() */
	uint32_t events; /* epoll's */
};
int cgroup_alarm_open(struct cgroups *g, const char *name, struct cgroup_alarm *ret);
int cgroup_alarm_set(struct cgroups *g, const char *name, struct cgroup_alarm *a, uint64_t bytes);
/* After it woke: makes the descriptor quiet again. */
void cgroup_alarm_clear(struct cgroup_alarm *a);
uint64_t cgroup_alarm_usage(const struct cgroup_alarm *a);
void cgroup_alarm_close(struct cgroup_alarm *a);

/* On handed-out descriptors, by version. 0 or negative errno. */
int cgroup_put_frozen(int version, int fd, bool frozen);
/* quota_us of CGROUP_CPU_PERIOD_US; UINT32_MAX: no limit. */
int cgroup_put_cpu_quota(int version, int fd, uint32_t quota_us);
int64_t cgroup_get_memory_peak(int version, int fd);
int cgroup_reset_memory_peak(int version, int fd);
int64_t cgroup_get_oom_kills(int version, int fd);
int64_t cgroup_get_memory_now(int version, int fd);
int64_t cgroup_get_cpu_us(int version, int fd);
