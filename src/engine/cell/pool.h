/* What cells.c, pool.c and cell.c share: the unprivileged side's view of cells. Private to engine/cell. */
#pragma once
#include "engine/cell/cell.h"
#include "engine/cell/proto.h"

#include "base/list.h"

/* MAKING -> (BLANK | WARMING -> WARM) -> DRESSING -> LIVE; a claim may also find it MAKING. DEAD: gone or failed, waiting for
 * cell_destroy(). */
enum cell_state { CELL_MAKING, CELL_BLANK, CELL_WARMING, CELL_WARM, CELL_DRESSING, CELL_LIVE, CELL_DEAD };

struct cell {
	struct cells *cells;
	struct list at; /* in cells->all */
	uint32_t number;
	enum cell_state state;
	int kind;        /* index of the stem that runs, or is to run, in it; -1: none */
	bool background; /* made for the pool */
	bool image;      /* made, or being made, from a zygote of its kind's */
	bool claimed, stem_used, frozen, stem_ended;
	int stem_status;
	unsigned tries;
	int64_t warming_since_us;

	struct priv_dress_request *dress; /* once it is claimed */
	int shared_fd;                    /* that goes with it; -1: none */
	uint32_t quota_us;
	const struct cell_events *events;
	void *ctx;

	int fds[CELL_FDS];
	int log_read, log_write, stem_fd;
	struct loop_fd *control_watch, *stem_watch;
	struct loop_timer *failing; /* a failed claim on its way to ready() */
	int failure;
	uint32_t next_process, next_shell, next_question;
	uint32_t failed_start; /* enum init_failure, of the process whose end is being told */
	int start_error;
	int64_t oom_base, cpu_base_us; /* what there was before the claim */
	cell_snapshot_fn *snapshot_fn; /* while one is taken */
	void *snapshot_ctx;
};

struct stem {
	char *kind;
	struct init_message *start; /* the START message, ready to send */
	size_t start_bytes;
	enum cell_image image; /* CELL_IMAGE_NONE also once there turned out to be no zygote */
	unsigned keep;
	unsigned failures;     /* ended before they were claimed, in a row */
	int64_t rest_until_us; /* none is made before */
};

struct pending {
	struct list at;
	size_t n;
	int fd; /* -1: none */
	unsigned char request[];
};

struct cells {
	struct loop *loop;
	int fd; /* to priv; -1: it is dead */
	struct loop_fd *watch;
	struct list unsent; /* struct pending: the socket was full */
	struct list all;
	unsigned count;
	uint32_t next_number;
	struct stem *stems;
	size_t stem_count;
	unsigned keep_blank, max_cells;
	int64_t quiet_us, last_claim_us, rest_until_us;
	unsigned make_failures;
	struct loop_timer *refill_timer;
	int64_t refill_due_us;
	struct cells_facts facts;
	uint64_t made_total, claimed_total, claimed_stem_total, failed_total;
};

enum { CELL_FIRST_SHELL = 1 << 20, CELL_MAKE_TRIES = 3 };

/* cells.c. fd goes with it, and stays the caller's; -1: none. */
void cells_send(struct cells *c, const void *request, size_t n, int fd);
/* A handle that priv knows nothing of (number 0); and one for which priv is asked to make a cell. kind: the stem that is to run in
 * it. */
struct cell *cells_add(struct cells *c, int kind, bool background);
struct cell *cells_make(struct cells *c, int kind, bool background);
/* Takes everything away; with the handle. */
void cells_drop(struct cell *cell);
/* Tells the owner, if there is one, that its cell failed or is lost; drops it otherwise. */
void cells_fail(struct cell *cell, int error);
/* cell.c */
int cell_watch(struct cell *cell);
/* Builds a START message; NULL: too long. */
struct init_message *cell_pack_start(const struct cell_process *process, uint32_t flags, bool stem, size_t *ret_n);
int cell_send_start(struct cell *cell, struct init_message *m, size_t n, uint32_t number, const int *fds, size_t nfds);
/* pool.c */
void pool_made(struct cell *cell);
void pool_ended(struct cell *cell);
void pool_refill_soon(struct cells *c, int64_t delay_us);
