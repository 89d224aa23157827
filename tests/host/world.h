/* A cloud's cells without the cloud: a keeper in a process of its own, as root, and the face that Lambda uses in the caller's.
 * For tests that ask the kernel from inside the sandbox, and for the bench. Needs root. */
#pragma once
#include "engine/cell/cell.h"

#include <sys/types.h>

struct world {
	struct loop *loop;
	struct cells *cells;
	pid_t priv;
	char instance[16];
	char dir[64]; /* the data directory; code below dir/code */
};

/* Before world_open(): priv makes copies of runtimes whose clients lie in runtime_dir. The paths must live on. */
void world_use_zygotes(const char *runtime_dir, const char *library);
/* A fresh data directory with a file `hello.txt` in code/one, and cells with these stems. Aborts on trouble. */
void world_open(struct world *w, const struct cells_config *config);
/* A new priv for the same data directory, after the other one died. */
void world_restart_priv(struct world *w);
/* Asks priv to go, waits for it, removes the directory. */
void world_close(struct world *w);
/* How many times slower than an ordinary machine this one may be: QUARTET_PATIENCE, or 1. Timeouts are written for 1. */
int world_patience(void);
/* Sleeps so long, times the patience. */
void world_sleep(int64_t us);
/* Turns the loop until *flag, for at most timeout_us times the patience; false when it ran out. */
bool world_wait(struct world *w, const bool *flag, int64_t timeout_us);

/* One cell and what was heard of it. */
struct guest {
	struct cell *cell;
	struct world *world;
	bool ready, lost, exited, emptied;
	int error, process, status;
	char output[65536];
	size_t n;
};
/* Claims and waits for ready(). */
int guest_claim(struct world *w, struct guest *g, const struct cell_spec *spec);
/* A 256 MB cell with 16 MB of /tmp and code/one. */
int guest_open(struct world *w, struct guest *g);
void guest_close(struct guest *g);
/* Runs `/usr/bin/python3 -c script` inside and waits for its end; output holds what it wrote. The wait status, or -1 after timeout.
 */
int guest_run(struct guest *g, const char *script, int64_t timeout_us);
int guest_exec(struct guest *g, const char *const *argv, int64_t timeout_us);
/* Starts it and does not wait. */
int guest_start(struct guest *g, const char *script);
void guest_read(struct guest *g);
