/* A task's control group is called t<slot>: t<slot>/s holds the shim, t<slot>/w what its containers may use together, and in that
 * one c<index> is a container's own. A group that is there is a slot in use, whoever started what is in it: so a new steward needs
 * no list. The slot's user ids and its file in DATA/scratch have the same number. */
#include "engine/oci/steward.h"
#include "engine/oci/child.h"
#include "engine/oci/runtime.h"
#include "engine/oci/scratch.h"
#include "engine/oci/unpack.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "engine/vm/warden_box.h"
#include "io/msg.h"

#include <dirent.h>
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
#include <sys/wait.h>
#include <unistd.h>

enum {
	REMOVE_AGAIN_US = 20 * 1000,
	REMOVE_TRIES = 500,
	END_PATIENCE_US = 5 * 1000000,
	SHIM_PIDS = 128,
	SWEEPS = 5,
	SWEEP_US = 2 * 1000000
};

struct held_task {
	struct steward *steward;
	struct list at;
	unsigned slot;
	pid_t pid;  /* 0: not our child, or reaped */
	int report; /* until the sandbox stands; then -1 */
	struct loop_fd *watch;
	struct steward_answer answer; /* what is said if it does not */
	unsigned tries;
	struct loop_timer *again;
};

/* A child that unpacks or removes layers, and answers by itself. */
struct job {
	struct steward *steward;
	struct list at;
	struct steward_answer failed;
	int report;
	pid_t pid;
	struct loop_fd *watch;
};

struct steward {
	struct loop *loop;
	const struct child_world *world;
	struct cgroups *cgroups;
	struct sock_fprog filter;
	int layers, scratch; /* DATA/layers, DATA/scratch */
	struct served {
		struct steward *steward;
		int sock; /* -1: nobody */
		struct loop_fd *watch;
	} served[STEWARD_CHANNELS];
	struct list tasks, jobs;
	unsigned next_slot, next_job;
	struct layer_keep keep; /* gathered from TRIMs */
	struct loop_timer *sweeper;
	unsigned sweeps;
};

static void group_name(unsigned slot, const char *below, char ret[CGROUP_NAME_MAX])
{
	snprintf(ret, CGROUP_NAME_MAX, "t%u%s", slot, below);
}

static void answer(struct steward *s, const struct steward_answer *a)
{
	int sock = s->served[a->verb >= STEWARD_UNPACK ? STEWARD_OF_LAYERS : STEWARD_OF_TASKS].sock;
	if (sock >= 0)
		msg_send(sock, a, sizeof(*a), NULL, 0);
}

/* ---- the end of a task ---- */

static void remove_task(void *ctx)
{
	struct held_task *t = ctx;
	struct steward *s = t->steward;
	char group[CGROUP_NAME_MAX];
	t->again = NULL;
	group_name(t->slot, "", group);
	cgroup_kill(s->cgroups, group);
	/* the group goes last: until then nobody else gets the slot */
	if (t->pid || cgroup_remove(s->cgroups, group) != 0) {
		if (t->tries++ < REMOVE_TRIES) {
			t->again = loop_add_timer(s->loop, REMOVE_AGAIN_US, remove_task, t);
			return;
		}
		log_warn("task slot %u cannot be cleared", t->slot);
	} else {
		scratch_remove(s->scratch, t->slot);
	}
	list_remove(&t->at);
	free(t);
}

static void stop_listening(struct held_task *t)
{
	loop_remove_fd(t->steward->loop, t->watch);
	t->watch = NULL;
	if (t->report >= 0)
		close(t->report);
	t->report = -1;
}

static void shim_ended(void *ctx, int status)
{
	(void)status;
	struct held_task *t = ctx;
	t->pid = 0;
	if (t->report >= 0) {
		/* it may have said why just before */
		struct steward_answer a;
		if (recv(t->report, &a, sizeof(a), MSG_DONTWAIT) == sizeof(a) && a.error)
			t->answer = a;
		stop_listening(t);
		answer(t->steward, &t->answer);
	}
	loop_remove_timer(t->steward->loop, t->again);
	remove_task(t);
}

static struct held_task *hold(struct steward *s, unsigned slot, pid_t pid, int report)
{
	struct held_task *t = calloc(1, sizeof(*t));
	if (!t)
		die("out of memory");
	*t = (struct held_task){.steward = s, .slot = slot, .pid = pid, .report = report};
	list_push(&s->tasks, &t->at);
	if (pid && loop_add_child(s->loop, pid, shim_ended, t) < 0)
		die("cannot watch a task");
	return t;
}

static void kill_slot(struct steward *s, unsigned slot)
{
	char group[CGROUP_NAME_MAX];
	group_name(slot, "", group);
	cgroup_kill(s->cgroups, group);
	list_each (&s->tasks, struct held_task, at, t)
		if (t->slot == slot) {
			if (t->pid)
				kill(t->pid, SIGKILL); /* perhaps on its way into the group */
			return;                        /* its end removes the group */
		}
	remove_task(hold(s, slot, 0, -1));
}

/* ---- START ---- */

static int take_slot(struct steward *s, unsigned *ret_slot)
{
	char group[CGROUP_NAME_MAX];
	for (unsigned i = 0; i < STEWARD_SLOTS; i++) {
		unsigned slot = (s->next_slot + i) % STEWARD_SLOTS;
		group_name(slot, "", group);
		int error = cgroup_make(s->cgroups, group);
		if (error == -EEXIST)
			continue;
		if (!error) {
			*ret_slot = slot;
			s->next_slot = slot + 1;
		}
		return error;
	}
	return -EAGAIN;
}

static int make_group(struct steward *s, unsigned slot, const char *below, const struct cgroup_limits *limits, bool share)
{
	char group[CGROUP_NAME_MAX];
	group_name(slot, below, group);
	int error = below[0] ? cgroup_make(s->cgroups, group) : 0;
	if (!error && limits)
		error = cgroup_limit(s->cgroups, group, limits);
	if (!error && share)
		error = cgroup_share(s->cgroups, group);
	return error;
}

static int make_groups(struct steward *s, const struct steward_request *r, unsigned slot)
{
	const struct cgroup_limits shim = {.memory_bytes = (uint64_t)STEWARD_OVERHEAD_MB << 20, .pids = SHIM_PIDS};
	struct cgroup_limits work = {
	        .memory_bytes = r->memory_bytes,
	        .pids = TASK_PIDS,
	        .cpu_weight = 100,
	        .cpu_quota_us = r->cpu_units ? (uint32_t)((uint64_t)CGROUP_CPU_PERIOD_US * r->cpu_units / 1024) : 0,
	};
	char below[16];
	if (work.cpu_quota_us && work.cpu_quota_us < CGROUP_CPU_MIN_US)
		work.cpu_quota_us = CGROUP_CPU_MIN_US;
	int error = make_group(s, slot, "", NULL, true);
	if (!error)
		error = make_group(s, slot, "/s", &shim, false);
	if (!error)
		error = make_group(s, slot, "/w", &work, true);
	for (unsigned i = 0; i < r->container_count && !error; i++) {
		const struct steward_container *k = &r->containers[i];
		uint32_t weight = (k->cpu_units ? k->cpu_units : 2) * 100 / 1024;
		struct cgroup_limits own = {.memory_bytes = k->memory_bytes,
		                            .memory_soft_bytes = k->memory_soft_bytes,
		                            .cpu_weight = weight < 1       ? 1
		                                          : weight > 10000 ? 10000
		                                                           : weight};
		snprintf(below, sizeof(below), "/w/c%u", i);
		error = make_group(s, slot, below, &own, false);
	}
	return error;
}

static int open_groups(struct steward *s, const struct steward_request *r, unsigned slot, struct task_groups *g)
{
	char group[CGROUP_NAME_MAX], below[16];
	memset(g, 0xff, sizeof(*g));
	group_name(slot, "/s", group);
	int error = cgroup_open_join(s->cgroups, group, g->join);
	for (unsigned i = 0; i < r->container_count && !error; i++) {
		snprintf(below, sizeof(below), "/w/c%u", i);
		group_name(slot, below, group);
		error = cgroup_open_look(s->cgroups, group, g->look[i]);
		error = error ? error : cgroup_open_procs(s->cgroups, group, g->containers[i]);
		for (int f = CGROUP_FILE_MEMORY_PEAK; f < CGROUP_FILES; f++)
			g->files[i][f] = cgroup_open_file(s->cgroups, group, (enum cgroup_file)f);
	}
	return error;
}

static void sandbox_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct held_task *t = ctx;
	struct steward_answer a;
	ssize_t n = recv(t->report, &a, sizeof(a), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(a) || a.error)
		a = n == sizeof(a) ? a : t->answer;
	stop_listening(t);
	a.why[sizeof(a.why) - 1] = 0;
	answer(t->steward, &a);
}

static int spawn(struct steward *s, const struct steward_request *r, const int *fds, unsigned slot)
{
	static struct task_groups groups;
	int report[2] = {-1, -1}, error = open_groups(s, r, slot, &groups);
	if (!error && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) < 0)
		error = -errno;
	struct clone_args args = {.flags = CLONE_NEWPID | CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	if (s->cgroups->version == 2) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)groups.join[0];
	}
	long pid = error ? -1 : syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		if (s->cgroups->version == 2)
			memset(groups.join, 0xff, sizeof(groups.join));
		struct task_child c = {.world = s->world,
		                       .request = r,
		                       .filter = &s->filter,
		                       .groups = &groups,
		                       .fds = fds,
		                       .layers = s->layers,
		                       .scratch = s->scratch,
		                       .report = report[1],
		                       .slot = slot,
		                       .cgroup_version = s->cgroups->version};
		task_child_run(&c);
	}
	if (!error && pid < 0)
		error = -errno;
	msg_close_fds(groups.join, CGROUP_CONTROLLERS);
	for (unsigned i = 0; i < r->container_count; i++) {
		msg_close_fds(groups.containers[i], CGROUP_CONTROLLERS);
		msg_close_fds(groups.look[i], CGROUP_CONTROLLERS);
		msg_close_fds(groups.files[i], CGROUP_FILES);
	}
	if (report[1] >= 0)
		close(report[1]);
	if (error) {
		if (report[0] >= 0)
			close(report[0]);
		return error;
	}
	struct held_task *t = hold(s, slot, (pid_t)pid, report[0]);
	t->answer = (struct steward_answer){
	        .verb = r->verb, .number = r->number, .error = -EIO, .slot = slot, .why = "the sandbox ended"};
	t->watch = loop_add_fd(s->loop, t->report, EPOLLIN, sandbox_speaks, t);
	return 0;
}

/* 0; -ENOTSUP: ret says what to do about it. */
static int look_around(const struct steward *s, unsigned runtime, char *ret, size_t cap)
{
	const struct oci_runtime *r = oci_runtime(runtime);
	if (access(r->program, X_OK) < 0) {
		snprintf(ret, cap, "the container runtime %s is not installed (%s): %s", r->name, r->program, r->advice);
		return -ENOTSUP;
	}
	const char *why = s->world->template_fd < 0 || !s->cgroups->has[CGROUP_MEMORY] ? "sandboxes do not work on this machine"
	                  : access("/usr/sbin/mke2fs", X_OK) < 0                       ? "mke2fs (e2fsprogs) is not installed"
	                  : access("/dev/loop-control", F_OK) < 0 ? "this machine has no /dev/loop-control (module loop)"
	                  : s->layers < 0 || s->scratch < 0 || !s->filter.len ? "the data directory cannot be used"
	                                                                      : NULL;
	if (why)
		snprintf(ret, cap, "%s", why);
	return why ? -ENOTSUP : 0;
}

static void start(struct steward *s, const struct steward_request *r, const int *fds)
{
	struct steward_answer a = {.verb = STEWARD_START, .number = r->number};
	char group[CGROUP_NAME_MAX];
	a.error = look_around(s, r->runtime, a.why, sizeof(a.why));
	if (!a.error)
		a.error = take_slot(s, &a.slot);
	if (!a.error) {
		a.error = make_groups(s, r, a.slot);
		if (!a.error)
			a.error = spawn(s, r, fds, a.slot);
		group_name(a.slot, "", group);
		if (a.error)
			cgroup_remove(s->cgroups, group);
	}
	if (!a.error)
		return; /* the sandbox answers */
	if (!a.why[0])
		snprintf(a.why, sizeof(a.why), "control groups: %s", strerror(-a.error));
	log_warn("a task cannot be started: %s", a.why);
	answer(s, &a);
}

/* ---- layers ---- */

static void job_over(struct job *j)
{
	loop_remove_fd(j->steward->loop, j->watch);
	if (j->report >= 0)
		close(j->report);
	list_remove(&j->at);
	free(j);
}

static void job_ended(void *ctx, int status)
{
	(void)status;
	struct job *j = ctx;
	struct steward_answer a;
	ssize_t n = recv(j->report, &a, sizeof(a), MSG_DONTWAIT);
	if (n != sizeof(a))
		a = j->failed;
	a.why[sizeof(a.why) - 1] = 0;
	answer(j->steward, &a);
	job_over(j);
}

/* priv waits for no disk: a child of its does. */
static void begin_job(struct steward *s, const union steward_any_request *r, int file)
{
	struct job *j = calloc(1, sizeof(*j));
	int pair[2] = {-1, -1};
	if (!j)
		die("out of memory");
	*j = (struct job){.steward = s,
	                  .failed = {.verb = r->h.verb, .number = r->h.number, .error = -EIO, .why = "the unpacker ended"},
	                  .report = -1};
	list_push(&s->jobs, &j->at);
	unsigned number = s->next_job++;
	int error = s->layers < 0 ? -ENOTSUP : socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
	j->pid = error ? -1 : fork();
	if (j->pid == 0) {
		struct steward_answer a = {.verb = r->h.verb, .number = r->h.number};
		if (r->h.verb == STEWARD_UNPACK)
			a.error = unpack_layer(s->layers, number, file, &r->unpack, a.why, sizeof(a.why));
		else
			a.error = layers_trim(s->layers, &s->keep);
		_exit(write(pair[1], &a, sizeof(a)) != sizeof(a));
	}
	if (!error && j->pid < 0)
		error = -errno;
	if (pair[1] >= 0)
		close(pair[1]);
	j->report = pair[0];
	if (!error)
		error = loop_add_child(s->loop, j->pid, job_ended, j);
	if (error) {
		j->failed.error = error;
		snprintf(j->failed.why, sizeof(j->failed.why), "the unpacker: %s", strerror(-error));
		answer(s, &j->failed);
		job_over(j);
	}
}

static void take_trim(struct steward *s, const union steward_any_request *r)
{
	int error = layer_keep_add(&s->keep, r->trim.keep, r->trim.count);
	if (r->trim.more)
		return;
	if (!error)
		begin_job(s, r, -1);
	layer_keep_clear(&s->keep);
}

/* ---- requests ---- */

static void stop_serving(struct served *v)
{
	loop_remove_fd(v->steward->loop, v->watch);
	v->watch = NULL;
	if (v->sock >= 0)
		close(v->sock);
	v->sock = -1;
}

static void answer_facts(struct steward *s, uint32_t number)
{
	struct steward_answer a = {.verb = STEWARD_FACTS, .number = number};
	a.works = look_around(s, number, a.why, sizeof(a.why)) == 0;
	answer(s, &a);
}

static void readable(void *ctx, uint32_t events)
{
	(void)events;
	struct served *v = ctx;
	struct steward *s = v->steward;
	static union steward_any_request r;
	int fds[MSG_MAX_FDS];
	size_t nfds;
	ssize_t n = msg_recv(v->sock, &r, sizeof(r), fds, MSG_MAX_FDS, &nfds);
	if (n == -EAGAIN)
		return;
	bool fits = n > 0 && steward_check(&r, (size_t)n, nfds) == 0 &&
	            (r.h.verb >= STEWARD_UNPACK) == (v == &s->served[STEWARD_OF_LAYERS]);
	if (!fits) {
		msg_close_fds(fds, nfds);
		if (n != 0)
			log_error("a request for a task that is none: closing");
		stop_serving(v);
		return;
	}
	if (r.h.verb == STEWARD_START)
		start(s, &r.start, fds);
	else if (r.h.verb == STEWARD_KILL)
		kill_slot(s, r.h.number);
	else if (r.h.verb == STEWARD_FACTS)
		answer_facts(s, r.h.number);
	else if (r.h.verb == STEWARD_UNPACK)
		begin_job(s, &r, fds[0]);
	else
		take_trim(s, &r);
	msg_close_fds(fds, nfds);
}

void steward_serve(struct steward *s, enum steward_channel channel, int sock)
{
	struct served *v = &s->served[channel];
	stop_serving(v);
	if (channel == STEWARD_OF_LAYERS)
		layer_keep_clear(&s->keep);
	v->sock = sock;
	v->watch = loop_add_fd(s->loop, sock, EPOLLIN, readable, v);
}

/* ---- life ---- */

static int open_dir(const char *data_dir, const char *name, mode_t mode)
{
	char path[4200];
	snprintf(path, sizeof(path), "%s/%s", data_dir, name);
	struct stat st;
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return -1;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	/* api owns the directory above, and may have put one of its own there */
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != geteuid())) {
		log_error("%s does not belong to root: tasks cannot be made", path);
		close(fd);
		return -1;
	}
	return fd;
}

static bool is_held(const struct steward *s, unsigned slot)
{
	list_each (&s->tasks, struct held_task, at, t)
		if (t->slot == slot)
			return true;
	return false;
}

/* Files of slots that nobody is in. What an earlier steward was making may still be dying, so that this is done some times. */
static void sweep_scratch(void *ctx)
{
	struct steward *s = ctx;
	char group[CGROUP_NAME_MAX];
	int fd = s->scratch < 0 ? -1 : openat(s->scratch, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; d && (e = readdir(d));) {
		unsigned slot, end = 0;
		if (strncmp(e->d_name, "new-", 4) == 0) {
			if (!s->sweeps)
				unlinkat(s->scratch, e->d_name, 0);
			continue;
		}
		if (sscanf(e->d_name, "t%u.ext4%n", &slot, (int *)&end) != 1 || !end || slot >= STEWARD_SLOTS)
			continue;
		group_name(slot, "", group);
		/* a group that is there and empty is what died in the making */
		bool made = cgroup_make(s->cgroups, group) == 0;
		if (!made && (is_held(s, slot) || cgroup_remove(s->cgroups, group) != 0))
			continue;
		scratch_remove(s->scratch, slot);
		cgroup_remove(s->cgroups, group);
	}
	if (d)
		closedir(d);
	s->sweeper = s->sweeps++ < SWEEPS ? loop_add_timer(s->loop, SWEEP_US, sweep_scratch, s) : NULL;
}

struct steward *steward_new(struct loop *l, const struct child_world *world, struct cgroups *cgroups, const char *data_dir)
{
	struct steward *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory");
	*s = (struct steward){.loop = l, .world = world, .cgroups = cgroups};
	for (int i = 0; i < STEWARD_CHANNELS; i++)
		s->served[i] = (struct served){.steward = s, .sock = -1};
	list_init(&s->tasks);
	list_init(&s->jobs);
	s->layers = open_dir(data_dir, "layers", 0711); /* api asks what is there */
	s->scratch = open_dir(data_dir, "scratch", 0700);
	if (box_filter_compile(&s->filter) < 0)
		s->filter.len = 0;
	sweep_scratch(s);
	if (s->layers >= 0)
		layers_sweep(s->layers);
	return s;
}

static void end_all(struct steward *s)
{
	for (unsigned slot = 0; slot < STEWARD_SLOTS; slot++) {
		char group[CGROUP_NAME_MAX];
		group_name(slot, "", group);
		if (cgroup_kill(s->cgroups, group) == 0)
			kill_slot(s, slot);
	}
	for (int64_t until = clock_mono_us() + END_PATIENCE_US; !list_empty(&s->tasks) && clock_mono_us() < until;)
		loop_turn(s->loop, 10000);
}

void steward_free(struct steward *s, bool keep)
{
	if (!s)
		return;
	for (int i = 0; i < STEWARD_CHANNELS; i++)
		stop_serving(&s->served[i]);
	if (!keep)
		end_all(s);
	loop_remove_timer(s->loop, s->sweeper);
	list_each (&s->jobs, struct job, at, j) {
		kill(j->pid, SIGKILL); /* what is half unpacked is swept by the next */
		job_over(j);
	}
	list_each (&s->tasks, struct held_task, at, t) {
		loop_remove_timer(s->loop, t->again);
		stop_listening(t);
		list_remove(&t->at);
		free(t);
	}
	layer_keep_clear(&s->keep);
	free(s->filter.filter);
	if (s->layers >= 0)
		close(s->layers);
	if (s->scratch >= 0)
		close(s->scratch);
	free(s);
}
