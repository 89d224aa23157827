/* Taking a snapshot of a process in a cell: what `priv` does in a child of its own, as root, while the process waits for an answer
 * of the Runtime API. The file that comes out is read by the restorer (restore.c), inside a cell.
 *
 * A process is kept whole - all threads, memory, descriptors, signals, timers, /tmp - or not at all: what cannot be put back as it
 * was is a reason, in words for the function's owner. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SNAPSHOT_WHY_MAX = 200 };

struct snapshot_job {
	pid_t pid;           /* of the process, as seen from here */
	int out;             /* an empty file, open for reading and writing */
	uint64_t bytes_max;  /* of the file */
	const char *request; /* what the process has asked the Runtime API, to be asked again by who is restored */
	bool any_pid;        /* who is restored may have another number */
	bool tmp;            /* with what lies in the process's /tmp */
};

/* Stops the process and writes the file. 0, or negative errno with ret_why. The process stays stopped until the caller ends or
 * kills it; it has been looked into so deeply that it is of no more use (pipes are read out). */
int snapshot_take(const struct snapshot_job *job, char ret_why[SNAPSHOT_WHY_MAX]);

/* Is this a snapshot that can be restored now: of this boot of the machine? 0, -ESTALE, or another negative errno. */
int snapshot_check(int fd);

/* A copy of the restorer without a name, to be executed in cells; or negative errno. */
int snapshot_open_restorer(const char *path);

/* Takes a snapshot of a small process and restores it, outside of cells: can this machine do that? 0, or negative errno with why.
 * Takes some milliseconds, and children. */
int snapshot_try(int restorer, char ret_why[SNAPSHOT_WHY_MAX]);
