/* Cells: the sandboxes that functions run in. This is the face for the Lambda service.
 *
 * A cell has its own mount, pid, network, ipc, uts, cgroup and user namespaces; inside, everything is uid 993, without
 * capabilities, under a seccomp allow-list and the function's own limits of memory, CPU, processes and /tmp. `priv`
 * makes it; afterwards the caller speaks with it directly: the Runtime API and the cloud's own endpoint are listening
 * sockets that were made *inside* the cell and belong to the caller's loop.
 *
 * Stem cells are cells in which a runtime already runs and waits for code. Claiming one mounts the code, sets the
 * limits and hands it over; it is one function's from then on and is never reused for another.
 *
 * Everything here runs on the loop of the role that made `struct cells` and calls back on it, never from inside a call
 * of this header. A `struct cell *` lives from cell_claim() to cell_destroy(). */
#pragma once
#include "base/str.h"
#include "io/loop.h"

#include <stdint.h>
#include <sys/types.h>

struct cells;
struct cell;

/* A process to run in a cell. Arrays end with NULL; argv[0] is an absolute path inside the cell. argv and env together may
 * have CELL_MAX_START_BYTES bytes. All is copied. */
struct cell_process {
	const char *const *argv;
	const char *const *env;
	const char *cwd; /* NULL: /var/task */
	int output;      /* where stdout and stderr go; 0: the log */
	/* As images say it: argv[0] may be without a slash, then it is looked for in the PATH of env, and cwd has to be there. */
	bool exact;
};
enum { CELL_MAX_START_BYTES = 60 * 1024 };

/* Runtimes that a zygote keeps loaded, so that a cell starts with a copy of one instead of an interpreter's start. */
enum cell_image { CELL_IMAGE_NONE, CELL_IMAGE_PYTHON, CELL_IMAGES };

/* A kind of stem: which process to start ahead, and how many to keep ready. The process finds in QUARTET_STEM_FD the number of a
 * descriptor: it writes a line there when it is ready, and reads one JSON line from there once its cell is claimed. /var/task and
 * /opt are empty until then: it must change to its working directory (again) after that line. */
struct cell_stem {
	const char *kind; /* "python3", "nodejs", ...; what cell_spec.kind is compared with */
	struct cell_process process;
	enum cell_image image; /* copied where a zygote works; `process` is started otherwise */
	unsigned keep;         /* ready ones to hold; of copies three times as many */
};

struct cells_config {
	const struct cell_stem *stems; /* copied */
	size_t stem_count;
	unsigned keep_blank;     /* finished cells without a process to hold, for every other kind */
	unsigned max_cells;      /* 0: 1000; claims above it fail with -EAGAIN */
	int64_t refill_quiet_us; /* refill only this long after the last claim (0: 20 ms), or faster when the pool is empty */
};

/* `priv_fd` is the role's message socket to `priv` (it is taken over). Starts filling the pool. */
struct cells *cells_new(struct loop *l, int priv_fd, const struct cells_config *config);
/* Destroys every cell. Owners get no more callbacks. */
void cells_free(struct cells *c);
/* `priv` died and main passed a socket to the new one (taken over). Cells that lived are gone: their owners get lost(). */
void cells_set_priv(struct cells *c, int priv_fd);
/* A new socket to another part of `priv` (enum priv_channel of proto.h), the caller's; or negative errno: -EPIPE while there is no
 * `priv`. When it closes, `priv` is gone: ask again. */
int cells_open_channel(struct cells *c, unsigned channel);
/* Throws away all stems and blanks and makes new ones (after the runtime directory changed, or a reset). */
void cells_renew(struct cells *c);

struct cell_spec {
	struct str kind; /* "" or a kind without stems: a blank cell */
	bool stem_ok; /* false: always a blank one (environment variables that only work at exec: wrapper scripts, LD_PRELOAD, ...)
	               */
	struct str code_dir; /* relative to DATA/code, no symlinks on the way; mounted read-only at /var/task. May be absent */
	struct str opt_dir;  /* relative to DATA/code; the layers merged; mounted read-only at /opt. May be absent */
	/* Instead of both: diff ids (hexadecimal, the lowest first) of unpacked layers below DATA/layers. They are the cell's root,
	 * in place of the machine's files; somebody keeps them there (engine/oci/image.h) as long as the cell lives. */
	const char *const *layers;
	size_t layer_count;
	/* The namespace of a VPC's shared port (NETWORK_SHARED of net/network.h), in which the cell's link then ends: it has the
	 * port's way to others, and no other. Copied. 0: the machine's way out. */
	int shared_fd;
	struct str snapshot; /* its name: cell_restore() will be called, and stem_ok is false. May be absent */
	unsigned memory_mb;  /* hard limit; also the CPU quota: memory / 1769 of one CPU, see cell_set_cpu() */
	unsigned tmp_mb;     /* size of /tmp */
};

struct cell_events {
	/* The claim is done (error 0) or failed (negative errno: -EAGAIN at max_cells, -ENOENT code_dir, -ESTALE there is no such
	 * snapshot, -ENOTSUP sandboxes do
	 * not work on this machine, ...). After a failure only cell_destroy() may be called. CPU is unlimited until cell_set_cpu().
	 */
	void (*ready)(void *ctx, struct cell *cell, int error);
	/* A process that was started (or the stem's, number CELL_STEM_PROCESS) has ended; status as from waitpid(). */
	void (*exited)(void *ctx, struct cell *cell, int process, int status);
	/* After cell_kill_runtime(): no process is left in it. */
	void (*emptied)(void *ctx, struct cell *cell);
	/* What cell_connect() asked for: a connected or connecting, non-blocking socket, the callee's from then on, or a negative
	 * errno. The cell's processes may have handed over any TCP socket of theirs: nothing but talk can come of it. May be NULL.
	 */
	void (*connected)(void *ctx, struct cell *cell, unsigned question, int fd);
	/* The whole cell is gone without cell_destroy(): priv died, or its pid 1 did. Only cell_destroy() may be called. */
	void (*lost)(void *ctx, struct cell *cell);
};
enum { CELL_STEM_PROCESS = 1 };

/* Never NULL; `events` must live as long as the cell. */
struct cell *cell_claim(struct cells *c, const struct cell_spec *spec, const struct cell_events *events, void *ctx);
/* Kills everything inside and frees the handle and its descriptors at once; no callback comes after it. NULL is harmless. */
void cell_destroy(struct cell *cell);

/* True from ready() on: a stem's runtime runs here and waits for cell_stem_message(). */
bool cell_is_stem(const struct cell *cell);
/* Sends the stem its one JSON line (the newline is added). 0 or negative errno (-EMSGSIZE: more than 64 KiB). Once only. */
int cell_stem_message(struct cell *cell, struct str json);
/* Starts a process: its stdin is /dev/null, its stdout and stderr are the log. Returns its number (> CELL_STEM_PROCESS) or negative
 * errno. A failing exec shows as exited() with status 127 << 8. Several may run at once (extensions). */
int cell_start(struct cell *cell, const struct cell_process *process);
/* Starts the process of the snapshot that the cell was claimed with, as cell_start() does. When it cannot be what it was, it ends
 * with a status of CELL_RESTORE_FAILED or more before anything of it has run. */
int cell_restore(struct cell *cell);
enum { CELL_RESTORE_FAILED = 100, CELL_SNAPSHOT_NAME = 32 };
/* Keeps the one process that runs in the cell, which waits for an answer of the Runtime API, as a snapshot of that name (32
 * hexadecimal digits), which has mb_max MB at the most. The process ends. fn comes once unless the cell is destroyed or lost
 * before; error negative: why says what cannot be kept, in words for the function's owner. Only root can read it, and it lasts
 * until cells_forget_snapshot() or the machine's next boot. */
typedef void cell_snapshot_fn(void *ctx, int error, const char *why);
enum cell_waits { CELL_WAITS_RESTORE, CELL_WAITS_NEXT };
void cell_snapshot(struct cell *cell, const char *name, enum cell_waits waits, unsigned mb_max, cell_snapshot_fn *fn, void *ctx);
void cells_forget_snapshot(struct cells *c, const char *name);
/* Within exited(), of a process that never ran: the error (positive) of its directory or its program. False: it ran. */
bool cell_never_ran(const struct cell *cell, int *ret_error, bool *ret_directory);
/* Sends a signal to a process's group. After it has ended this does nothing. */
void cell_signal(struct cell *cell, int process, int signo);
/* Connects to a TCP port of 127.0.0.1 inside the cell: connected() comes with this (positive) number. Or negative errno. */
int cell_connect(struct cell *cell, uint16_t port);
/* Kills every process in the cell but keeps it and /tmp: Lambda's reset after a timeout or crash. exited() follows for each that
 * was started, then emptied() once for each call. A frozen cell is thawed. */
void cell_kill_runtime(struct cell *cell);

/* Listening non-blocking sockets at 127.0.0.1:9001 and 127.0.0.1:4566 of the cell, and the read end of the log pipe (non-blocking;
 * it never ends by itself: read until it is empty after exited()). The first two belong to the cell and are closed by
 * cell_destroy(). */
int cell_runtime_listener(const struct cell *cell);
int cell_endpoint_listener(const struct cell *cell);
int cell_log_fd(const struct cell *cell);

/* Stops and continues every process inside. Both cost one write, no message to another process. 0 or negative errno. */
int cell_freeze(struct cell *cell);
int cell_thaw(struct cell *cell);
bool cell_is_frozen(const struct cell *cell);
/* limited: the quota that goes with the memory size; else as much CPU as there is (initialisation). */
int cell_set_cpu(struct cell *cell, bool limited);
/* Highest memory use since the claim or the last reset_peak, in bytes; 0 when the kernel cannot tell. */
int64_t cell_memory_peak_bytes(struct cell *cell);
/* Negative errno where the kernel cannot (control groups of version 2 before Linux 6.12): then the peak is since the cell was made.
 */
int cell_reset_memory_peak(struct cell *cell);
/* Processor time since the claim, of all that ran in it; 0 where the kernel does not count it. */
int64_t cell_cpu_us(struct cell *cell);
/* Kills by the kernel for want of memory since the claim. */
unsigned cell_oom_kills(struct cell *cell);
/* A number for logs; unique while the cloud runs. */
unsigned cell_number(const struct cell *cell);

/* A shell or command with a terminal inside the cell: fn gets the master side of the pty (the caller's from then on) or a negative
 * errno. Not under the function's process numbers: it ends with the cell or when the terminal hangs up. */
typedef void cell_enter_fn(void *ctx, int pty_fd);
void cell_enter(struct cell *cell, const char *const *argv, cell_enter_fn *fn, void *ctx);

/* What this machine can do, for `quartet doctor` and /_quartet/health. Filled once priv has answered. */
struct cells_facts {
	bool known;         /* priv has answered */
	bool works;         /* cells can be made at all; why_not says what is missing when not */
	int cgroup_version; /* 0 none, 1, 2 */
	bool memory_limit, cpu_limit, pids_limit, freezer;
	bool network; /* veth + nftables: functions have outbound network */
	bool user_namespace, seccomp;
	bool snapshots_tried, snapshots;
	char why_not[160], why_no_network[160], why_no_snapshots[200];
};
const struct cells_facts *cells_facts(const struct cells *c);
/* Counters for metrics and tests. */
struct cells_stats {
	unsigned ready_stems, ready_blanks, making, claimed;
	uint64_t made_total, claimed_total, claimed_stem_total, failed_total;
};
void cells_stats(const struct cells *c, struct cells_stats *ret_stats);

/* Interpreters of this machine, for mapping runtime names: python3, nodejs, ruby, java. */
struct cell_runtime {
	const char *family; /* "python", "nodejs", "ruby", "java" */
	char path[64];      /* /usr/bin/python3.11: valid inside cells too */
	unsigned major, minor;
};
/* Fills at most max entries and returns how many there are. Looks at files only, runs nothing. */
size_t cell_find_runtimes(struct cell_runtime *ret_runtimes, size_t max);
