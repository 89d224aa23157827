/* What task.c (the face) and task_line.c (what is said to the steward and to shims) have in common. */
#pragma once
#include "engine/oci/proto.h"
#include "engine/oci/task.h"

#include "base/list.h"

enum task_stage { TASK_WAITING, TASK_CONNECTING, TASK_STANDING, TASK_OVER };

/* Whose tasks they are: by the beginning of their ids. */
struct task_user {
	const char *prefix;
	const struct task_events *events;
	task_found_fn *found;
	void *ctx;
};
enum { TASK_USERS_MAX = 4 };

struct tasks {
	struct loop *loop;
	struct cells *cells;
	struct task_user users[TASK_USERS_MAX]; /* the first has all that are nobody else's */
	unsigned user_count;
	int dir; /* DATA/tasks */
	uint32_t runtime;
	int channel; /* -1: none */
	struct loop_fd *watch;
	struct loop_timer *again;
	struct tasks_facts facts;
	struct list all;
	uint32_t next_number;
	bool scanned, answered;
	struct trial *trial; /* NULL: none goes on */
	bool tried, trial_failed;
};

struct asked_exec {
	struct list at;
	uint32_t number;
	bool opened;
	const struct task_exec_events *events;
	void *ctx;
};

struct task {
	struct tasks *owner;
	const struct task_user *user;
	struct list at;
	void *ctx;
	char id[TASK_ID_MAX];
	enum task_stage stage;
	struct steward_request *start; /* until it is sent and answered */
	int fds[TASK_FDS + STEWARD_CONTAINERS_MAX + 1];
	unsigned fd_count;
	uint32_t slot;
	bool has_slot, adopted, ending;
	int sock;
	struct loop_fd *watch;
	struct loop_timer *later; /* the report of a failure, or of an end */
	int failure;
	char why[STEWARD_WHY_MAX];
	unsigned count;
	char names[STEWARD_CONTAINERS_MAX][TASK_NAME_MAX];
	bool runs[STEWARD_CONTAINERS_MAX]; /* or was told to */
	int listener;                      /* -1: not there */
	struct list execs;
	uint32_t next_exec;
	struct task_usage usage[STEWARD_CONTAINERS_MAX];
	int64_t usage_asked_us[STEWARD_CONTAINERS_MAX];
};

/* task_line.c */
void tasks_open_channel(void *ctx);
/* Sends START if it was not sent yet and there is somebody to send it to. */
void task_send_start(struct task *t);
void tasks_kill_slot(struct tasks *s, uint32_t slot);
int task_order(struct task *t, const struct task_order *o, int fd);
void task_report_end(struct task *t, int error, const char *why);
/* From outside a callback. */
void task_fail_later(struct task *t, int error, const char *why);
/* Facts are complete: says so when every task of before has said whose it is. */
void tasks_check_settled(struct tasks *s);
/* trial.c */
/* Has a runtime that is not the usual one start a container of this machine's programs; tasks_check_settled() follows. */
void trial_begin(struct tasks *s);
void trial_free(struct tasks *s);
/* task.c */
struct task *task_make(struct tasks *s, const char *id);
void task_drop_fds(struct task *t);
struct sockaddr_un task_address(const struct task *t);
