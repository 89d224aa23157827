/* One cell, from the side that uses it: its processes, its limits, its end. */
#include "engine/cell/pool.h"

#include "engine/cgroup/cgroup.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STEM_MESSAGE_MAX = 64 * 1024 };

/* ---- what pid 1 says ---- */

static void ended(struct cell *cell, uint32_t process, int status)
{
	if (process >= CELL_FIRST_SHELL)
		return;
	if (!cell->claimed) {
		pool_ended(cell);
		return;
	}
	if (cell->state == CELL_DRESSING) {
		cell->stem_ended = true;
		cell->stem_status = status;
	} else if (cell->state == CELL_LIVE && cell->events->exited) {
		cell->events->exited(cell->ctx, cell, (int)process, status);
	}
}

/* Pid 1 runs as the function's own user: what it hands over is looked at. */
static bool is_tcp(int fd)
{
	int domain = 0, type = 0;
	socklen_t n = sizeof(int);
	return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && domain == AF_INET &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

static void connected(struct cell *cell, const struct init_message *m, int fd)
{
	bool good = is_tcp(fd);
	if (fd >= 0 && (!good || cell->state != CELL_LIVE || !cell->events->connected)) {
		close(fd);
		fd = -1;
	}
	if (cell->state == CELL_LIVE && cell->events->connected)
		cell->events->connected(cell->ctx, cell, m->process, fd >= 0 ? fd : m->value < 0 ? m->value : -EPROTO);
}

static void init_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct cell *cell = ctx;
	struct init_message m;
	int fd = -1;
	size_t nfds;
	/* one message a call: what it says may end the cell. The rest is still readable in the next round. */
	ssize_t n = msg_recv(cell->fds[CELL_FD_CONTROL], &m, sizeof(m), &fd, 1, &nfds);
	if (n == -EAGAIN || n == -EMSGSIZE)
		return;
	if (n == sizeof(m) && m.verb == INIT_CONNECTED) {
		connected(cell, &m, nfds ? fd : -1);
		return;
	}
	msg_close_fds(&fd, nfds);
	if (n <= 0) {
		cells_fail(cell, -EIO);
	} else if (n == sizeof(m) && m.verb == INIT_EXITED) {
		cell->failed_start = m.flags;
		cell->start_error = m.value;
		ended(cell, m.process, m.flags == INIT_RAN ? m.value : 127 << 8);
	} else if (n == sizeof(m) && m.verb == INIT_EMPTY && cell->state == CELL_LIVE && cell->events->emptied) {
		cell->events->emptied(cell->ctx, cell);
	}
}

int cell_watch(struct cell *cell)
{
	cell->control_watch = loop_add_fd(cell->cells->loop, cell->fds[CELL_FD_CONTROL], EPOLLIN, init_speaks, cell);
	return cell->control_watch ? 0 : -errno;
}

/* ---- processes ---- */

static size_t measure(const char *const *list, uint32_t *ret_count)
{
	size_t n = 0;
	uint32_t count = 0;
	for (; list && list[count]; count++)
		n += strlen(list[count]) + 1;
	*ret_count = count;
	return n;
}

static char *copy_list(char *at, const char *const *list)
{
	for (; list && *list; list++) {
		size_t n = strlen(*list) + 1;
		memcpy(at, *list, n);
		at += n;
	}
	return at;
}

struct init_message *cell_pack_start(const struct cell_process *p, uint32_t flags, bool stem, size_t *ret_n)
{
	static const char *const stem_env[] = {"QUARTET_STEM_FD=3", NULL};
	uint32_t argc, envc, extra = 0;
	const char *cwd = p->cwd ? p->cwd : "/var/task";
	size_t n = sizeof(struct init_message) + strlen(cwd) + 1 + measure(p->argv, &argc) + measure(p->env, &envc);
	if (stem)
		n += measure(stem_env, &extra);
	if (n > CELL_MAX_START_BYTES || argc == 0)
		return NULL;
	struct init_message *m = malloc(n);
	if (!m)
		return NULL;
	*m = (struct init_message){.verb = INIT_START, .flags = flags, .argc = argc, .envc = envc + extra};
	char *at = (char *)(m + 1);
	size_t cwd_n = strlen(cwd) + 1;
	memcpy(at, cwd, cwd_n);
	at = copy_list(at + cwd_n, p->argv);
	at = copy_list(at, p->env);
	if (stem)
		copy_list(at, stem_env);
	*ret_n = n;
	return m;
}

int cell_send_start(struct cell *cell, struct init_message *m, size_t n, uint32_t number, const int *fds, size_t nfds)
{
	m->process = number;
	return msg_send(cell->fds[CELL_FD_CONTROL], m, n, fds, nfds);
}

int cell_start(struct cell *cell, const struct cell_process *process)
{
	if (cell->state != CELL_LIVE)
		return -ESRCH;
	size_t n;
	struct init_message *m = cell_pack_start(process, process->exact ? INIT_EXACT : 0, false, &n);
	if (!m)
		return -E2BIG;
	uint32_t number = ++cell->next_process;
	int error = cell_send_start(cell, m, n, number, process->output ? &process->output : &cell->log_write, 1);
	free(m);
	return error ? error : (int)number;
}

int cell_restore(struct cell *cell)
{
	static const char *const argv[] = {"restore", NULL};
	const struct cell_process process = {.argv = argv};
	size_t n;
	if (cell->state != CELL_LIVE)
		return -ESRCH;
	struct init_message *m = cell_pack_start(&process, INIT_RESTORE, false, &n);
	if (!m)
		return -ENOMEM;
	uint32_t number = ++cell->next_process;
	int error = cell_send_start(cell, m, n, number, &cell->log_write, 1);
	free(m);
	return error ? error : (int)number;
}

void cell_snapshot(struct cell *cell, const char *name, enum cell_waits waits, unsigned mb_max, cell_snapshot_fn *fn, void *ctx)
{
	struct priv_snapshot_request r = {.h = {PRIV_SNAPSHOT, cell->number}, .mb_max = mb_max};
	r.waits = waits == CELL_WAITS_RESTORE ? PRIV_WAITS_RESTORE : PRIV_WAITS_NEXT;
	memcpy(r.name, name, CELL_SNAPSHOT_NAME);
	cell->snapshot_fn = fn;
	cell->snapshot_ctx = ctx;
	cells_send(cell->cells, &r, sizeof(r), -1);
}

bool cell_never_ran(const struct cell *cell, int *ret_error, bool *ret_directory)
{
	if (cell->failed_start == INIT_RAN)
		return false;
	*ret_error = cell->start_error;
	*ret_directory = cell->failed_start == INIT_NO_DIRECTORY;
	return true;
}

static int tell_init(struct cell *cell, uint32_t verb, uint32_t process, int value)
{
	struct init_message m = {.verb = verb, .process = process, .value = value};
	return msg_send(cell->fds[CELL_FD_CONTROL], &m, sizeof(m), NULL, 0);
}

void cell_signal(struct cell *cell, int process, int signo)
{
	if (cell->state == CELL_LIVE && process > 0)
		tell_init(cell, INIT_SIGNAL, (uint32_t)process, signo);
}

int cell_connect(struct cell *cell, uint16_t port)
{
	if (cell->state != CELL_LIVE)
		return -ESRCH;
	cell->next_question = cell->next_question == INT32_MAX ? 1 : cell->next_question + 1;
	int error = tell_init(cell, INIT_CONNECT, cell->next_question, port);
	return error ? error : (int)cell->next_question;
}

void cell_kill_runtime(struct cell *cell)
{
	if (cell->state != CELL_LIVE)
		return;
	tell_init(cell, INIT_KILL_ALL, 0, 0);
	cell_thaw(cell);
}

bool cell_is_stem(const struct cell *cell)
{
	return cell->stem_fd >= 0;
}

int cell_stem_message(struct cell *cell, struct str json)
{
	if (cell->state != CELL_LIVE || cell->stem_fd < 0)
		return -ESRCH;
	if (cell->stem_used)
		return -EALREADY;
	if (json.n > STEM_MESSAGE_MAX)
		return -EMSGSIZE;
	struct iovec parts[2] = {{(void *)json.p, json.n}, {(void *)"\n", 1}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	/* the buffer is empty and larger than that: it goes as a whole */
	ssize_t n = sendmsg(cell->stem_fd, &m, MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	cell->stem_used = true;
	return (size_t)n == json.n + 1 ? 0 : -EIO;
}

/* A pty pair; the other side's end comes by ioctl, without a path. */
static int open_terminal(int *ret_other)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), lock = 0;
	if (fd < 0)
		return -errno;
	int other = -1;
	if (ioctl(fd, TIOCSPTLCK, &lock) < 0 || (other = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	*ret_other = other;
	return fd;
}

void cell_enter(struct cell *cell, const char *const *argv, cell_enter_fn *fn, void *ctx)
{
	static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin:/opt/bin",
	                                  "TERM=xterm-256color",
	                                  "HOME=/tmp",
	                                  "LANG=C.UTF-8",
	                                  "LAMBDA_TASK_ROOT=/var/task",
	                                  "LAMBDA_RUNTIME_DIR=/var/runtime",
	                                  "AWS_ENDPOINT_URL=http://127.0.0.1:4566",
	                                  NULL};
	static const char *const shell[] = {"/bin/sh", "-i", NULL};
	struct cell_process process = {.argv = argv ? argv : shell, .env = env, .cwd = NULL};
	size_t n;
	int other = -1, fd = cell->state == CELL_LIVE ? open_terminal(&other) : -ESRCH;
	struct init_message *m = fd < 0 ? NULL : cell_pack_start(&process, INIT_TERMINAL, false, &n);
	int error = fd < 0 ? fd : !m ? -E2BIG : cell_send_start(cell, m, n, cell->next_shell++, &other, 1);
	free(m);
	if (other >= 0)
		close(other);
	if (error && fd >= 0)
		close(fd);
	fn(ctx, error ? error : fd);
}

/* ---- descriptors and limits ---- */

int cell_runtime_listener(const struct cell *cell)
{
	return cell->fds[CELL_FD_RUNTIME];
}

int cell_endpoint_listener(const struct cell *cell)
{
	return cell->fds[CELL_FD_ENDPOINT];
}

int cell_log_fd(const struct cell *cell)
{
	return cell->log_read;
}

unsigned cell_number(const struct cell *cell)
{
	return cell->number;
}

static int version(const struct cell *cell)
{
	return cell->cells->facts.cgroup_version;
}

static int freeze(struct cell *cell, bool frozen)
{
	if (cell->state != CELL_LIVE)
		return -ESRCH;
	if (cell->frozen == frozen)
		return 0;
	if (cell->fds[CELL_FD_FREEZE] < 0)
		return -ENOTSUP;
	int error = cgroup_put_frozen(version(cell), cell->fds[CELL_FD_FREEZE], frozen);
	if (!error)
		cell->frozen = frozen;
	return error;
}

int cell_freeze(struct cell *cell)
{
	return freeze(cell, true);
}

int cell_thaw(struct cell *cell)
{
	return freeze(cell, false);
}

bool cell_is_frozen(const struct cell *cell)
{
	return cell->frozen;
}

int cell_set_cpu(struct cell *cell, bool limited)
{
	if (cell->fds[CELL_FD_CPU] < 0)
		return -ENOTSUP;
	return cgroup_put_cpu_quota(version(cell), cell->fds[CELL_FD_CPU], limited ? cell->quota_us : UINT32_MAX);
}

int64_t cell_memory_peak_bytes(struct cell *cell)
{
	int64_t n = cell->fds[CELL_FD_PEAK] < 0 ? 0 : cgroup_get_memory_peak(version(cell), cell->fds[CELL_FD_PEAK]);
	/* what lies in /tmp is charged too and lifts the limit; as memory the function never has more than its size */
	int64_t most = (int64_t)cell->dress->memory_mb << 20;
	return n < 0 ? 0 : n < most ? n : most;
}

int cell_reset_memory_peak(struct cell *cell)
{
	return cell->fds[CELL_FD_PEAK] < 0 ? -ENOENT : cgroup_reset_memory_peak(version(cell), cell->fds[CELL_FD_PEAK]);
}

int64_t cell_cpu_us(struct cell *cell)
{
	int64_t n = cell->fds[CELL_FD_USED] < 0 ? 0 : cgroup_get_cpu_us(version(cell), cell->fds[CELL_FD_USED]);
	return n <= cell->cpu_base_us ? 0 : n - cell->cpu_base_us;
}

unsigned cell_oom_kills(struct cell *cell)
{
	int64_t n = cell->fds[CELL_FD_OOM] < 0 ? 0 : cgroup_get_oom_kills(version(cell), cell->fds[CELL_FD_OOM]);
	return n <= cell->oom_base ? 0 : (unsigned)(n - cell->oom_base);
}

void cell_destroy(struct cell *cell)
{
	if (cell)
		cells_drop(cell);
}
