/* What the shim's files share: shim.c (QEMU, its console and api), shim_box.c (containers), shim_reset.c (booting anew). */
#pragma once
#include "engine/vm/box.h"
#include "engine/vm/qemu.h"
#include "engine/vm/shim.h"
#include "io/loop.h"

#include <stddef.h>
#include <sys/types.h>

struct shim {
	struct shim_plan own;
	const struct shim_plan *plan; /* own */
	struct warden_request request;
	int error; /* why it has not started */
	struct loop *loop;
	struct qemu qemu;
	struct box box; /* where plan->request->is_box; QEMU is its storage daemon then */
	int peer;       /* api; -1: none */
	struct loop_fd *claim_watch, *peer_watch, *qmp_watch, *console_watch;
	enum shim_end end;
	bool running, quitting, over;
	bool leaving;               /* the cloud ends: so does this process, once the guest has */
	struct shim_request unplug; /* the one that waits; verb 0: none */
	struct loop_timer *unplug_timer;
	int (*tell)(struct box *b); /* what a container's init was to be told last */
	struct loop_timer *tell_timer;
	/* A reboot: the guest is asked to end (going), has ended and stays so until RUN (down), boots anew (coming). */
	bool going, stay, down, coming, force;
	bool ended_itself, was_reset;   /* said by events */
	struct shim_request reset_asks; /* waits for the guest's end; verb 0: nobody does */
	struct loop_timer *reset_timer;
	off_t console_bytes;
};

/* shim.c */
void shim_answer_with(struct shim *s, const struct shim_request *r, int error, const int *fds, size_t nfds);
void shim_answer(struct shim *s, const struct shim_request *r, int error);
void shim_watch_console(struct shim *s, int fd);
void shim_read_console(struct shim *s);
/* Presses a virtual machine's button until it ends. */
int shim_press(struct shim *s);
/* UNPLUG, UNPORT, or a DISK that is taken back: 1, answered when it is done; or negative errno. */
int shim_begin_unplug(struct shim *s, const struct shim_request *r);

/* shim_box.c: a request about a container; 1: answered, 2: it goes on as with a machine. */
int shim_obey_box(struct shim *s, const struct shim_request *r, const int *fds);
int shim_start_box(struct shim *s);
/* Asks init until it listens. */
int shim_tell_box(struct shim *s, int (*what)(struct box *b));

/* shim_reset.c */
int shim_begin_reset(struct shim *s, const struct shim_request *r);
/* The guest has ended, as it was asked to. 0, or it does not come up. */
int shim_reset_ended(struct shim *s);
/* RUN, of one that is down. */
int shim_come_up(struct shim *s);
/* Somebody wants it off now. */
void shim_end_reset(struct shim *s);
/* Nothing of it goes on; who waits is answered. */
void shim_forget_reset(struct shim *s, int error);
