/* One thread, one poll: input waits while the program does not take it, output while the stream does not, and neither waits for the
 * other. A program that has ended has still written: its pipes or its terminal are read until nothing comes. */
#include "engine/session/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { LAST_WORDS_MS = 50, PATIENCE_MS = 60000 };
_Static_assert(sizeof(struct session_head) == 8, "as on the wire");

struct frame {
	struct session_head head;
	char payload[SESSION_PAYLOAD_MAX];
};

struct session {
	int stream;
	int in, out, err; /* of the program; a terminal is in and out; -1: closed */
	int process;      /* a descriptor of it */
	pid_t pid;
	bool terminal, over;
	int status;
	struct frame coming; /* from the stream */
	size_t came;
	size_t input_at, input_n; /* of coming.payload: what the program has not taken yet */
	struct frame going;
	size_t going_at, going_n; /* of `going`, head and all */
};

static void unblock(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Reads on in the frame that is coming. 1: it is whole; 0: not yet; else negative errno. */
static int receive(struct session *s)
{
	char *at = (char *)&s->coming;
	for (;;) {
		size_t want = sizeof(s->coming.head);
		if (s->came >= want)
			want += s->coming.head.bytes;
		if (want > sizeof(s->coming))
			return -EPROTO;
		if (s->came >= sizeof(s->coming.head) && s->came == want) {
			s->came = 0;
			return 1;
		}
		ssize_t n = read(s->stream, at + s->came, want - s->came);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		s->came += (size_t)n;
	}
}

static void compose(struct session *s, enum session_kind kind, const void *p, size_t n)
{
	s->going.head = (struct session_head){.kind = (uint8_t)kind, .bytes = (uint32_t)n};
	if (n && p)
		memcpy(s->going.payload, p, n);
	s->going_at = 0;
	s->going_n = sizeof(s->going.head) + n;
}

/* Sends what it can. 0, or negative errno. */
static int send_on(struct session *s)
{
	while (s->going_at < s->going_n) {
		ssize_t n = write(s->stream, (const char *)&s->going + s->going_at, s->going_n - s->going_at);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return -errno;
		s->going_at += (size_t)n;
	}
	s->going_at = s->going_n = 0;
	return 0;
}

static int say(struct session *s, enum session_kind kind, const void *p, size_t n)
{
	int error;
	compose(s, kind, p, n);
	while ((error = send_on(s)) == 0 && s->going_n) {
		struct pollfd w = {.fd = s->stream, .events = POLLOUT};
		if (poll(&w, 1, PATIENCE_MS) == 0)
			return -ETIMEDOUT;
	}
	return error;
}

/* ---- the program ---- */

struct command {
	const char *term;
	const char *words[SESSION_WORDS_MAX + 1];
	struct session_start start;
};

static int parse(const struct frame *f, struct command *ret)
{
	const char *at = f->payload + sizeof(ret->start), *end = f->payload + f->head.bytes;
	if (f->head.kind != SESSION_START || f->head.bytes < sizeof(ret->start))
		return -EPROTO;
	memcpy(&ret->start, f->payload, sizeof(ret->start));
	if (ret->start.words > SESSION_WORDS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i <= ret->start.words; i++) {
		const char *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
		if (!nul)
			return -EPROTO;
		if (i == 0)
			ret->term = at;
		else
			ret->words[i - 1] = at;
		at = nul + 1;
	}
	return at == end ? 0 : -EPROTO;
}

static void set_window(const struct session *s, const struct session_window *w)
{
	struct winsize size = {.ws_row = w->rows, .ws_col = w->columns};
	if (s->terminal)
		ioctl(s->in, TIOCSWINSZ, &size);
}

/* Both ends of a terminal that has a name where we are. */
static int open_terminal(int *ret_other)
{
	int fd = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), lock = 0;
	if (fd < 0)
		fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, TIOCSPTLCK, &lock) < 0 || (*ret_other = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static _Noreturn void become(const struct command *c, const int fds[3])
{
	static char term[80];
	const char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	                                   "HOME=/root",
	                                   "USER=root",
	                                   "LOGNAME=root",
	                                   "LANG=C.UTF-8",
	                                   term,
	                                   NULL};
	const char *const shell[] = {"/bin/bash", "-l", NULL}, *const plain[] = {"/bin/sh", NULL};
	const char *const *argv = c->start.words ? c->words : shell;
	snprintf(term, sizeof(term), "TERM=%s", c->term[0] ? c->term : "linux");
	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			_exit(126);
	if (c->start.terminal)
		ioctl(0, TIOCSCTTY, 0);
	close_range(3, ~0u, 0);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	if (chdir("/root") < 0 && chdir("/") < 0)
		_exit(126);
	/* execvpe() looks for it in our own PATH, so that has to be the program's */
	const char *path = environment[0] + 5;
	if (!c->start.words && access(shell[0], X_OK) < 0)
		argv = plain;
	if (strchr(argv[0], '/')) {
		execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	} else {
		char at[4096];
		int error = ENOENT;
		for (const char *p = path; *p && argv[0][0];) {
			size_t n = strcspn(p, ":");
			snprintf(at, sizeof(at), "%.*s/%s", (int)n, p, argv[0]);
			execve(at, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
			if (errno != ENOENT && errno != ENOTDIR)
				error = errno;
			p += n + (p[n] == ':');
		}
		errno = error;
	}
	int status = errno == ENOENT ? 127 : 126;
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(status);
}

static void close_pairs(int pairs[3][2])
{
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 2; k++)
			if (pairs[i][k] >= 0)
				close(pairs[i][k]);
}

static int start(struct session *s, const struct command *c)
{
	int pairs[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, theirs[3], other = -1, error = 0;
	s->terminal = c->start.terminal != 0;
	if (s->terminal) {
		s->in = s->out = open_terminal(&other);
		if (s->in < 0)
			return s->in;
		set_window(s, &c->start.window);
		for (int i = 0; i < 3; i++)
			theirs[i] = other;
	} else {
		for (int i = 0; i < 3 && !error; i++)
			if (pipe2(pairs[i], O_CLOEXEC) < 0)
				error = -errno;
		if (error) {
			close_pairs(pairs);
			return error;
		}
		for (int i = 0; i < 3; i++)
			theirs[i] = pairs[i][i > 0];
	}
	s->pid = fork();
	if (s->pid == 0)
		become(c, theirs);
	error = s->pid < 0 ? -errno : 0;
	if (s->terminal) {
		close(other);
	} else {
		for (int i = 0; i < 3; i++)
			close(theirs[i]);
		s->in = pairs[0][1];
		s->out = pairs[1][0];
		s->err = pairs[2][0];
		unblock(s->in);
		unblock(s->out);
		unblock(s->err);
	}
	if (!error && (s->process = (int)syscall(SYS_pidfd_open, s->pid, 0)) < 0)
		error = -errno;
	return error;
}

/* ---- its life ---- */

static void close_input(struct session *s)
{
	if (!s->terminal && s->in >= 0)
		close(s->in);
	if (!s->terminal)
		s->in = -1;
}

static void give_input(struct session *s)
{
	while (s->input_at < s->input_n) {
		ssize_t n = s->in < 0 ? -1 : write(s->in, s->coming.payload + s->input_at, s->input_n - s->input_at);
		if (n < 0 && s->in >= 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			/* it does not want any more; what comes is thrown away */
			close_input(s);
			break;
		}
		s->input_at += (size_t)n;
	}
	s->input_at = s->input_n = 0;
}

static int obey(struct session *s)
{
	struct session_window w;
	switch (s->coming.head.kind) {
	case SESSION_INPUT:
		s->input_at = 0;
		s->input_n = s->coming.head.bytes;
		give_input(s);
		return 0;
	case SESSION_INPUT_END:
		if (s->terminal) {
			s->coming.payload[0] = 4; /* the character that ends input */
			s->input_n = 1;
			give_input(s);
		} else {
			close_input(s);
		}
		return 0;
	case SESSION_WINDOW:
		if (s->coming.head.bytes != sizeof(w))
			return -EPROTO;
		memcpy(&w, s->coming.payload, sizeof(w));
		set_window(s, &w);
		return 0;
	default:
		return -EPROTO;
	}
}

/* False: nothing comes from there now. A terminal that nobody has open any more says EIO. */
static bool take_output(struct session *s, int *fd, enum session_kind kind)
{
	ssize_t n = *fd < 0 ? 0 : read(*fd, s->going.payload, sizeof(s->going.payload));
	if (n > 0) {
		compose(s, kind, NULL, (size_t)n);
		return true;
	}
	if (*fd >= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
		if (*fd != s->in)
			close(*fd);
		*fd = -1;
	}
	return false;
}

static void has_ended(struct session *s)
{
	int status;
	if (waitpid(s->pid, &status, 0) != s->pid)
		status = 255 << 8;
	s->over = true;
	s->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	close(s->process);
	s->process = -1;
}

/* Until the program's end has been told, or nobody listens any more. */
static int carry(struct session *s)
{
	for (;;) {
		bool can_read = s->input_at == s->input_n, idle = s->going_n == 0;
		struct pollfd p[5] = {
		        {.fd = s->stream, .events = (short)((can_read ? POLLIN : 0) | (idle ? 0 : POLLOUT))},
		        {.fd = s->input_at < s->input_n ? s->in : -1, .events = POLLOUT},
		        {.fd = idle ? s->out : -1, .events = POLLIN},
		        {.fd = idle ? s->err : -1, .events = POLLIN},
		        {.fd = s->process, .events = POLLIN},
		};
		int n = poll(p, 5, s->over && idle ? LAST_WORDS_MS : -1), error = 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (s->over && idle && (n == 0 || (s->out < 0 && s->err < 0))) {
			int32_t status = s->status;
			return say(s, SESSION_EXITED, &status, sizeof(status));
		}
		if (can_read && p[0].revents && (error = receive(s)) == 1)
			error = obey(s);
		if (error < 0)
			return error;
		if (!can_read && p[0].revents & (POLLHUP | POLLERR))
			return -EPIPE;
		if (p[1].revents)
			give_input(s);
		if (!idle && (error = send_on(s)) < 0)
			return error;
		if (idle && (!p[2].revents || !take_output(s, &s->out, SESSION_OUTPUT)) && p[3].revents)
			take_output(s, &s->err, SESSION_ERRORS);
		if (s->going_n && (error = send_on(s)) < 0)
			return error;
		if (p[4].revents)
			has_ended(s);
	}
}

static int wait_for_start(struct session *s)
{
	int whole = 0;
	for (size_t at = 0; at < sizeof(SESSION_BEGIN) - 1;) {
		char c;
		ssize_t n = read(s->stream, &c, 1);
		if (n == 1) {
			at = c == SESSION_BEGIN[at] ? at + 1 : c == SESSION_BEGIN[0];
			continue;
		}
		struct pollfd p = {.fd = s->stream, .events = POLLIN};
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return -EPIPE;
		if (poll(&p, 1, PATIENCE_MS) == 0)
			return -ETIMEDOUT;
	}
	while ((whole = receive(s)) == 0) {
		struct pollfd p = {.fd = s->stream, .events = POLLIN};
		if (poll(&p, 1, PATIENCE_MS) == 0)
			return -ETIMEDOUT;
	}
	return whole < 0 ? whole : 0;
}

int session_serve(int fd, int (*enter)(void *ctx), void *ctx)
{
	static struct session session;
	static struct command command;
	struct session *s = &session;
	memset(s, 0, offsetof(struct session, coming));
	s->came = s->input_at = s->input_n = s->going_at = s->going_n = 0;
	s->stream = fd;
	s->in = s->out = s->err = s->process = -1;
	memset(&command, 0, sizeof(command));
	signal(SIGPIPE, SIG_IGN);
	unblock(fd);
	int error = wait_for_start(s);
	if (error)
		return error;
	error = parse(&s->coming, &command);
	if (!error)
		error = enter(ctx);
	if (!error)
		error = start(s, &command);
	if (error) {
		int32_t code = -error;
		say(s, SESSION_FAILED, &code, sizeof(code));
	} else if (say(s, SESSION_READY, NULL, 0) < 0 || carry(s) < 0) {
		kill(-s->pid, SIGHUP); /* nobody is there any more */
	}
	if (s->out >= 0 && s->out != s->in)
		close(s->out);
	if (s->in >= 0)
		close(s->in);
	if (s->err >= 0)
		close(s->err);
	if (s->process >= 0)
		close(s->process);
	return 0;
}
