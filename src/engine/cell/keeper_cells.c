/* A cell's life in here: MAKE makes its control group, clones a child and returns to the loop; the child builds the cell from the
 * inside and reports; only then is the answer sent. A cell with a runtime in it is cloned by that runtime's zygote instead. DRESS
 * is short work in the cell's mount namespace. DESTROY kills; the kernel then ends everything in the pid namespace, the child is
 * reaped by the loop, its control group is removed (again later while it is busy), and GONE is sent. Numbers and slots are not
 * given out again before that. */
#include "engine/cell/child.h"
#include "engine/cell/keeper_state.h"
#include "engine/cell/root.h"

#include "base/log.h"
#include "engine/net/link.h"
#include "engine/net/share.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { REMOVE_RETRY_US = 2000, REMOVE_TRIES = 1000, ZYGOTE_STARTS = 3, SWEEP_US = 500000 };

/* ---- ending ---- */

static void forget(struct held *h)
{
	struct keeper *k = h->keeper;
	list_remove(&h->at);
	k->count--;
	k->slots[h->slot] = false;
	keeper_answer_plain(k, PRIV_GONE, h->number, 0);
	free(h);
}

static void remove_group(void *ctx)
{
	struct held *h = ctx;
	/* everything in the pid namespace was killed with its first process, but the last exit may still be under way */
	if (cgroup_remove(&h->keeper->cgroups, h->group) == -EBUSY && ++h->tries < REMOVE_TRIES) {
		cgroup_kill(&h->keeper->cgroups, h->group);
		loop_add_timer(h->keeper->loop, REMOVE_RETRY_US, remove_group, h);
		return;
	}
	forget(h);
}

static void release(struct held *h)
{
	loop_remove_fd(h->keeper->loop, h->watch);
	h->watch = NULL;
	guard_stop(h->guard);
	h->guard = NULL;
	keeper_close_fd(&h->lifeline);
	keeper_close_fd(&h->control);
	keeper_close_fd(&h->mount_ns);
}

void keeper_end(struct held *h)
{
	if (h->pid) {
		kill(h->pid, SIGKILL);
		/* v1 keeps frozen processes from dying */
		cgroup_kill(&h->keeper->cgroups, h->group);
	}
	release(h);
}

static void reaped(void *ctx, int status)
{
	struct held *h = ctx;
	(void)status;
	h->pid = 0;
	release(h);
	h->tries = 0;
	remove_group(h);
}

/* ---- making ---- */

/* Into the group at once on v2, by a descriptor that the child writes to on v1. */
static int open_group(struct keeper *k, const char *group, struct child_plan *plan)
{
	int error = cgroup_open_join(&k->cgroups, group, plan->cgroup_join);
	plan->cgroup_into = -1;
	if (!error && k->cgroups.version == 2) {
		plan->cgroup_into = plan->cgroup_join[0];
		plan->cgroup_join[0] = -1;
	}
	return error;
}

int keeper_take_slot(struct keeper *k, unsigned *ret_slot)
{
	for (unsigned i = 0; i < k->world.outbound.slots; i++) {
		unsigned slot = (k->next_slot + i) % k->world.outbound.slots;
		if (k->slots[slot])
			continue;
		k->slots[slot] = true;
		k->next_slot = slot + 1;
		*ret_slot = slot;
		return 0;
	}
	return -EAGAIN;
}

void keeper_give_slot(struct keeper *k, unsigned slot)
{
	k->slots[slot] = false;
}

const struct outbound *keeper_outbound(const struct keeper *k)
{
	return &k->world.outbound;
}

static void reported(void *ctx, uint32_t events);

static int spawn(struct held *h, struct zygote *zygote)
{
	struct keeper *k = h->keeper;
	int control[2], lifeline[2];
	int error = msg_pair(control);
	if (error)
		return error;
	error = msg_pair(lifeline);
	if (error) {
		msg_close_fds(control, 2);
		return error;
	}
	struct child_plan plan = {
	        .world = &k->world,
	        .control = control[1],
	        .lifeline = lifeline[1],
	        .slot = h->slot,
	        .uid = k->uid_base + k->world.outbound.share * OUTBOUND_SLOTS + h->slot,
	};
	error = open_group(k, h->group, &plan);
	if (!error)
		error = zygote ? zygote_clone(zygote, &plan, &h->pid) : child_clone(&plan, &h->pid);
	if (plan.cgroup_into >= 0)
		close(plan.cgroup_into);
	msg_close_fds(plan.cgroup_join, CGROUP_CONTROLLERS);
	close(control[1]);
	close(lifeline[1]);
	if (error) {
		close(control[0]);
		close(lifeline[0]);
		return error;
	}
	h->control = control[0];
	h->lifeline = lifeline[0];
	h->watch = loop_add_fd(k->loop, h->lifeline, EPOLLIN, reported, h);
	error = loop_add_child(k->loop, h->pid, reaped, h);
	if (error || !h->watch)
		die("cannot watch a cell");
	return 0;
}

/* The cell is finished: everything that api needs, in one message. */
static void answer_made(struct held *h, const int listeners[2])
{
	struct keeper *k = h->keeper;
	struct priv_answer a = {.h = {.verb = PRIV_MAKE, .number = h->number}};
	int fds[CELL_FDS] = {h->control, listeners[0], listeners[1]}, sent[CELL_FDS];
	static const enum cgroup_file files[] = {CGROUP_FILE_FREEZE, CGROUP_FILE_CPU_QUOTA, CGROUP_FILE_MEMORY_PEAK,
	                                         CGROUP_FILE_OOM_EVENTS, CGROUP_FILE_CPU_USED};
	enum { FILES = sizeof(files) / sizeof(*files) };
	_Static_assert(CELL_FD_FREEZE + FILES == CELL_FDS, "a descriptor a file");
	for (int i = 0; i < FILES; i++)
		fds[CELL_FD_FREEZE + i] = cgroup_open_file(&k->cgroups, h->group, files[i]);
	size_t n = 0;
	for (int i = 0; i < CELL_FDS; i++)
		if (fds[i] >= 0) {
			a.present |= 1u << i;
			sent[n++] = fds[i];
		}
	keeper_answer(k, &a, sizeof(a), sent, n);
	msg_close_fds(fds + CELL_FD_FREEZE, FILES);
	keeper_close_fd(&h->control);
}

static void make_failed(struct held *h, int error, const char *what)
{
	log_warn("cell %u: %s: %s", h->number, what, strerror(-error));
	keeper_answer_plain(h->keeper, PRIV_MAKE, h->number, error);
}

static void reported(void *ctx, uint32_t events)
{
	(void)events;
	struct held *h = ctx;
	struct child_report report;
	int listeners[2];
	size_t n;
	ssize_t r = msg_recv(h->lifeline, &report, sizeof(report), listeners, 2, &n);
	if (r == -EAGAIN)
		return;
	loop_remove_fd(h->keeper->loop, h->watch);
	h->watch = NULL;
	if (r != sizeof(report) || report.error || n != 2) {
		msg_close_fds(listeners, n);
		bool told = r == sizeof(report) && report.error;
		make_failed(h, told ? report.error : -EIO, told ? child_step_name(report.step) : "died while it was made");
		keeper_end(h);
		return;
	}
	char path[40];
	snprintf(path, sizeof(path), "%d/ns/mnt", (int)h->pid);
	h->mount_ns = openat(h->keeper->world.host_proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (h->mount_ns < 0) {
		make_failed(h, -errno, "opening its mount namespace");
		keeper_end(h);
	} else {
		answer_made(h, listeners);
	}
	msg_close_fds(listeners, 2);
}

struct held *keeper_find(struct keeper *k, uint32_t number)
{
	list_each (&k->cells, struct held, at, h)
		if (h->number == number)
			return h;
	return NULL;
}

/* The zygote of an image, started when it is first asked for and again when it has ended; one that always ends before it is ready
 * is given up. */
static int find_zygote(struct keeper *k, uint32_t image, struct zygote **ret)
{
	struct zygote *z = k->zygotes[image];
	int state = z ? zygote_state(z) : -ESRCH;
	if (state != 0 && state != -EAGAIN && k->zygote_starts[image] < ZYGOTE_STARTS) {
		zygote_stop(z);
		k->zygote_starts[image]++;
		z = k->zygotes[image] = zygote_start(k->loop, image, k->zygote_library, &k->world);
		state = z ? zygote_state(z) : -ENOTSUP;
	}
	if (!state) {
		k->zygote_starts[image] = 0;
		*ret = z;
	}
	return state == -EAGAIN ? state : state ? -ENOTSUP : 0;
}

void keeper_make(struct keeper *k, const struct priv_make_request *r)
{
	unsigned slot;
	struct zygote *zygote = NULL;
	if (!k->works || keeper_find(k, r->h.number)) {
		keeper_answer_plain(k, PRIV_MAKE, r->h.number, k->works ? -EEXIST : -ENOTSUP);
		return;
	}
	int error = r->image ? find_zygote(k, r->image, &zygote) : 0;
	if (!error)
		error = keeper_take_slot(k, &slot);
	if (error) {
		keeper_answer_plain(k, PRIV_MAKE, r->h.number, error);
		return;
	}
	struct held *h = calloc(1, sizeof(*h));
	if (!h)
		die("out of memory");
	*h = (struct held){.keeper = k,
	                   .number = r->h.number,
	                   .slot = slot,
	                   .lifeline = -1,
	                   .control = -1,
	                   .mount_ns = -1,
	                   .background = r->background};
	snprintf(h->group, sizeof(h->group), "c%u", h->number);
	struct cgroup_limits limits = {.memory_bytes = 1ull << 30,
	                               .pids = CELL_PIDS_MAX,
	                               .cpu_weight = r->background ? 1 : 100,
	                               .cpu_quota_us = UINT32_MAX};
	error = cgroup_make(&k->cgroups, h->group);
	if (!error && (error = cgroup_limit(&k->cgroups, h->group, &limits)) == 0)
		error = spawn(h, zygote);
	if (error) {
		make_failed(h, error, "clone");
		cgroup_remove(&k->cgroups, h->group);
		k->slots[slot] = false;
		free(h);
		return;
	}
	list_push(&k->cells, &h->at);
	k->count++;
}

/* ---- dressing ---- */

/* Opened anew each time: a reset of the cloud may have replaced the directory. */
static int open_optional(struct keeper *k, const char *path)
{
	if (!path[0])
		return -1;
	int code = openat(k->data_dir, "code", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (code < 0)
		return -errno;
	int tree = root_open_tree(code, path);
	close(code);
	return tree;
}

static int open_image(struct keeper *k, const struct priv_dress_request *r)
{
	if (!r->layer_count)
		return -1;
	return k->stage < 0 ? -ENOTSUP : root_open_image(k->stage, r->layers, r->layer_count);
}

static void sweep(void *ctx)
{
	struct keeper *k = ctx;
	k->sweeping = NULL;
	share_sweep(&k->world.outbound);
}

/* Its link leads into a VPC from now on, and names are asked there. */
static int join(struct keeper *k, const struct held *h, int shared, int *ret_names)
{
	char path[40];
	snprintf(path, sizeof(path), "%d/ns/net", (int)h->pid);
	int ns = openat(k->world.host_proc_fd, path, O_RDONLY | O_CLOEXEC);
	int error = ns < 0 ? -errno : share_link(&k->world.outbound, shared, ns, k->world.host_net_ns_fd, h->slot);
	if (ns >= 0)
		close(ns);
	if (!k->sweeping)
		k->sweeping = loop_add_timer(k->loop, SWEEP_US, sweep, k);
	*ret_names = error ? -1 : k->stage < 0 ? -ENOTSUP : root_open_names(k->stage);
	return error ? error : *ret_names < 0 ? *ret_names : 0;
}

int keeper_dress(struct keeper *k, const struct priv_dress_request *r, int shared, int *ret_tmp_fd)
{
	struct held *h = keeper_find(k, r->h.number);
	if (!h || h->mount_ns < 0 || !h->pid)
		return -ESRCH;
	if (h->dressed)
		return -EALREADY;
	h->dressed = true;
	struct root_clothes clothes = {.code_fd = open_optional(k, r->code),
	                               .opt_fd = open_optional(k, r->opt),
	                               .image_fd = open_image(k, r),
	                               .names_fd = -1,
	                               .tmp_bytes = (uint64_t)r->tmp_mb << 20};
	int error = r->code[0] && clothes.code_fd < 0        ? clothes.code_fd
	            : r->opt[0] && clothes.opt_fd < 0        ? clothes.opt_fd
	            : r->layer_count && clothes.image_fd < 0 ? clothes.image_fd
	                                                     : 0;
	if (!error) {
		struct cgroup_limits limits = {.memory_bytes = guard_first_limit((uint64_t)r->memory_mb << 20),
		                               .cpu_weight = h->background ? 100 : 0};
		error = cgroup_limit(&k->cgroups, h->group, &limits);
	}
	if (!error && shared >= 0)
		error = join(k, h, shared, &clothes.names_fd);
	if (!error)
		error = root_dress(h->mount_ns, k->own_mount_ns, &clothes, ret_tmp_fd);
	if (!error && r->snapshot[0])
		error = keeper_hand_snapshot(k, h, r->snapshot);
	keeper_close_fd(&clothes.code_fd);
	keeper_close_fd(&clothes.opt_fd);
	keeper_close_fd(&clothes.image_fd);
	keeper_close_fd(&clothes.names_fd);
	return error;
}
