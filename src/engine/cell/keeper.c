/* A cell's life in here: MAKE makes its control group, clones a child and returns to the loop; the child builds the cell from the
 * inside and reports; only then is the answer sent. DRESS is short work in the cell's mount namespace. DESTROY kills; the kernel
 * then ends everything in the pid namespace, the child is reaped by the loop, its control group is removed (again later while it is
 * busy), and GONE is sent. Numbers and slots are not given out again before that. */
#include "engine/cell/keeper.h"
#include "engine/cell/child.h"
#include "engine/cell/confine.h"
#include "engine/cell/guard.h"
#include "engine/cell/proto.h"
#include "engine/cell/root.h"

#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "engine/net/link.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REMOVE_RETRY_US = 2000, REMOVE_TRIES = 1000 };

struct held {
	struct keeper *keeper;
	struct list at;
	uint32_t number;
	unsigned slot;
	pid_t pid; /* 0: reaped */
	int lifeline;
	struct loop_fd *watch; /* for the report */
	int control;           /* until it is sent with the answer */
	int mount_ns;          /* -1 until the cell is finished */
	struct guard *guard;   /* once it is dressed */
	bool dressed, background;
	unsigned tries; /* of removing the group */
	char group[CGROUP_NAME_MAX];
};

struct keeper {
	struct loop *loop;
	struct list cells;
	unsigned count;
	int sock;
	struct loop_fd *watch;
	loop_fn *gone;
	void *gone_ctx;

	bool works;
	char why_not[160];
	struct cgroups cgroups;
	bool has_cgroups, has_filter;
	struct outbound outbound;
	struct sock_fprog filter;
	int template_ns, own_mount_ns, host_proc, host_net_ns, data_dir;
	uint32_t uid_base;
	unsigned next_slot;
	bool slots[OUTBOUND_SLOTS]; /* in use: link name, addresses and uid */
};

/* ---- what is common to all cells ---- */

static void cannot(struct keeper *k, const char *what, int error)
{
	k->works = false;
	if (!k->why_not[0])
		snprintf(k->why_not, sizeof(k->why_not), "%.100s: %s", what, strerror(-error));
}

static void open_cgroups(struct keeper *k, const struct keeper_config *c)
{
	char self[4096] = "";
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, self, sizeof(self) - 1);
		self[n > 0 ? n : 0] = 0;
		close(fd);
	}
	int error = cgroups_open(&k->cgroups, c->cgroup_root, self, c->instance);
	if (error) {
		cannot(k, "no control groups", error);
		return;
	}
	k->has_cgroups = true;
	if (!k->cgroups.has[CGROUP_MEMORY] || !k->cgroups.has[CGROUP_PIDS])
		cannot(k, "control groups without memory or pids", -ENOTSUP);
	/* what a crashed priv left dies now; a process needs a moment for that */
	for (int i = 0; i < 500 && cgroups_sweep(&k->cgroups); i++)
		usleep(2000);
	cgroups_make_still(&k->cgroups);
}

static void open_template(struct keeper *k, const struct keeper_config *c)
{
	char stage[512], why[160];
	snprintf(stage, sizeof(stage), "%s/stage", c->data_dir);
	if (mkdir(stage, 0700) < 0 && errno != EEXIST) {
		cannot(k, stage, -errno);
		return;
	}
	struct root_config root = {.stage_dir = stage, .runtime_dir = c->runtime_dir, .resolver = c->resolver};
	if (root_make_template(&root, &k->template_ns, why, sizeof(why)) < 0) {
		k->works = false;
		if (!k->why_not[0])
			memcpy(k->why_not, why, sizeof(why));
	}
}

static int open_path(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC);
}

struct keeper *keeper_new(struct loop *l, const struct keeper_config *c)
{
	struct keeper *k = calloc(1, sizeof(*k));
	if (!k)
		die("out of memory");
	*k = (struct keeper){.loop = l,
	                     .sock = -1,
	                     .works = true,
	                     .template_ns = -1,
	                     .own_mount_ns = -1,
	                     .host_proc = -1,
	                     .host_net_ns = -1,
	                     .data_dir = -1,
	                     .uid_base = c->uid_base,
	                     .outbound.lock_fd = -1};
	list_init(&k->cells);
	int error = root_private_mounts();
	if (error)
		cannot(k, "no private mount namespace", error);
	k->own_mount_ns = open_path("/proc/self/ns/mnt", O_RDONLY);
	k->host_net_ns = open_path("/proc/self/ns/net", O_RDONLY);
	k->host_proc = open_path("/proc", O_PATH | O_DIRECTORY);
	k->data_dir = open_path(c->data_dir, O_PATH | O_DIRECTORY);
	if (k->own_mount_ns < 0 || k->host_net_ns < 0 || k->host_proc < 0 || k->data_dir < 0)
		cannot(k, "opening /proc or the data directory", -errno);
	open_cgroups(k, c);
	if (!error)
		open_template(k, c);
	error = confine_compile(&k->filter);
	k->has_filter = !error;
	if (error)
		cannot(k, "seccomp", error);
	error = outbound_open(&k->outbound, c->instance, c->range);
	if (error)
		cannot(k, "no free address range", error);
	return k;
}

void keeper_instance(const char *data_dir, char ret_instance[9])
{
	char *real = realpath(data_dir, NULL);
	unsigned char digest[HASH_MAX_BYTES];
	hash_of(HASH_SHA256, str_from(real ? real : data_dir), digest);
	hex_encode(digest, 4, ret_instance);
	free(real);
}

/* ---- answers ---- */

static void answer(struct keeper *k, const void *p, size_t n, const int *fds, size_t nfds)
{
	if (k->sock >= 0 && msg_send(k->sock, p, n, fds, nfds) < 0) {
		/* api does not read what it asked for, or is gone: it is in no state to go on, and main starts another */
		shutdown(k->sock, SHUT_RDWR);
	}
}

static void answer_plain(struct keeper *k, uint32_t verb, uint32_t number, int error)
{
	struct priv_answer a = {.h = {.verb = verb, .number = number}, .error = error};
	answer(k, &a, sizeof(a), NULL, 0);
}

static void answer_facts(struct keeper *k)
{
	struct priv_facts_answer a = {
	        .a.h.verb = PRIV_FACTS,
	        .cgroup_version = k->has_cgroups ? k->cgroups.version : 0,
	        .works = k->works,
	        .network = k->outbound.works,
	        .user_namespace = access("/proc/self/ns/user", F_OK) == 0,
	        .seccomp = k->has_filter,
	};
	if (k->has_cgroups) {
		a.memory_limit = k->cgroups.has[CGROUP_MEMORY];
		a.cpu_limit = k->cgroups.has[CGROUP_CPU];
		a.pids_limit = k->cgroups.has[CGROUP_PIDS];
		a.freezer = k->cgroups.has[CGROUP_FREEZER];
	}
	memcpy(a.why_not, k->why_not, sizeof(a.why_not));
	memcpy(a.why_no_network, k->outbound.why_not, sizeof(a.why_no_network));
	answer(k, &a, sizeof(a), NULL, 0);
}

/* ---- ending ---- */

static void forget(struct held *h)
{
	struct keeper *k = h->keeper;
	list_remove(&h->at);
	k->count--;
	k->slots[h->slot] = false;
	answer_plain(k, PRIV_GONE, h->number, 0);
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

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void release(struct held *h)
{
	loop_remove_fd(h->keeper->loop, h->watch);
	h->watch = NULL;
	guard_stop(h->guard);
	h->guard = NULL;
	close_fd(&h->lifeline);
	close_fd(&h->control);
	close_fd(&h->mount_ns);
}

static void end(struct held *h)
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

static int clone_child(struct keeper *k, struct child_plan *plan, const char *group, pid_t *ret_pid)
{
	struct clone_args args = {
	        .flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
	        .exit_signal = SIGCHLD,
	};
	int error = cgroup_open_join(&k->cgroups, group, plan->cgroup_join);
	int group_fd = -1;
	if (!error && k->cgroups.version == 2) {
		group_fd = plan->cgroup_join[0];
		plan->cgroup_join[0] = -1;
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)group_fd;
	}
	if (!error) {
		long pid = syscall(SYS_clone3, &args, sizeof(args));
		if (pid == 0)
			child_run(plan);
		if (pid < 0)
			error = -errno;
		else
			*ret_pid = (pid_t)pid;
	}
	if (group_fd >= 0)
		close(group_fd);
	msg_close_fds(plan->cgroup_join, CGROUP_CONTROLLERS);
	return error;
}

static int take_slot(struct keeper *k, unsigned *ret_slot)
{
	for (unsigned i = 0; i < k->outbound.slots; i++) {
		unsigned slot = (k->next_slot + i) % k->outbound.slots;
		if (k->slots[slot])
			continue;
		k->slots[slot] = true;
		k->next_slot = slot + 1;
		*ret_slot = slot;
		return 0;
	}
	return -EAGAIN;
}

static void reported(void *ctx, uint32_t events);

static int spawn(struct held *h)
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
	        .template_fd = k->template_ns,
	        .host_proc_fd = k->host_proc,
	        .host_net_ns_fd = k->host_net_ns,
	        .host_netlink = k->outbound.works ? link_socket() : -1,
	        .control = control[1],
	        .lifeline = lifeline[1],
	        .outbound = &k->outbound,
	        .slot = h->slot,
	        .uid = k->uid_base + k->outbound.share * OUTBOUND_SLOTS + h->slot,
	        .filter = &k->filter,
	};
	error = clone_child(k, &plan, h->group, &h->pid);
	if (plan.host_netlink >= 0)
		close(plan.host_netlink);
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
	int fds[CELL_FDS] = {h->control, listeners[0], listeners[1], -1, -1, -1, -1}, sent[CELL_FDS];
	static const enum cgroup_file files[] = {CGROUP_FILE_FREEZE, CGROUP_FILE_CPU_QUOTA, CGROUP_FILE_MEMORY_PEAK,
	                                         CGROUP_FILE_OOM_EVENTS};
	for (int i = 0; i < 4; i++)
		fds[CELL_FD_FREEZE + i] = cgroup_open_file(&k->cgroups, h->group, files[i]);
	size_t n = 0;
	for (int i = 0; i < CELL_FDS; i++)
		if (fds[i] >= 0) {
			a.present |= 1u << i;
			sent[n++] = fds[i];
		}
	answer(k, &a, sizeof(a), sent, n);
	msg_close_fds(fds + CELL_FD_FREEZE, 4);
	close_fd(&h->control);
}

static void make_failed(struct held *h, int error, const char *what)
{
	log_warn("cell %u: %s: %s", h->number, what, strerror(-error));
	answer_plain(h->keeper, PRIV_MAKE, h->number, error);
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
		end(h);
		return;
	}
	char path[40];
	snprintf(path, sizeof(path), "%d/ns/mnt", (int)h->pid);
	h->mount_ns = openat(h->keeper->host_proc, path, O_RDONLY | O_CLOEXEC);
	if (h->mount_ns < 0) {
		make_failed(h, -errno, "opening its mount namespace");
		end(h);
	} else {
		answer_made(h, listeners);
	}
	msg_close_fds(listeners, 2);
}

static struct held *find(struct keeper *k, uint32_t number)
{
	list_each (&k->cells, struct held, at, h)
		if (h->number == number)
			return h;
	return NULL;
}

static void make(struct keeper *k, const struct priv_make_request *r)
{
	unsigned slot;
	if (!k->works || find(k, r->h.number)) {
		answer_plain(k, PRIV_MAKE, r->h.number, k->works ? -EEXIST : -ENOTSUP);
		return;
	}
	int error = take_slot(k, &slot);
	if (error) {
		answer_plain(k, PRIV_MAKE, r->h.number, error);
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
		error = spawn(h);
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

static int dress(struct keeper *k, const struct priv_dress_request *r, int *ret_tmp_fd)
{
	struct held *h = find(k, r->h.number);
	if (!h || h->mount_ns < 0 || !h->pid)
		return -ESRCH;
	if (h->dressed)
		return -EALREADY;
	h->dressed = true;
	int code = open_optional(k, r->code), opt = open_optional(k, r->opt);
	int error = r->code[0] && code < 0 ? code : r->opt[0] && opt < 0 ? opt : 0;
	if (!error) {
		struct cgroup_limits limits = {.memory_bytes = guard_first_limit((uint64_t)r->memory_mb << 20),
		                               .cpu_weight = h->background ? 100 : 0};
		error = cgroup_limit(&k->cgroups, h->group, &limits);
	}
	if (!error)
		error = root_dress(h->mount_ns, k->own_mount_ns, code, opt, (uint64_t)r->tmp_mb << 20, ret_tmp_fd);
	if (code >= 0)
		close(code);
	if (opt >= 0)
		close(opt);
	return error;
}

/* ---- requests ---- */

static bool terminated(const char *text, size_t cap)
{
	return memchr(text, 0, cap) != NULL;
}

int keeper_check_request(const void *p, size_t n)
{
	union priv_request r;
	if (n < sizeof(r.h) || n > sizeof(r))
		return -EINVAL;
	memcpy(&r, p, n);
	if ((r.h.number == 0) != (r.h.verb == PRIV_FACTS))
		return -EINVAL;
	switch (r.h.verb) {
	case PRIV_FACTS:
		return n == sizeof(r.facts) ? 0 : -EINVAL;
	case PRIV_MAKE:
		return n == sizeof(r.make) && r.make.background <= 1 ? 0 : -EINVAL;
	case PRIV_DRESS:
		if (n != sizeof(r.dress) || !terminated(r.dress.code, sizeof(r.dress.code)) ||
		    !terminated(r.dress.opt, sizeof(r.dress.opt)))
			return -EINVAL;
		return r.dress.memory_mb >= CELL_MEMORY_MB_MIN && r.dress.memory_mb <= CELL_MEMORY_MB_MAX &&
		                       r.dress.tmp_mb >= CELL_TMP_MB_MIN && r.dress.tmp_mb <= CELL_TMP_MB_MAX
		               ? 0
		               : -EINVAL;
	case PRIV_DESTROY:
		return n == sizeof(r.destroy) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static void obey(struct keeper *k, const union priv_request *r)
{
	struct held *h;
	int tmp = -1, error;
	switch (r->h.verb) {
	case PRIV_FACTS:
		answer_facts(k);
		break;
	case PRIV_MAKE:
		make(k, &r->make);
		break;
	case PRIV_DRESS:
		error = dress(k, &r->dress, &tmp);
		answer_plain(k, PRIV_DRESS, r->h.number, error);
		/* after the answer: the function need not wait for it */
		h = error ? NULL : find(k, r->h.number);
		if (h)
			h->guard = guard_start(k->loop, &k->cgroups, h->group, tmp, (uint64_t)r->dress.memory_mb << 20);
		break;
	case PRIV_DESTROY:
		h = find(k, r->h.number);
		if (h)
			end(h);
		break;
	default:
		break;
	}
}

static void readable(void *ctx, uint32_t events)
{
	(void)events;
	struct keeper *k = ctx;
	/* a bounded number a round, so that reports of children are not kept waiting */
	for (int i = 0; i < 16; i++) {
		union priv_request r;
		ssize_t n = msg_recv(k->sock, &r, sizeof(r), NULL, 0, NULL);
		if (n == -EAGAIN)
			return;
		if (n <= 0 || keeper_check_request(&r, (size_t)n) < 0) {
			/* closed, or something that api never says: whoever speaks there is not to be trusted any more */
			if (n != 0)
				log_error("a request that is none: closing");
			loop_remove_fd(k->loop, k->watch);
			k->watch = NULL;
			close_fd(&k->sock);
			list_each (&k->cells, struct held, at, h)
				end(h);
			k->gone(k->gone_ctx);
			return;
		}
		obey(k, &r);
	}
}

void keeper_serve(struct keeper *k, int sock, loop_fn *gone, void *ctx)
{
	if (k->watch)
		loop_remove_fd(k->loop, k->watch);
	close_fd(&k->sock);
	list_each (&k->cells, struct held, at, h)
		end(h);
	k->sock = sock;
	k->gone = gone;
	k->gone_ctx = ctx;
	k->watch = loop_add_fd(k->loop, sock, EPOLLIN, readable, k);
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	loop_remove_fd(k->loop, k->watch);
	close_fd(&k->sock);
	list_each (&k->cells, struct held, at, h)
		end(h);
	while (k->count)
		loop_turn(k->loop, 100000);
	if (k->outbound.lock_fd >= 0)
		outbound_close(&k->outbound);
	if (k->has_cgroups)
		cgroups_close(&k->cgroups, true);
	unlinkat(k->data_dir, "stage", AT_REMOVEDIR);
	free(k->filter.filter);
	close_fd(&k->template_ns);
	close_fd(&k->own_mount_ns);
	close_fd(&k->host_proc);
	close_fd(&k->host_net_ns);
	close_fd(&k->data_dir);
	free(k);
}
