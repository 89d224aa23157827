/* What keeper.c (what cells share), keeper_cells.c (one cell's life) and keeper_requests.c (what api says) have in common. */
#pragma once
#include "engine/cell/child.h"
#include "engine/cell/guard.h"
#include "engine/cell/keeper.h"
#include "engine/cell/proto.h"
#include "engine/cell/zygote.h"

#include "base/list.h"
#include "engine/cgroup/cgroup.h"

#include <stdbool.h>
#include <sys/types.h>

struct held {
	struct keeper *keeper;
	struct list at;
	uint32_t number;
	unsigned slot;
	pid_t pid; /* 0: reaped */
	int lifeline;
	struct loop_fd *watch; /* for the report */
	int control;           /* until it is sent with the answer */
	int mount_ns;          /* -1 until the cell is finished */
	struct guard *guard;   /* once it is dressed */
	bool dressed, background;
	unsigned tries; /* of removing the group */
	char group[CGROUP_NAME_MAX];
};

struct keeper {
	struct loop *loop;
	struct list cells;
	unsigned count;
	int sock;
	struct loop_fd *watch;
	loop_fn *gone;
	void *gone_ctx;
	void (*channel)(void *ctx, unsigned channel, int sock);
	void *channel_ctx;

	bool works;
	char why_not[160];
	struct cgroups cgroups;
	bool has_cgroups, has_filter;
	struct child_world world;
	int own_mount_ns, data_dir;
	int instance_fd; /* a lock of the cloud's name, which its next priv waits for; -1: none could be taken */
	int stage;       /* where roots of images are made; -1: none can be */
	const char *zygote_library;
	struct snapshots *snapshots; /* keeper_snapshot.c */
	struct zygote *zygotes[CELL_IMAGES];
	unsigned zygote_starts[CELL_IMAGES];
	uint32_t uid_base;
	unsigned next_slot;
	struct loop_timer *sweeping; /* links that cells have left */
	bool slots[OUTBOUND_SLOTS];  /* in use: link name, addresses and uid */
};

/* keeper_cells.c */
void keeper_make(struct keeper *k, const struct priv_make_request *r);
/* shared: the namespace of the port that its link is to lead into, -1: it stays the machine's. 0 or negative errno; *ret_tmp_fd: a
 * descriptor in the cell's /tmp. */
int keeper_dress(struct keeper *k, const struct priv_dress_request *r, int shared, int *ret_tmp_fd);
/* Kills it; it is forgotten when the kernel is done with it. */
void keeper_end(struct held *h);
struct held *keeper_find(struct keeper *k, uint32_t number);

/* keeper_snapshot.c */
/* Removes files that cannot be restored, and begins to try whether any can be. */
void keeper_snapshots_open(struct keeper *k, const char *restorer);
void keeper_snapshots_close(struct keeper *k);
/* api is gone: what is being taken for it is thrown away. */
void keeper_snapshots_leave(struct keeper *k);
enum priv_verdict keeper_snapshots_work(const struct keeper *k, const char **ret_why);
void keeper_snapshot(struct keeper *k, const struct priv_snapshot_request *r);
void keeper_forget(struct keeper *k, const char *name);
/* Hands a snapshot to a cell's first process. -ESTALE: there is none of that name that can be restored. */
int keeper_hand_snapshot(struct keeper *k, struct held *h, const char *name);

/* keeper_requests.c */
void keeper_tell_facts(struct keeper *k);
void keeper_answer(struct keeper *k, const void *p, size_t n, const int *fds, size_t nfds);
void keeper_answer_plain(struct keeper *k, uint32_t verb, uint32_t number, int error);

/* Closes and marks as closed. */
void keeper_close_fd(int *fd);
