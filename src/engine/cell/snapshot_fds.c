/* Descriptors. Each is looked at by a copy of it (pidfd_getfd), so that the kernel itself says what it is. Ends of pipes and pairs
 * are known by what arrives at the one when the other is written to: nobody but us sees it, because the process never runs again.
 */
#include "engine/cell/snapshot_state.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RUNTIME_PORT = 9001, IN_PIPE_MAX = 65536 };

struct open_fd {
	struct snap_fd out;
	int copy; /* ours */
	uint64_t inode;
	bool reads, writes;
	uint32_t idle_ms; /* of a connection to the Runtime API */
};

struct opened {
	struct open_fd *list;
	size_t n;
	uint32_t groups;
};

static int by_fd(const void *a, const void *b)
{
	return ((const struct open_fd *)a)->out.fd - ((const struct open_fd *)b)->out.fd;
}

static const char *info_line(const char *info, const char *name)
{
	const char *p = strstr(info, name);
	return p ? p + strlen(name) : NULL;
}

/* ---- sockets ---- */

static uint16_t port_of(const unsigned char *address)
{
	return (uint16_t)(address[2] << 8 | address[3]);
}

static bool is_runtime(const struct snap_fd *f)
{
	static const unsigned char here[4] = {127, 0, 0, 1};
	const unsigned char *host = f->domain == AF_INET ? f->peer + 4 : f->peer + 20;
	return port_of(f->peer) == RUNTIME_PORT && !memcmp(host, here, 4);
}

static int option(int fd, int level, int name)
{
	int v = 0;
	socklen_t n = sizeof(v);
	return getsockopt(fd, level, name, &v, &n) < 0 ? -1 : v;
}

static int look_at_socket(struct taking *t, struct open_fd *f)
{
	struct snap_fd *out = &f->out;
	struct sockaddr_storage local = {0}, peer = {0};
	socklen_t local_n = sizeof(local), peer_n = sizeof(peer);
	int domain = option(f->copy, SOL_SOCKET, SO_DOMAIN), type = option(f->copy, SOL_SOCKET, SO_TYPE);
	int protocol = option(f->copy, SOL_SOCKET, SO_PROTOCOL);
	bool listens = option(f->copy, SOL_SOCKET, SO_ACCEPTCONN) > 0;
	bool connected = getpeername(f->copy, (struct sockaddr *)&peer, &peer_n) == 0;
	if (domain < 0 || type < 0 || getsockname(f->copy, (struct sockaddr *)&local, &local_n) < 0)
		return taking_refuse(t, -ENOTSUP, "socket %d cannot be looked at", out->fd);
	out->domain = (uint32_t)domain;
	out->type = (uint32_t)type;
	out->protocol = (uint32_t)protocol;
	bool inet = domain == AF_INET || domain == AF_INET6;
	if (domain == AF_UNIX) {
		/* an end of a pair, if its other end is found; see join() */
		out->kind = connected ? SNAP_FD_PAIR : SNAP_FD_SOCKET;
		if (listens || local_n > sizeof(sa_family_t))
			return taking_refuse(t, -ENOTSUP, "socket %d has a name in the file system", out->fd);
		return 0;
	}
	if (!inet && domain != AF_NETLINK)
		return taking_refuse(t, -ENOTSUP, "socket %d is of family %d", out->fd, domain);
	memcpy(out->local, &local, sizeof(out->local));
	memcpy(out->peer, &peer, sizeof(out->peer));
	if (inet && type == SOCK_STREAM && connected) {
		struct tcp_info info = {0};
		socklen_t n = sizeof(info);
		out->kind = SNAP_FD_DEAD;
		if (is_runtime(out) && getsockopt(f->copy, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
		    info.tcpi_state == TCP_ESTABLISHED) {
			out->kind = SNAP_FD_RUNTIME;
			f->idle_ms = info.tcpi_last_data_sent;
		}
		return 0;
	}
	out->kind = listens ? SNAP_FD_LISTENER : SNAP_FD_SOCKET;
	if (domain == AF_NETLINK)
		return 0;
	if (domain == AF_INET6)
		out->option = (uint32_t)option(f->copy, IPPROTO_IPV6, 26 /* IPV6_V6ONLY */);
	/* a port that the kernel chose for a socket of datagrams is chosen again */
	if (port_of(out->local) && (listens || type == SOCK_STREAM))
		out->local_bytes = (uint32_t)local_n;
	if (connected)
		out->peer_bytes = (uint32_t)peer_n;
	return 0;
}

/* ---- the others ---- */

static int look_at_poll(struct taking *t, struct open_fd *f, const char *info)
{
	f->out.kind = SNAP_FD_POLL;
	for (const char *p = info; (p = strstr(p, "tfd:")); p++) {
		int fd;
		unsigned events;
		unsigned long long data;
		if (sscanf(p, "tfd: %d events: %x data: %llx", &fd, &events, &data) != 3)
			return taking_refuse(t, -EIO, "epoll %d cannot be read", f->out.fd);
		struct snap_poll poll = {.poll = f->out.fd, .fd = fd, .events = events, .data = data};
		buf_add(&t->polls, &poll, sizeof(poll));
	}
	return 0;
}

static int look_at_anonymous(struct taking *t, struct open_fd *f, const char *what, const char *info)
{
	struct snap_fd *out = &f->out;
	unsigned long long n;
	const char *line;
	if (!strcmp(what, "[eventpoll]"))
		return look_at_poll(t, f, info);
	if (!strcmp(what, "[eventfd]") && (line = info_line(info, "eventfd-count:")) && sscanf(line, "%llx", &n) == 1) {
		out->kind = SNAP_FD_EVENT;
		out->position = (int64_t)n;
		line = info_line(info, "eventfd-semaphore:");
		out->option = line && atoi(line) ? 1 : 0;
		return 0;
	}
	if (!strcmp(what, "[timerfd]") && (line = info_line(info, "clockid:"))) {
		long long v[4] = {0};
		out->kind = SNAP_FD_TIMER;
		out->option = (uint32_t)atoi(line);
		if ((line = info_line(info, "it_value:")))
			sscanf(line, " (%lld, %lld)", &v[0], &v[1]);
		if ((line = info_line(info, "it_interval:")))
			sscanf(line, " (%lld, %lld)", &v[2], &v[3]);
		out->value_s = v[0];
		out->value_ns = v[1];
		out->interval_s = v[2];
		out->interval_ns = v[3];
		return 0;
	}
	if (!strcmp(what, "[signalfd]") && (line = info_line(info, "sigmask:")) && sscanf(line, "%llx", &n) == 1) {
		out->kind = SNAP_FD_SIGNALS;
		out->position = (int64_t)n;
		return 0;
	}
	return taking_refuse(t, -ENOTSUP, "descriptor %d (%.60s) cannot be kept", out->fd, what);
}

static int look_at_path(struct taking *t, struct open_fd *f, const char *path, const struct stat *st, const char *info)
{
	size_t n = strlen(path);
	bool device = S_ISCHR(st->st_mode) && strcmp(path, "/dev/null") && strcmp(path, "/dev/zero") &&
	              strcmp(path, "/dev/urandom") && strcmp(path, "/dev/random");
	if (device || S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode) || path[0] != '/' ||
	    (n > 10 && !strcmp(path + n - 10, " (deleted)")))
		return taking_refuse(t, -ENOTSUP, "descriptor %d (%.100s) cannot be opened again", f->out.fd, path);
	f->out.kind = SNAP_FD_PATH;
	f->out.path_at = taking_text(t, path);
	const char *lock = info_line(info, "lock:");
	if (lock && strstr(lock, "FLOCK"))
		f->out.option = strstr(lock, "WRITE") ? 2u /* LOCK_EX */ : 1u /* LOCK_SH */;
	return 0;
}

static int look_at(struct taking *t, struct open_fd *f)
{
	char name[32], link[4096];
	snprintf(name, sizeof(name), "fd/%d", f->out.fd);
	ssize_t n = readlinkat(t->proc, name, link, sizeof(link) - 1);
	snprintf(name, sizeof(name), "fdinfo/%d", f->out.fd);
	char *info = n > 0 ? taking_read(t, name, NULL) : NULL;
	struct stat st;
	if (!info || fstat(f->copy, &st) < 0) {
		free(info);
		return taking_refuse(t, -EIO, "descriptor %d cannot be looked at", f->out.fd);
	}
	link[n] = 0;
	const char *line = info_line(info, "flags:");
	f->out.flags = line ? (uint32_t)strtoul(line, NULL, 8) : 0;
	line = info_line(info, "pos:");
	long long position = line ? atoll(line) : 0;
	f->inode = st.st_ino;
	f->writes = (f->out.flags & O_ACCMODE) != O_RDONLY;
	f->reads = (f->out.flags & O_ACCMODE) != O_WRONLY;
	int error = 0;
	if (S_ISSOCK(st.st_mode) && !strncmp(link, "socket:", 7)) {
		error = look_at_socket(t, f);
	} else if (S_ISFIFO(st.st_mode) && !strncmp(link, "pipe:", 5)) {
		f->out.kind = SNAP_FD_PIPE;
		f->out.end = f->writes;
	} else if (!strncmp(link, "anon_inode:", 11)) {
		error = look_at_anonymous(t, f, link + 11, info);
	} else {
		error = look_at_path(t, f, link, &st, info);
		f->out.position = position;
	}
	free(info);
	return error;
}

/* ---- what belongs together ---- */

static int read_out(struct taking *t, struct open_fd *f)
{
	int waiting = 0;
	if (ioctl(f->copy, FIONREAD, &waiting) < 0 || waiting <= 0)
		return 0;
	char *data = malloc(IN_PIPE_MAX);
	ssize_t n = data ? read(f->copy, data, IN_PIPE_MAX) : -1;
	int error = n > 0 ? 0 : taking_refuse(t, -EIO, "what lies in descriptor %d cannot be read", f->out.fd);
	if (!error) {
		f->out.data_at = t->text.n;
		f->out.data_bytes = (uint64_t)n;
		buf_add(&t->text, data, (size_t)n);
	}
	free(data);
	return error;
}

static int join_pipe(struct taking *t, struct opened *o, struct open_fd *f)
{
	bool read_here = false;
	for (size_t i = 0; i < o->n; i++) {
		const struct open_fd *g = &o->list[i];
		if (g->out.kind != SNAP_FD_PIPE || g->inode != f->inode)
			continue;
		read_here |= g->reads;
		if (g->out.group)
			f->out.group = g->out.group;
	}
	/* its output, which somebody else reads */
	if (!read_here) {
		f->out.kind = SNAP_FD_LOG;
		return 0;
	}
	/* one that nobody has an end of to write to ends when it is read: those that are not given out are closed */
	if (!f->out.group)
		f->out.group = ++o->groups;
	return f->reads ? read_out(t, f) : 0;
}

static int waiting_bytes(int fd)
{
	int n = 0;
	return ioctl(fd, FIONREAD, &n) < 0 ? 0 : n;
}

static int join_pair(struct taking *t, struct opened *o, struct open_fd *f)
{
	if (f->out.group)
		return 0;
	int error = read_out(t, f);
	if (error)
		return error;
	for (size_t i = 0; i < o->n; i++) {
		struct open_fd *g = &o->list[i];
		if (g == f || g->out.kind != SNAP_FD_PAIR || g->out.group || g->out.type != f->out.type)
			continue;
		int before = waiting_bytes(g->copy);
		if (send(f->copy, "?", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
			break;
		if (waiting_bytes(g->copy) <= before) {
			continue;
		}
		f->out.group = g->out.group = ++o->groups;
		f->out.end = 0;
		g->out.end = 1;
		/* what the other had to read, without our question */
		char *data = malloc(IN_PIPE_MAX);
		ssize_t n = data ? recv(g->copy, data, IN_PIPE_MAX, MSG_DONTWAIT) : -1;
		if (n > 1 && f->out.type == SOCK_STREAM) {
			g->out.data_at = t->text.n;
			g->out.data_bytes = (uint64_t)n - 1;
			buf_add(&t->text, data, (size_t)n - 1);
		}
		free(data);
		return 0;
	}
	f->out.kind = SNAP_FD_DEAD; /* nobody in the process has the other end */
	return 0;
}

static int join(struct taking *t, struct opened *o)
{
	struct open_fd *runtime = NULL;
	int error = 0;
	for (size_t i = 0; i < o->n && !error; i++) {
		struct open_fd *f = &o->list[i];
		if (f->out.kind == SNAP_FD_PIPE)
			error = join_pipe(t, o, f);
		else if (f->out.kind == SNAP_FD_PAIR)
			error = join_pair(t, o, f);
		else if (f->out.kind == SNAP_FD_RUNTIME && (!runtime || f->idle_ms < runtime->idle_ms))
			runtime = f;
	}
	/* the one that asked last waits; other connections are like those to anybody else */
	for (size_t i = 0; i < o->n; i++)
		if (o->list[i].out.kind == SNAP_FD_RUNTIME && &o->list[i] != runtime)
			o->list[i].out.kind = SNAP_FD_DEAD;
	if (!error && !runtime && t->job->request[0])
		error = taking_refuse(t, -ENOTSUP, "it does not wait at the Runtime API by itself");
	return error;
}

static bool has_fd(const struct opened *o, int fd)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->list[i].out.fd == fd)
			return true;
	return false;
}

static int check_polls(struct taking *t, const struct opened *o)
{
	const struct snap_poll *polls = (const struct snap_poll *)(const void *)t->polls.p;
	for (size_t i = 0; i < t->polls.n / sizeof(*polls); i++)
		if (!has_fd(o, polls[i].fd))
			return taking_refuse(t, -ENOTSUP, "epoll %d watches what is closed", polls[i].poll);
	return 0;
}

static int list_all(struct taking *t, struct opened *o)
{
	int dir = openat(t->proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int pidfd = (int)syscall(SYS_pidfd_open, t->job->pid, 0);
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	int error = d && pidfd >= 0 ? 0 : taking_refuse(t, -errno, "its descriptors cannot be listed");
	for (struct dirent *e; d && !error && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		int fd = atoi(e->d_name), copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
		if (fd >= SNAP_FD_LIMIT || o->n == SNAP_FD_LIMIT)
			error = taking_refuse(t, -ENOTSUP, "it has more than %d descriptors", SNAP_FD_LIMIT);
		else if (copy < 0)
			error = taking_refuse(t, -errno, "descriptor %d cannot be looked at: %s", fd, strerror(errno));
		else
			o->list[o->n++] = (struct open_fd){.out.fd = fd, .copy = copy};
	}
	if (d)
		closedir(d);
	if (pidfd >= 0)
		close(pidfd);
	qsort(o->list, o->n, sizeof(*o->list), by_fd);
	return error;
}

int taking_fds(struct taking *t)
{
	struct opened o = {.list = calloc(SNAP_FD_LIMIT, sizeof(*o.list))};
	int error = o.list ? list_all(t, &o) : -ENOMEM;
	for (size_t i = 0; i < o.n && !error; i++)
		error = look_at(t, &o.list[i]);
	if (!error)
		error = check_polls(t, &o);
	if (!error)
		error = join(t, &o);
	for (size_t i = 0; i < o.n; i++) {
		buf_add(&t->fds, &o.list[i].out, sizeof(o.list[i].out));
		close(o.list[i].copy);
	}
	free(o.list);
	return error;
}
