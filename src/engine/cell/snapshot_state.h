/* What the files that take a snapshot have in common (snapshot_take, snapshot_memory, snapshot_fds, snapshot_tmp). */
#pragma once
#include "engine/cell/snapshot.h"
#include "engine/cell/snapshot_format.h"

#include "base/buf.h"

#include <sys/user.h>

struct snap_taken_thread {
	pid_t tid;                    /* as seen from here */
	struct user_regs_struct regs; /* as they were when it stopped */
	struct snap_thread out;
};

struct taking {
	const struct snapshot_job *job;
	char *why;
	int proc;     /* /proc/PID */
	int memory;   /* /proc/PID/mem */
	int root;     /* the process's / */
	uint64_t end; /* of what has been written to the file */
	struct snap_head head;
	struct buf maps, runs, threads, fds, polls, entries, timers, text; /* text: also contexts */
	struct snap_taken_thread *stopped;
	size_t stopped_count;
	uint64_t gate;        /* of a system call instruction in the process */
	unsigned char *piece; /* SNAP_PIECE bytes of working memory */
};
enum { SNAP_PIECE = 1 << 20, SNAP_TABLE_MAX = 64 << 20 };

/* Says why it cannot be, and gives error back. */
__attribute__((format(printf, 3, 4))) int taking_refuse(struct taking *t, int error, const char *fmt, ...);
/* Appends whole pages to the file; the rest of the last one is zeros. *ret_at: where they begin. */
int taking_write(struct taking *t, const void *p, size_t n, uint64_t *ret_at);
/* A text's place in the tables. */
uint64_t taking_text(struct taking *t, const char *text);
/* Lets the process's first thread make a system call. The result, as the kernel gives it, or -EIO. */
long taking_call(struct taking *t, pid_t tid, long number, const uint64_t arguments[6]);
/* The whole of a small file below /proc/PID, with a NUL; NULL: it cannot be read. The caller's to free. */
char *taking_read(struct taking *t, const char *name, size_t *ret_n);

int taking_memory(struct taking *t);
int taking_fds(struct taking *t);
int taking_tmp(struct taking *t);
