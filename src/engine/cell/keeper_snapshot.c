/* Snapshots of what runs in cells: files in DATA/snapshots that only root can read. Each is taken by a child of ours, which looks
 * into the process while the loop goes on, and appears under its name when it is whole; what a crash leaves is removed at the next
 * start, as is what an earlier boot of the machine left. api names a file and never sees one: a cell's first process is handed the
 * descriptor on its lifeline, together with the program that becomes the process. */
#include "engine/cell/confine.h"
#include "engine/cell/keeper_state.h"
#include "engine/cell/snapshot.h"

#include "base/log.h"
#include "io/msg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char part[] = ".part";
enum { FILE_NAME_MAX = PRIV_SNAPSHOT_NAME + sizeof(part), MB = 1 << 20, SPARE_MB = 64, LEAST_MB = 16 };

/* A child's work: taking a snapshot, or trying whether that works. */
struct taker {
	struct keeper *keeper;
	struct list at;
	uint32_t number; /* of the cell; 0: the trial */
	pid_t pid;
	bool unwanted; /* whoever asked for it is gone */
	char name[PRIV_SNAPSHOT_NAME];
	struct {
		int error;
		char why[SNAPSHOT_WHY_MAX];
	} * result; /* shared with the child */
};

struct snapshots {
	int dir; /* -1: there is none */
	int restorer;
	enum priv_verdict verdict;
	char why[SNAPSHOT_WHY_MAX];
	struct list takers;
};

static void cannot(struct snapshots *s, const char *what, int error)
{
	s->verdict = PRIV_FAILS;
	snprintf(s->why, sizeof(s->why), "%.100s: %s", what, strerror(-error));
}

/* ---- children ---- */

static struct taker *begin(struct keeper *k, uint32_t number)
{
	struct taker *t = calloc(1, sizeof(*t));
	if (!t)
		die("out of memory");
	t->keeper = k;
	t->number = number;
	t->result = mmap(NULL, sizeof(*t->result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t->result == MAP_FAILED)
		die("out of memory");
	t->result->error = -EIO; /* unless it comes to an end */
	snprintf(t->result->why, sizeof(t->result->why), "it was interrupted");
	list_push(&k->snapshots->takers, &t->at);
	return t;
}

static void forget_taker(struct taker *t)
{
	munmap(t->result, sizeof(*t->result));
	list_remove(&t->at);
	free(t);
}

static void answer(struct keeper *k, uint32_t number, int error, const char *why)
{
	struct priv_snapshot_answer a = {.a = {.h = {PRIV_SNAPSHOT, number}, .error = error}};
	snprintf(a.why, sizeof(a.why), "%s", why);
	keeper_answer(k, &a, sizeof(a), NULL, 0);
}

static void taken(void *ctx, int status)
{
	struct taker *t = ctx;
	struct keeper *k = t->keeper;
	char file[FILE_NAME_MAX];
	(void)status;
	snprintf(file, sizeof(file), "%s%s", t->name, part);
	int error = t->unwanted ? -EPIPE : t->result->error;
	if (!error && renameat(k->snapshots->dir, file, k->snapshots->dir, t->name) < 0)
		error = -errno;
	if (error)
		unlinkat(k->snapshots->dir, file, 0);
	if (!t->unwanted)
		answer(k, t->number, error, t->result->why);
	forget_taker(t);
}

static void tried(void *ctx, int status)
{
	struct taker *t = ctx;
	struct snapshots *s = t->keeper->snapshots;
	(void)status;
	s->verdict = t->result->error ? PRIV_FAILS : PRIV_WORKS;
	memcpy(s->why, t->result->why, sizeof(s->why));
	struct keeper *k = t->keeper;
	forget_taker(t);
	keeper_tell_facts(k);
}

/* In the child: not in anybody's way, and not longer than its parent. */
static void become_taker(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpriority(PRIO_PROCESS, 0, 0);
}

static void start(struct taker *t, int file, uint64_t bytes_max, pid_t subject, const struct priv_snapshot_request *r)
{
	/* as HTTP clients write it; who is restored reads the answer of it where he waited for that of his own */
	static const char *const requests[PRIV_WAITS] = {
	        [PRIV_WAITS_RESTORE] = "GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n\r\n",
	        [PRIV_WAITS_NEXT] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n\r\n"};
	t->pid = fork();
	if (t->pid == 0) {
		become_taker();
		t->result->why[0] = 0;
		if (r) {
			const struct snapshot_job job = {
			        .pid = subject, .out = file, .bytes_max = bytes_max, .request = requests[r->waits], .tmp = true};
			t->result->error = snapshot_take(&job, t->result->why);
		} else {
			t->result->error = snapshot_try(t->keeper->snapshots->restorer, t->result->why);
		}
		_exit(0);
	}
	if (t->pid < 0 || loop_add_child(t->keeper->loop, t->pid, r ? taken : tried, t) < 0)
		die("cannot start a child");
}

/* ---- taking ---- */

/* The one process that runs beside the cell's first; negative errno with a reason when there are none or several. */
static pid_t find_subject(struct keeper *k, pid_t init, char why[SNAPSHOT_WHY_MAX])
{
	char path[64], text[4096] = "";
	snprintf(path, sizeof(path), "%d/task/%d/children", (int)init, (int)init);
	int fd = openat(k->world.host_proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		snprintf(why, SNAPSHOT_WHY_MAX, "this kernel does not say which processes run (CONFIG_PROC_CHILDREN)");
		return -ENOTSUP;
	}
	text[n] = 0;
	char *end;
	long pid = strtol(text, &end, 10);
	if (pid > 0 && end[strspn(end, " \n")] == 0)
		return (pid_t)pid;
	snprintf(why, SNAPSHOT_WHY_MAX, "%s", pid > 0 ? "more than one process runs in it" : "nothing runs in it any more");
	return -ENOTSUP;
}

/* How large a file may become: what others write has to find room, too. */
static int find_room(const struct snapshots *s, uint64_t *bytes, char why[SNAPSHOT_WHY_MAX])
{
	struct statvfs v;
	if (fstatvfs(s->dir, &v) < 0)
		return -errno;
	uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize, spare = (uint64_t)SPARE_MB * MB;
	uint64_t most = free_bytes > spare ? free_bytes - spare : 0;
	if (*bytes > most)
		*bytes = most;
	if (*bytes >= (uint64_t)LEAST_MB * MB)
		return 0;
	snprintf(why, SNAPSHOT_WHY_MAX, "there is not enough free space on the disk");
	return -ENOSPC;
}

void keeper_snapshot(struct keeper *k, const struct priv_snapshot_request *r)
{
	struct snapshots *s = k->snapshots;
	struct held *h = keeper_find(k, r->h.number);
	char why[SNAPSHOT_WHY_MAX] = "", file[FILE_NAME_MAX];
	int error = s->verdict == PRIV_FAILS ? -ENOTSUP : !h || !h->pid ? -ESRCH : 0, out = -1;
	pid_t subject = -1;
	uint64_t bytes = (uint64_t)r->mb_max * MB;
	if (error == -ENOTSUP)
		snprintf(why, sizeof(why), "%s", s->why);
	if (!error)
		error = find_room(s, &bytes, why);
	if (!error && (subject = find_subject(k, h->pid, why)) < 0)
		error = subject;
	snprintf(file, sizeof(file), "%s%s", r->name, part);
	if (!error && (out = openat(s->dir, file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		error = -errno;
	if (error) {
		answer(k, r->h.number, error, why[0] ? why : strerror(-error));
		return;
	}
	struct taker *t = begin(k, r->h.number);
	memcpy(t->name, r->name, sizeof(t->name));
	start(t, out, bytes, subject, r);
	close(out);
}

void keeper_forget(struct keeper *k, const char *name)
{
	if (k->snapshots->dir >= 0)
		unlinkat(k->snapshots->dir, name, 0);
}

int keeper_hand_snapshot(struct keeper *k, struct held *h, const char *name)
{
	const struct snapshots *s = k->snapshots;
	int file = s->dir < 0 || s->restorer < 0 ? -1 : openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int error = file < 0 || snapshot_check(file) < 0 ? -ESTALE : 0;
	if (!error)
		error = msg_send(h->lifeline, "snapshot", 8, (int[]){s->restorer, file}, 2);
	if (file >= 0)
		close(file);
	return error;
}

void keeper_snapshots_leave(struct keeper *k)
{
	list_each (&k->snapshots->takers, struct taker, at, t)
		t->unwanted = t->number > 0;
}

/* ---- the whole ---- */

static void sweep(const struct snapshots *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		int file = openat(s->dir, e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (strstr(e->d_name, part) || file < 0 || snapshot_check(file) < 0)
			unlinkat(s->dir, e->d_name, 0);
		if (file >= 0)
			close(file);
	}
	if (d)
		closedir(d);
}

void keeper_snapshots_open(struct keeper *k, const char *restorer)
{
	struct snapshots *s = k->snapshots = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory");
	*s = (struct snapshots){.dir = -1, .restorer = snapshot_open_restorer(restorer)};
	list_init(&s->takers);
	/* names may be read, by api, which asks for the removal of those that nobody knows any more */
	if (mkdirat(k->data_dir, "snapshots", 0755) < 0 && errno != EEXIST)
		cannot(s, "making DATA/snapshots", -errno);
	else if ((s->dir = openat(k->data_dir, "snapshots", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		cannot(s, "opening DATA/snapshots", -errno);
	if (s->dir >= 0)
		sweep(s);
	if (s->restorer < 0)
		cannot(s, "the program `restore` beside quartet", s->restorer);
	if (s->verdict == PRIV_UNTRIED && k->works)
		start(begin(k, 0), -1, 0, -1, NULL);
}

enum priv_verdict keeper_snapshots_work(const struct keeper *k, const char **ret_why)
{
	*ret_why = k->snapshots->why;
	return k->snapshots->verdict;
}

void keeper_snapshots_close(struct keeper *k)
{
	struct snapshots *s = k->snapshots;
	list_each (&s->takers, struct taker, at, t)
		kill(t->pid, SIGKILL);
	while (!list_empty(&s->takers))
		loop_turn(k->loop, 100000);
	if (s->dir >= 0)
		close(s->dir);
	if (s->restorer >= 0)
		close(s->restorer);
	free(s);
	k->snapshots = NULL;
}
