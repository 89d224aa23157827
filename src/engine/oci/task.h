/* Tasks: groups of containers that share a network interface, a size and a fate. The face for ECS.
 *
 * A task has a user namespace, a network namespace with (at most) one network interface of a VPC, a control group of its size, and
 * writable space of a fixed size for all of its containers. Each container has a root file system of its own: its image's layers
 * under a writable one. A shim holds the task together: it starts containers with an OCI runtime, gathers their output, stops them,
 * watches their health, and outlives `api`, `main` and `priv`; this side finds it again by its socket below DATA/tasks.
 *
 * All containers are described when the task is made; the caller starts and stops them one by one, in the order that it likes.
 * Everything runs on the loop of the role that made `struct tasks` and calls back on it, never from inside a call of this header.
 */
#pragma once
#include "base/str.h"
#include "engine/oci/image.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tasks;
struct task;
struct cells;

enum {
	TASK_ID_MAX = 64, /* with its NUL; letters, digits, '-' */
	TASK_CONTAINERS_MAX = 16,
	TASK_NAME_MAX = 256,
	TASK_VOLUMES_MAX = 32,
	TASK_MOUNTS_MAX = 64,               /* of one container */
	TASK_LAYERS_MAX = 512,              /* of all containers together */
	TASK_CONFIG_BYTES_MAX = 2 << 20,    /* what one container's specification may come to, environment included */
	TASK_LINE_BYTES_MAX = 16 * 1024,    /* longer lines come in pieces */
	TASK_OUTPUT_BYTES_MAX = 256 * 1024, /* of one task, kept while nobody takes them; then its writers wait */
};

/* Arrays of strings end with NULL; NULL stands for an empty one. */

enum task_mount_kind { TASK_MOUNT_VOLUME, TASK_MOUNT_TMPFS };
struct task_mount {
	enum task_mount_kind kind;
	const char *path;   /* in the container, absolute */
	const char *volume; /* VOLUME: one of the task's */
	bool read_only;
	uint64_t bytes;             /* TMPFS: its size */
	const char *const *options; /* TMPFS: "noexec", "mode=1777", ... as mount(8) spells them */
};

struct task_ulimit {
	const char *name;    /* "nofile" */
	uint64_t soft, hard; /* UINT64_MAX: unlimited */
};

struct task_pair {
	const char *name, *value;
};

/* A command that says by its exit status whether a container is well: 0 is. */
struct task_health {
	const char *const *argv; /* NULL: no check */
	int64_t interval_us, timeout_us, start_period_us;
	unsigned retries;
};

struct task_container {
	const char *name;                             /* unique in the task */
	struct image *image;                          /* ready; NULL: this machine's programs (/usr), read-only, in an empty root */
	const char *const *argv, *const *environment; /* "NAME=value" */
	const char *user;                             /* "", "uid", "uid:gid" or names of the image's /etc/passwd and /etc/group */
	const char *workdir;                          /* NULL: "/"; made if it is missing */
	const char *const *capabilities_add, *const *capabilities_drop; /* "SYS_PTRACE", "ALL" */
	const struct task_ulimit *ulimits;
	size_t ulimit_count;
	const struct task_mount *mounts;
	size_t mount_count;
	const struct task_pair *sysctls;
	size_t sysctl_count;
	bool read_only_root, init_process, no_new_privileges, tty;
	uint64_t shm_bytes;                       /* 0: 64 MiB */
	uint64_t memory_bytes, memory_soft_bytes; /* 0: the task's alone */
	uint32_t cpu_units;                       /* relative weight, 1024 a processor; 0: 2 */
	int stop_signal;                          /* 0: SIGTERM */
	int64_t stop_timeout_us;                  /* 0: killed at once */
	struct task_health health;
};

/* The network interface. */
struct task_port {
	int fd;                    /* copied: the port's plug (network_events.port() with NETWORK_PLUG) */
	uint32_t address, gateway; /* IPv4, host byte order */
	uint8_t prefix;
	bool has_address6;
	uint8_t address6[16];
};

struct task_spec {
	const char *id;
	const struct task_port *port; /* NULL: no network but the loopback interface */
	uint32_t cpu_units;           /* 1024 a processor, hard; 0: no limit */
	uint64_t memory_bytes;        /* hard */
	uint64_t scratch_bytes;       /* all that its containers and volumes write; 0: 20 GiB */
	bool shared_processes;        /* its containers see each other's; else each has a namespace of its own */
	const char *host_name;
	const char *const *dns_servers, *const *dns_search;
	const struct task_pair *hosts; /* for /etc/hosts: name and address */
	size_t host_count;
	const char *const *volumes; /* names of directories that its containers share; empty at first */
	const struct task_container *containers;
	size_t container_count;
};

struct task_exit {
	int code;         /* 0 to 255; 128 + signal */
	bool oom;         /* the kernel killed one of its processes for want of memory */
	bool not_started; /* it never ran: `why` says what the runtime said */
	const char *why;  /* "" or a sentence; valid during the call */
	int64_t at_us;    /* wall clock */
};

enum task_health_state { TASK_HEALTH_UNKNOWN, TASK_HEALTHY, TASK_UNHEALTHY };

struct task_events {
	/* The task stands: its containers may be started. */
	void (*ready)(void *ctx, struct task *t);
	/* Container `index` (of the specification) runs. at_us: wall clock. */
	void (*started)(void *ctx, struct task *t, unsigned index, int64_t at_us);
	void (*exited)(void *ctx, struct task *t, unsigned index, const struct task_exit *e);
	/* A line without its end, or TASK_LINE_BYTES_MAX of a longer one. What was said while `api` was away comes when it is back;
	 * after a crash the last lines may come twice. */
	void (*output)(void *ctx, struct task *t, unsigned index, bool is_error, int64_t at_us, struct str line);
	/* When it changes. */
	void (*health)(void *ctx, struct task *t, unsigned index, enum task_health_state state);
	/* Nothing of it is left: it could not be made (`why` says what failed; -EAGAIN: only because priv died meanwhile), its shim
	 * was killed, or task_end() is done. */
	void (*ended)(void *ctx, struct task *t, int error, const char *why);
	/* Once: every task of an earlier run has been found(). Until then none may be made. */
	void (*settled)(void *ctx);
};

struct tasks_facts {
	bool known, works;
	char why_not[160]; /* crun is not installed, ... */
};

/* `events` must live as long as the tasks. found() comes for each task of an earlier run that is still there, before facts are
 * known: take it with the ctx that its events shall get, or return NULL and it is ended. After it come ready(), and started() or
 * exited() for each of its containers that was started, and health() where it is known, as if they had just happened. runtime: one
 * that oci_runtime_find() knows; NULL: crun. Tasks that were started by another one go on with theirs. */
typedef void *task_found_fn(void *ctx, struct task *t, const char *id);
struct tasks *tasks_new(struct loop *l, struct cells *cells, const char *data_dir, const char *runtime,
                        const struct task_events *events, task_found_fn *found, void *ctx);
void tasks_free(struct tasks *s); /* forgets them; they go on */
/* Tasks whose ids begin with `prefix` (a constant) are another user's, with events of its own. While services start: before any
 * task was found(). */
void tasks_share(struct tasks *s, const char *prefix, const struct task_events *events, task_found_fn *found, void *ctx);
const struct tasks_facts *tasks_facts(const struct tasks *s);

/* Never NULL; ready() or ended() follows. The handle lives until task_free(). What the specification points to is copied. */
struct task *task_new(struct tasks *s, const struct task_spec *spec, void *ctx);
const char *task_id(const struct task *t);
/* How many containers it has; for one that was found too. The name is the specification's. */
unsigned task_container_count(const struct task *t);
const char *task_container_name(const struct task *t, unsigned index);
/* Was it told to start, and is its end not known yet? At ready() of a task that was found: started() or exited() says more soon. */
bool task_has_begun(const struct task *t, unsigned index);

/* After ready(); started() or exited() follows. One that has ended may be started again: its files are as it left them. -EBUSY: it
 * runs; -ESRCH: the task is not there. */
int task_start(struct task *t, unsigned index);
/* Its stop signal, and after its timeout SIGKILL; exited() follows. 0 also when it does not run. */
int task_stop(struct task *t, unsigned index);
/* Kills everything in it and takes it away; ended() follows. */
void task_end(struct task *t);
/* Forgets the handle, and ends the task if it is still there. */
void task_free(struct task *t);

/* A TCP socket that listens at 169.254.170.2:80 inside the task: whoever connects is one of its containers. Non-blocking; valid
 * from ready() to ended(), and the task's: do not close it. */
int task_metadata_listener(const struct task *t);

/* A command in a running container, on a terminal of its own. opened() gets the terminal's master end (its own from now on) or,
 * with -1, what the runtime said; closed() comes once after that with its exit code, when the command has ended. */
struct task_exec_events {
	void (*opened)(void *ctx, int fd, int error, const char *why);
	void (*closed)(void *ctx, int code);
};
/* events must live until closed(), opened() with an error, or task_free(). environment: added to the container's own. */
int task_exec(struct task *t, unsigned index, const char *const *argv, const char *const *environment,
              const struct task_exec_events *events, void *ctx);

struct task_usage {
	uint64_t cpu_us;                          /* since it was made; 0 where the kernel does not count it */
	uint64_t memory_bytes, memory_peak_bytes; /* page cache included */
	int64_t at_us;                            /* when that was so, by the loop's clock; 0: not known yet */
};
/* Of one container; refreshed about once a second while asked. */
void task_usage(struct task *t, unsigned index, struct task_usage *ret_usage);
