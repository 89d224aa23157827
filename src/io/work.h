/* A small pool of threads for what blocks or computes long: file content, digests, archives.
 *
 * A job owns its input; `run` sees nothing of the loop's; `done` is called on the loop's thread afterwards. */
#pragma once
#include "io/loop.h"

#include <stddef.h>

struct work;

/* Starts `threads` threads lazily, on the first jobs. */
struct work *work_new(struct loop *l, unsigned threads);
/* Finishes what runs, drops what waits (calling neither run nor done), joins the threads. */
void work_free(struct work *w);
/* Queues run(job) on some thread, then done(job) on the loop. Unbounded: callers bound what they have under way. */
void work_add(struct work *w, void (*run)(void *job), void (*done)(void *job), void *job);
/* Jobs queued and running. */
size_t work_pending(const struct work *w);
