/* A machine's control group is called m<slot>, and its user id is the slot's. A group that is there is a slot in use, whoever
 * started what is in it: so a new warden needs no list. */
#include "engine/vm/warden.h"
#include "engine/vm/shim.h"
#include "engine/vm/warden_box.h"
#include "engine/vm/warden_kvm.h"
#include "engine/vm/warden_state.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "engine/cell/confine.h"
#include "engine/cell/root.h"
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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	REMOVE_AGAIN_US = 20 * 1000,
	REMOVE_TRIES = 500,
	PIDS = 512,
	BOX_PIDS = 8192,
	END_PATIENCE_US = 8 * 1000000,
	SPARES_END_US = 2 * 1000000,
	GROUP_FDS = 4, /* of a container: two of cgroup_delegate(), that of cgroup_open_outside(), its memory in use */
	HIGH_FD = 600, /* above what the child still uses, below its limit */
	OFFERS_FD = 700,
};
static const char program[] = "/usr/bin/qemu-system-x86_64";

void warden_group_name(unsigned slot, char ret[CGROUP_NAME_MAX])
{
	snprintf(ret, CGROUP_NAME_MAX, "m%u", slot);
}

static bool has_processors(const struct warden_request *r)
{
	return r->vcpus >= 1 && r->vcpus <= MACHINE_VCPUS_MAX && r->cpu_percent >= 1 && r->cpu_percent <= r->vcpus * 100;
}

int warden_check(const void *p, unsigned long n, unsigned long nfds)
{
	struct warden_request r;
	if (n != sizeof(r))
		return -EINVAL;
	memcpy(&r, p, n);
	if (r.verb == WARDEN_FACTS || r.verb == WARDEN_KILL)
		return nfds == 0 && r.number < MACHINE_SLOTS ? 0 : -EINVAL;
	if (r.verb == WARDEN_CPU)
		return nfds == 0 && r.number < MACHINE_SLOTS && has_processors(&r) ? 0 : -EINVAL;
	if (r.verb == WARDEN_BLOCK || r.verb == WARDEN_LINK)
		return warden_box_check(&r, nfds);
	if (r.verb != WARDEN_START || r.has_kernel > 1 || r.is_box > 1 || r.kvm > 1 || r.port_count > 8 ||
	    (r.is_box && (r.has_kernel || r.port_count || r.kvm)) ||
	    nfds != (r.has_kernel ? WARDEN_FDS : WARDEN_FD_KERNEL) + r.port_count)
		return -EINVAL;
	if (!has_processors(&r) || r.memory_mb < MACHINE_MEMORY_MB_MIN || r.memory_mb > MACHINE_MEMORY_MB_MAX)
		return -EINVAL;
	if (!memchr(r.name, 0, sizeof(r.name)) || !memchr(r.cmdline, 0, sizeof(r.cmdline)) || !r.name[0])
		return -EINVAL;
	/* it becomes a part of an option that has commas */
	for (const char *c = r.name; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-'))
			return -EINVAL;
	return 0;
}

/* ---- in the child ---- */

static int enter_sandbox(const struct warden *w, bool kvm, unsigned slot, const int *join)
{
	dev_t device = 0;
	int error = kvm ? warden_kvm_device(&device) : 0;
	if (!error)
		error = cgroup_join(join);
	if (!error && sethostname("machine", 7) < 0)
		error = -errno;
	if (!error)
		error = root_enter(w->world->template_fd, w->uid_base + slot, 1 << 20);
	if (!error && kvm)
		error = warden_kvm_show(device);
	if (!error)
		error = confine_identity(w->uid_base + slot, w->world->host_proc_fd);
	/* cells end with priv; a machine does not. Its /proc shows QEMU to its shim, which wants to know its processor time. */
	if (!error && prctl(PR_SET_PDEATHSIG, 0) < 0)
		error = -errno;
	return error;
}

static _Noreturn void child(const struct warden *w, const struct warden_request *r, unsigned slot, const int *fds, const int *join,
                            const int *delegated, int report)
{
	unsigned n = r->is_box ? 1 : (r->has_kernel ? WARDEN_FDS : WARDEN_FD_KERNEL) + r->port_count;
	int kept[WARDEN_FDS + 8];
	if (r->is_box)
		fds = &report; /* on which it hears whose it is */
	setsid();
	setpriority(PRIO_PROCESS, 0, 0);
	int32_t error = r->is_box ? cgroup_join(join) : enter_sandbox(w, r->kvm, slot, join);
	if (!error && r->is_box)
		error = warden_box_enter(w->world, w->uid_base, slot, report, OFFERS_FD);
	/* above the places of the others, which come next */
	int groups[GROUP_FDS] = {-1, -1, -1, -1};
	for (int i = 0; i < GROUP_FDS && r->is_box && !error; i++)
		if (delegated[i] >= 0 && (groups[i] = fcntl(delegated[i], F_DUPFD_CLOEXEC, HIGH_FD - GROUP_FDS)) < 0)
			error = -errno;
	for (unsigned i = 0; i < n && !error; i++)
		if ((kept[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, HIGH_FD)) < 0)
			error = -errno;
	if (write(report, &error, sizeof(error)) != sizeof(error) || error)
		_exit(1);
	struct sock_fprog filter = r->is_box ? *w->box_filter : w->world->filter;
	close_range(0, HIGH_FD - (r->is_box ? GROUP_FDS + 1 : 1), 0);
	close_range(HIGH_FD + n, r->is_box ? OFFERS_FD - 1 : ~0u, 0);
	close_range(OFFERS_FD + BOX_OFFER_MOUNT + 1, ~0u, 0);
	for (int i = 0; i < 3; i++)
		if (open("/dev/null", O_RDWR) < 0)
			_exit(1);
	prctl(PR_SET_NAME, "quartet-shim");
	struct shim_plan plan = {
	        .request = r,
	        .slot = slot,
	        .claim = r->is_box ? kept[0] : -1,
	        .listen = r->is_box ? -1 : kept[WARDEN_FD_LISTEN],
	        .console = r->is_box ? -1 : kept[WARDEN_FD_CONSOLE],
	        .files = kept + WARDEN_FD_KERNEL,
	        .join = groups[0],
	        .cpu_stat = groups[1],
	        .outside = groups[2],
	        .memory = groups[3],
	        .offers = OFFERS_FD,
	        .filter = filter.len ? &filter : NULL,
	};
	shim_run(&plan);
}

/* ---- in priv ---- */

static void remove_group(void *ctx)
{
	struct held_machine *m = ctx;
	struct warden *w = m->warden;
	char group[CGROUP_NAME_MAX];
	m->again = NULL;
	warden_group_name(m->slot, group);
	cgroup_kill(w->cgroups, group);
	if (cgroup_remove(w->cgroups, group) != 0 && m->tries++ < REMOVE_TRIES) {
		m->again = loop_add_timer(w->loop, REMOVE_AGAIN_US, remove_group, m);
		return;
	}
	list_remove(&m->at);
	free(m);
}

static void shim_ended(void *ctx, int status)
{
	(void)status;
	struct held_machine *m = ctx;
	m->pid = 0;
	loop_remove_timer(m->warden->loop, m->again);
	remove_group(m);
}

struct held_machine *warden_hold(struct warden *w, unsigned slot, pid_t pid)
{
	struct held_machine *m = calloc(1, sizeof(*m));
	if (!m)
		die("out of memory");
	*m = (struct held_machine){.warden = w, .slot = slot, .pid = pid};
	list_push(&w->machines, &m->at);
	if (pid && loop_add_child(w->loop, pid, shim_ended, m) < 0)
		die("cannot watch a machine");
	return m;
}

int warden_take_slot(struct warden *w, unsigned *ret_slot)
{
	char group[CGROUP_NAME_MAX];
	for (unsigned i = 0; i < MACHINE_SLOTS; i++) {
		unsigned slot = (w->next_slot + i) % MACHINE_SLOTS;
		warden_group_name(slot, group);
		int error = cgroup_make(w->cgroups, group);
		if (error == -EEXIST)
			continue;
		if (!error) {
			*ret_slot = slot;
			w->next_slot = slot + 1;
		}
		return error;
	}
	return -EAGAIN;
}

static uint32_t cpu_quota(const struct warden_request *r)
{
	uint32_t us = (uint32_t)((uint64_t)CGROUP_CPU_PERIOD_US * r->cpu_percent / 100);
	return us < CGROUP_CPU_MIN_US ? CGROUP_CPU_MIN_US : us;
}

static void limit_cpu(struct warden *w, const struct warden_request *r)
{
	char group[CGROUP_NAME_MAX];
	warden_group_name(r->number, group);
	int error = cgroup_limit(w->cgroups, group, &(struct cgroup_limits){.cpu_quota_us = cpu_quota(r)});
	/* one that has ended is limited enough */
	if (error && error != -ENOENT)
		log_warn("a machine's processor time cannot be limited: %s", strerror(-error));
}

int warden_limit(struct warden *w, const struct warden_request *r, unsigned slot)
{
	char group[CGROUP_NAME_MAX];
	struct cgroup_limits limits = {
	        .memory_bytes = (uint64_t)(r->memory_mb + (r->is_box ? BOX_OVERHEAD_MB : MACHINE_OVERHEAD_MB)) << 20,
	        .pids = r->is_box ? BOX_PIDS : PIDS,
	        .cpu_weight = 100,
	        .cpu_quota_us = cpu_quota(r),
	};
	warden_group_name(slot, group);
	return cgroup_limit(w->cgroups, group, &limits);
}

int warden_clone(struct warden *w, const struct warden_request *r, const int *fds, unsigned slot, pid_t *ret_pid, int *ret_report)
{
	int join[CGROUP_CONTROLLERS], report[2], delegated[GROUP_FDS] = {-1, -1, -1, -1};
	char group[CGROUP_NAME_MAX];
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		join[i] = -1;
	warden_group_name(slot, group);
	int32_t error = cgroup_open_join(w->cgroups, group, join);
	if (!error && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) < 0)
		error = -errno;
	if (error) {
		msg_close_fds(join, CGROUP_CONTROLLERS);
		return error;
	}
	if (r->is_box)
		error = cgroup_delegate(w->cgroups, group, BOX_UID_BASE + slot * BOX_UIDS, delegated);
	if (r->is_box && !error && (delegated[2] = cgroup_open_outside(w->cgroups)) < -1)
		error = delegated[2];
	if (r->is_box && !error)
		delegated[3] = cgroup_open_file(w->cgroups, group, CGROUP_FILE_MEMORY_NOW); /* negative: nobody counts it here */
	struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_CLEAR_SIGHAND,
	                          .exit_signal = SIGCHLD};
	int nothing[CGROUP_CONTROLLERS];
	memset(nothing, 0xff, sizeof(nothing)); /* -1 each */
	if (w->cgroups->version == 2) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)join[0];
	}
	long pid = error ? -1 : syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		close(report[0]);
		child(w, r, slot, fds, w->cgroups->version == 2 ? nothing : join, delegated, report[1]);
	}
	if (!error && pid < 0)
		error = -errno;
	msg_close_fds(join, CGROUP_CONTROLLERS);
	msg_close_fds(delegated, GROUP_FDS);
	close(report[1]);
	if (error) {
		close(report[0]);
		return error;
	}
	*ret_pid = (pid_t)pid;
	*ret_report = report[0];
	return 0;
}

/* Until the sandbox stands: some milliseconds of mounts. */
static int spawn(struct warden *w, const struct warden_request *r, const int *fds, unsigned slot, pid_t *ret_pid)
{
	int report;
	int32_t error = warden_clone(w, r, fds, slot, ret_pid, &report);
	if (error)
		return error;
	if (read(report, &error, sizeof(error)) != sizeof(error))
		error = -EIO;
	close(report);
	if (error) {
		kill(*ret_pid, SIGKILL);
		while (waitpid(*ret_pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return error;
}

static void start(struct warden *w, const struct warden_request *r, const int *fds)
{
	struct warden_answer a = {.verb = WARDEN_START, .number = r->number};
	char group[CGROUP_NAME_MAX];
	pid_t pid = 0;
	a.error = access(program, X_OK) < 0 || w->world->template_fd < 0 ? -ENOTSUP : warden_take_slot(w, &a.slot);
	if (!a.error) {
		warden_group_name(a.slot, group);
		a.error = warden_limit(w, r, a.slot);
		if (!a.error)
			a.error = spawn(w, r, fds, a.slot, &pid);
		if (a.error)
			cgroup_remove(w->cgroups, group);
		else
			warden_hold(w, a.slot, pid);
	}
	if (a.error)
		log_warn("a machine cannot be started: %s", strerror(-a.error));
	msg_send(w->sock, &a, sizeof(a), NULL, 0);
}

static void kill_slot(struct warden *w, unsigned slot)
{
	char group[CGROUP_NAME_MAX];
	warden_group_name(slot, group);
	cgroup_kill(w->cgroups, group);
	list_each (&w->machines, struct held_machine, at, m)
		if (m->slot == slot)
			return; /* its end removes the group */
	remove_group(warden_hold(w, slot, 0));
}

static void answer_facts(struct warden *w)
{
	struct warden_facts f = {.a = {.verb = WARDEN_FACTS}, .works = 1};
	const char *why = access(program, X_OK) < 0                                      ? "QEMU (qemu-system-x86) is not installed"
	                  : w->world->template_fd < 0 || !w->cgroups->has[CGROUP_MEMORY] ? "sandboxes do not work on this machine"
	                                                                                 : NULL;
	if (why) {
		f.works = 0;
		snprintf(f.why_not, sizeof(f.why_not), "%s", why);
	}
	why = w->world->template_fd < 0 || !w->cgroups->has[CGROUP_MEMORY] ? "sandboxes do not work on this machine"
	                                                                   : warden_box_why_not(w->cgroups);
	f.boxes_work = !why;
	snprintf(f.no_boxes, sizeof(f.no_boxes), "%s", why ? why : "");
	warden_kvm_boot(f.kvm_boot, sizeof(f.kvm_boot));
	msg_send(w->sock, &f, sizeof(f), NULL, 0);
}

/* BLOCK waits for a storage daemon, LINK for the kernel, and priv waits for nobody: a child does it and answers. */
struct job {
	struct warden *warden;
	struct warden_answer failed; /* what is answered if it does not */
};

static void job_ended(void *ctx, int status)
{
	struct job *job = ctx;
	if (status != 0)
		msg_send(job->warden->sock, &job->failed, sizeof(job->failed), NULL, 0);
	free(job);
}

static void do_job(struct warden *w, const struct warden_request *r, const int *fds)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		die("out of memory");
	*job = (struct job){.warden = w, .failed = {.verb = r->verb, .number = r->number, .slot = r->slot, .error = -EIO}};
	pid_t pid = fork();
	if (pid == 0) {
		struct warden_answer a = job->failed;
		int made[2] = {-1, -1};
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody hears the answer then */
		bool block = r->verb == WARDEN_BLOCK;
		a.error = block ? warden_box_block(r, fds, made) : warden_box_link(w->world, r, fds);
		if (a.error)
			log_warn("a container's %s cannot be made: %s", block ? "disk" : "network link", strerror(-a.error));
		_exit(msg_send(w->sock, &a, sizeof(a), made, block && !a.error ? 2 : 0) < 0);
	}
	if (pid < 0 || loop_add_child(w->loop, pid, job_ended, job) < 0)
		job_ended(job, 1);
}

static void stop_serving(struct warden *w)
{
	loop_remove_fd(w->loop, w->watch);
	w->watch = NULL;
	if (w->sock >= 0)
		close(w->sock);
	w->sock = -1;
}

static void readable(void *ctx, uint32_t events)
{
	(void)events;
	struct warden *w = ctx;
	struct warden_request r;
	int fds[MSG_MAX_FDS];
	size_t nfds;
	ssize_t n = msg_recv(w->sock, &r, sizeof(r), fds, MSG_MAX_FDS, &nfds);
	if (n == -EAGAIN)
		return;
	if (n <= 0 || warden_check(&r, (size_t)n, nfds) < 0) {
		msg_close_fds(fds, nfds);
		if (n != 0)
			log_error("a request for a machine that is none: closing");
		stop_serving(w);
		return;
	}
	if (r.verb == WARDEN_START && r.is_box)
		warden_start_box(w, &r, fds);
	else if (r.verb == WARDEN_START)
		start(w, &r, fds);
	else if (r.verb == WARDEN_KILL)
		kill_slot(w, r.number);
	else if (r.verb == WARDEN_CPU)
		limit_cpu(w, &r);
	else if (r.verb == WARDEN_FACTS)
		answer_facts(w);
	else
		do_job(w, &r, fds);
	msg_close_fds(fds, nfds);
}

void warden_serve(struct warden *w, int sock)
{
	stop_serving(w);
	w->sock = sock;
	w->watch = loop_add_fd(w->loop, sock, EPOLLIN, readable, w);
}

struct warden *warden_new(struct loop *l, const struct child_world *world, struct cgroups *cgroups, uid_t uid_base)
{
	struct warden *w = calloc(1, sizeof(*w));
	if (!w)
		die("out of memory");
	*w = (struct warden){.loop = l, .world = world, .cgroups = cgroups, .uid_base = uid_base, .sock = -1};
	list_init(&w->machines);
	list_init(&w->spares);
	return w;
}

/* Machines that an earlier priv started too. */
static void end_others(struct warden *w)
{
	for (unsigned slot = 0; slot < MACHINE_SLOTS; slot++) {
		char group[CGROUP_NAME_MAX];
		warden_group_name(slot, group);
		if (cgroup_kill(w->cgroups, group) == 0)
			kill_slot(w, slot);
	}
}

static bool has_spares(struct warden *w)
{
	list_each (&w->machines, struct held_machine, at, m)
		if (m->spare)
			return true;
	return false;
}

void warden_free(struct warden *w, bool keep)
{
	if (!w)
		return;
	stop_serving(w);
	warden_drop_spares(w);
	loop_remove_timer(w->loop, w->expire);
	for (int64_t until = clock_mono_us() + SPARES_END_US; has_spares(w) && clock_mono_us() < until;)
		loop_turn(w->loop, 10000);
	if (!keep) {
		list_each (&w->machines, struct held_machine, at, m)
			if (m->pid)
				kill(m->pid, SIGTERM);
		for (int64_t until = clock_mono_us() + END_PATIENCE_US; !list_empty(&w->machines) && clock_mono_us() < until;)
			loop_turn(w->loop, 50000);
		end_others(w);
		for (int64_t until = clock_mono_us() + END_PATIENCE_US / 4; !list_empty(&w->machines) && clock_mono_us() < until;)
			loop_turn(w->loop, 10000);
	}
	list_each (&w->machines, struct held_machine, at, m) {
		loop_remove_timer(w->loop, m->again);
		list_remove(&m->at);
		free(m);
	}
	free(w);
}
