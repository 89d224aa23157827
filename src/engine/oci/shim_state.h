/* What the parts of a task's shim have in common: shim.c (the conversation with `api`), shim_container.c (a container's life),
 * shim_exec.c (commands in it: health checks and terminals), shim_runtime.c (starting the OCI runtime), shim_user.c (names in an
 * image). */
#pragma once
#include "engine/oci/shim.h"

#include "base/list.h"
#include "io/loop.h"

#include <stdbool.h>
#include <sys/types.h>

enum { SHIM_STREAMS = 2, SHIM_EXECS_MAX = 32, RUNTIME_WORDS_MAX = 1024 };

struct shim;
struct held_container;

/* One end of a pipe, and the line that is not at its end yet. */
struct stream {
	struct held_container *container;
	bool is_error;
	int fd; /* -1: closed */
	struct loop_fd *watch;
	char *line; /* TASK_TEXT_MAX */
	size_t n;
};

enum container_state { CONTAINER_NEW, CONTAINER_STARTING, CONTAINER_RUNNING, CONTAINER_OVER };

/* The runtime on its way, or the process of a command. */
struct running_exec {
	struct shim *shim;
	struct held_container *container;
	bool used, is_health, opened;
	uint32_t number;    /* api's */
	pid_t runtime, pid; /* 0: ended or not known yet */
	bool has_status;    /* pid has ended before the runtime had */
	int status;
	int files;    /* an unique number for its files */
	int listener; /* for its terminal, while the runtime is on its way */
	struct loop_timer *timer;
};

struct held_container {
	struct shim *shim;
	unsigned index, life; /* life: how often it was started */
	const struct task_shim_container *plan;
	struct task_plan head;
	enum container_state state;
	pid_t runtime, pid;
	int early; /* its wait status, when it ended before the runtime had; has_early */
	bool has_early, stopping, not_started;
	struct stream streams[SHIM_STREAMS];
	struct loop_timer *stop_timer, *health_timer;
	int64_t started_ms, ended_ms; /* wall clock */
	int64_t oom_before;
	uint32_t code, flags;
	char why[512];
	/* health */
	unsigned failures, health; /* enum task_health_state */
	int64_t health_since_us;   /* monotonic */
};

/* What is to be said, in order. Lines stay until they are taken. */
struct said {
	struct list at;
	struct task_word word;
	char text[];
};

struct shim {
	const struct task_shim_plan *plan;
	struct loop *loop;
	int peer; /* api; -1: none */
	struct loop_fd *peer_watch;
	bool peer_full;
	struct list unsent, untaken;
	size_t queued_bytes;
	uint32_t next_line;
	unsigned next_file;
	pid_t holder; /* of the namespace of processes that containers share; 0: none */
	struct held_container containers[STEWARD_CONTAINERS_MAX];
	struct running_exec execs[SHIM_EXECS_MAX];
};

/* shim.c */
/* Appends to what is to be said; text may be NULL. Only lines outlive a connection. */
void shim_say(struct shim *s, const struct task_word *w, const char *text, size_t n);
/* The same at once, with a descriptor; lost if nobody listens. */
void shim_say_fd(struct shim *s, const struct task_word *w, const char *text, size_t n, int fd);
bool shim_is_full(const struct shim *s);

/* shim_container.c */
void container_open(struct shim *s, unsigned index, const struct task_shim_container *plan);
int container_start(struct held_container *c);
void container_stop(struct held_container *c);
/* How it stands, for a new listener: before and after its lines. */
void container_tell_start(struct held_container *c);
void container_tell_end(struct held_container *c);
/* A process has ended: is it one of this container's? */
bool container_reaped(struct held_container *c, pid_t pid, int status);
/* There is room for lines again. */
void container_read_on(struct held_container *c);
/* The terminal that a runtime that has ended has sent to this listening socket; -1: none. */
int container_take_terminal(int listener);
void container_id(const struct held_container *c, char ret[32]);

/* shim_exec.c */
void health_begin(struct held_container *c);
void health_end(struct held_container *c);
int exec_begin(struct held_container *c, const struct task_order *o, int description);
/* The container has ended: so have its commands. */
void exec_end_all(struct held_container *c);
bool exec_reaped(struct shim *s, pid_t pid, int status);

/* shim_runtime.c */
/* Starts the OCI runtime with these words behind its general options, in the container's control group (NULL: in the shim's);
 * descriptors 0, 1 and 2 become those given (-1: /dev/null). The pid or negative errno. */
pid_t runtime_run(struct held_container *c, bool in_group, const char *const *words, const char *log, const int *stdio);
/* The last line of what it has said in its log; "" when nothing. */
void runtime_said(const char *log, char *ret, size_t cap);
/* What it has written there; 0: nothing. */
pid_t runtime_read_pid(const char *path);

/* shim_processes.c */
/* There is a namespace that containers can share. 0 or negative errno. */
int processes_share(struct shim *s);
/* The container's first process has ended: so do its others, where that does not go without saying. */
void processes_end(const struct held_container *c);

/* shim_sysctl.c */
/* Sets those of the network that the container's plan has. ret_why: a sentence for the user. */
int sysctl_turn_all(const struct held_container *c, char *ret_why, size_t cap);

/* shim_user.c */
/* The JSON of the OCI process's user, from "", "uid", "uid:gid" or names of the files in `root`. -ENOENT: no such user. */
int user_json(int root, const char *user, char *ret, size_t cap);
/* Copies `bytes` of `from` at `offset` to the new file at `path`, with the user's JSON put in at `user_at`. */
int user_insert(int from, off_t offset, size_t bytes, size_t user_at, const char *user, const char *path);
/* Makes the directory `path` of the root file system, as its root's, where it is missing. */
int user_make_directory(int root, const char *path);
