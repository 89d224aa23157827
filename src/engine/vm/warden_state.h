/* What warden.c (requests, slots, ends) and warden_spare.c (containers) have in common. */
#pragma once
#include "engine/vm/proto.h"
#include "engine/vm/warden.h"

#include "base/list.h"

struct held_machine {
	struct warden *warden;
	struct list at;
	unsigned slot;
	pid_t pid; /* 0: not our child, or reaped */
	unsigned tries;
	bool spare; /* nobody's yet */
	struct loop_timer *again;
};

struct warden {
	struct loop *loop;
	const struct child_world *world;
	const struct sock_fprog *box_filter; /* NULL: not compiled yet */
	struct cgroups *cgroups;
	uid_t uid_base;
	int sock;
	struct loop_fd *watch;
	struct list machines; /* those whose group is to be removed when they are over */
	unsigned next_slot;
	struct list spares;
	struct loop_timer *refill, *expire;
};

/* warden.c */
void warden_group_name(unsigned slot, char ret[CGROUP_NAME_MAX]);
int warden_take_slot(struct warden *w, unsigned *ret_slot);
int warden_limit(struct warden *w, const struct warden_request *r, unsigned slot);
/* A child on its way to become the shim of a machine: ret_report is the other end of the socket on which it says how it goes. fds:
 * the request's descriptors; a container has none yet. */
int warden_clone(struct warden *w, const struct warden_request *r, const int *fds, unsigned slot, pid_t *ret_pid, int *ret_report);
struct held_machine *warden_hold(struct warden *w, unsigned slot, pid_t pid);

/* warden_spare.c: containers. Answers START, now or later. */
void warden_start_box(struct warden *w, const struct warden_request *r, const int *fds);
/* Ends those that are nobody's. */
void warden_drop_spares(struct warden *w);
