/* A zygote: a process in which a language's runtime is loaded and which makes cells by copying itself, so that a cell with a
 * running interpreter costs a fork and not an interpreter's start, and shares the interpreter's memory with all others.
 *
 * It is `priv`'s child with `priv`'s capabilities, because what it does is what `priv` does for other cells: clone, build the cell
 * from the inside, give up everything. It runs the machine's own interpreter and our runtime client in the file system of a cell;
 * no code of a function and no byte of a client ever reaches it, and nothing comes back from the copies. The keeper owns zygotes;
 * all calls are on its loop. */
#pragma once
#include "engine/cell/cell.h"
#include "engine/cell/child.h"
#include "io/loop.h"

struct zygote;

/* Starts the interpreter; it is ready when its modules are loaded, a few hundred milliseconds later. `library` is the path of
 * zygote.so; `world` is copied into it. NULL: this machine has no such interpreter, or no library. */
struct zygote *zygote_start(struct loop *l, enum cell_image image, const char *library, const struct child_world *world);
/* -EAGAIN: not ready yet; 0: ready; another negative errno: it has ended. */
int zygote_state(const struct zygote *z);
/* As child_clone(), in the zygote; the child is ours. Waits for it, some milliseconds. */
int zygote_clone(struct zygote *z, const struct child_plan *plan, pid_t *ret_pid);
/* Ends and frees it. Its copies live on. NULL is harmless. */
void zygote_stop(struct zygote *z);
