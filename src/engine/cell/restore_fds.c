/* The descriptors of a process that is restored, each at its number. */
#include "engine/cell/restore.h"

#include <fcntl.h>

enum { GROUPS_MAX = 64, AF_INET_ = 2, AF_INET6_ = 10, AF_UNIX_ = 1, STREAM = 1 };

static struct {
	uint32_t group;
	int ends[2];
} groups[GROUPS_MAX];
static unsigned group_count;

/* The pipe or pair that an end belongs to; made when its first end is asked for. */
static long end_of(const struct snap_fd *f)
{
	unsigned i = 0;
	while (i < group_count && groups[i].group != f->group)
		i++;
	if (i == group_count) {
		if (i == GROUPS_MAX)
			fail(SNAP_STEP_FDS);
		int ends[2];
		need(f->kind == SNAP_FD_PIPE ? SYS(SYS_pipe2, ends, O_CLOEXEC)
		                             : SYS(SYS_socketpair, AF_UNIX_, f->type | O_CLOEXEC, 0, ends),
		     SNAP_STEP_FDS);
		groups[i].group = f->group;
		groups[i].ends[0] = (int)high(ends[0]);
		groups[i].ends[1] = (int)high(ends[1]);
		group_count++;
	}
	/* data lie at the end that they are read from */
	if (f->data_bytes && SYS(SYS_write, groups[i].ends[1 - f->end], in_meta(f->data_at), f->data_bytes) != (long)f->data_bytes)
		fail(SNAP_STEP_FDS);
	return need(SYS(SYS_fcntl, groups[i].ends[f->end], F_DUPFD_CLOEXEC, 0), SNAP_STEP_FDS);
}

struct address {
	unsigned char bytes[SNAP_ADDRESS];
	uint32_t n;
};

static void loopback(uint32_t domain, uint16_t port, struct address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->bytes[0] = (unsigned char)domain;
	ret->bytes[2] = (unsigned char)(port >> 8);
	ret->bytes[3] = (unsigned char)port;
	if (domain == AF_INET_) {
		ret->n = 16;
		ret->bytes[4] = 127;
		ret->bytes[7] = 1;
	} else { /* ::ffff:127.0.0.1 */
		ret->n = 28;
		ret->bytes[18] = ret->bytes[19] = 0xff;
		ret->bytes[20] = 127;
		ret->bytes[23] = 1;
	}
}

static long stream_socket(uint32_t domain)
{
	return need(SYS(SYS_socket, domain, STREAM | O_CLOEXEC, 0), SNAP_STEP_FDS);
}

/* Its other side has closed: reading ends at once, and a pool of connections knows that this one is of no more use. */
static long dead_connection(const struct snap_fd *f)
{
	struct address a;
	uint32_t n = sizeof(a.bytes);
	int ends[2];
	if (f->domain != AF_INET_ && f->domain != AF_INET6_) {
		need(SYS(SYS_socketpair, AF_UNIX_, f->type | O_CLOEXEC, 0, ends), SNAP_STEP_FDS);
		SYS(SYS_close, ends[1]);
		return ends[0];
	}
	long listener = stream_socket(AF_INET_), fd = stream_socket(f->domain);
	loopback(AF_INET_, 0, &a);
	need(SYS(SYS_bind, listener, a.bytes, a.n), SNAP_STEP_FDS);
	need(SYS(SYS_listen, listener, 1), SNAP_STEP_FDS);
	need(SYS(SYS_getsockname, listener, a.bytes, &n), SNAP_STEP_FDS);
	loopback(f->domain, (uint16_t)(a.bytes[2] << 8 | a.bytes[3]), &a);
	need(SYS(SYS_connect, fd, a.bytes, a.n), SNAP_STEP_FDS);
	long other = need(SYS(SYS_accept4, listener, 0, 0, O_CLOEXEC), SNAP_STEP_FDS);
	SYS(SYS_close, other);
	SYS(SYS_close, listener);
	return fd;
}

static long runtime_connection(const struct snap_fd *f)
{
	struct address a;
	long fd = stream_socket(f->domain);
	const int on = 1;
	loopback(f->domain, 9001, &a);
	need(SYS(SYS_connect, fd, a.bytes, a.n), SNAP_STEP_FDS);
	SYS(SYS_setsockopt, fd, 6 /* TCP */, 1 /* TCP_NODELAY */, &on, sizeof(on));
	if (SYS(SYS_write, fd, in_meta(head.request_at), head.request_bytes) != (long)head.request_bytes)
		fail(SNAP_STEP_FDS);
	return fd;
}

static long plain_socket(const struct snap_fd *f)
{
	long fd = need(SYS(SYS_socket, f->domain, f->type | O_CLOEXEC, f->protocol), SNAP_STEP_FDS);
	const int on = 1;
	const int only = (int)f->option;
	if (f->kind == SNAP_FD_LISTENER)
		SYS(SYS_setsockopt, fd, 1 /* SOL_SOCKET */, 2 /* SO_REUSEADDR */, &on, sizeof(on));
	if (f->domain == AF_INET6_)
		SYS(SYS_setsockopt, fd, 41 /* IPV6 */, 26 /* V6ONLY */, &only, sizeof(only));
	if (f->local_bytes)
		need(SYS(SYS_bind, fd, f->local, f->local_bytes), SNAP_STEP_FDS);
	if (f->kind == SNAP_FD_LISTENER)
		need(SYS(SYS_listen, fd, 128), SNAP_STEP_FDS);
	/* a name server, most likely; where it cannot be reached, the process will see that itself */
	if (f->peer_bytes)
		SYS(SYS_connect, fd, f->peer, f->peer_bytes);
	return fd;
}

static long open_one(const struct snap_fd *f)
{
	long fd;
	const int64_t due[4] = {f->interval_s, f->interval_ns, f->value_s, f->value_ns};
	uint64_t mask = (uint64_t)f->position;
	switch ((enum snap_fd_kind)f->kind) {
	case SNAP_FD_PATH:
		fd = need(SYS(SYS_openat, AT_FDCWD, in_meta(f->path_at), f->flags | O_CLOEXEC), SNAP_STEP_FDS);
		if (f->position)
			SYS(SYS_lseek, fd, f->position, 0);
		if (f->option)
			SYS(SYS_flock, fd, f->option);
		return fd;
	case SNAP_FD_LOG:
		return need(SYS(SYS_fcntl, log_fd, F_DUPFD_CLOEXEC, 0), SNAP_STEP_FDS);
	case SNAP_FD_PIPE:
	case SNAP_FD_PAIR:
		return end_of(f);
	case SNAP_FD_EVENT:
		fd = need(SYS(SYS_eventfd2, 0, O_CLOEXEC | f->option), SNAP_STEP_FDS);
		if (f->position)
			need(SYS(SYS_write, fd, &f->position, 8), SNAP_STEP_FDS);
		return fd;
	case SNAP_FD_POLL:
		return need(SYS(SYS_epoll_create1, O_CLOEXEC), SNAP_STEP_FDS);
	case SNAP_FD_TIMER:
		fd = need(SYS(SYS_timerfd_create, f->option, O_CLOEXEC), SNAP_STEP_FDS);
		/* what was left of it is left again, from now on */
		if (f->value_s || f->value_ns)
			need(SYS(SYS_timerfd_settime, fd, 0, due, 0), SNAP_STEP_FDS);
		return fd;
	case SNAP_FD_SIGNALS:
		return need(SYS(SYS_signalfd4, -1, &mask, 8, O_CLOEXEC), SNAP_STEP_FDS);
	case SNAP_FD_RUNTIME:
		return runtime_connection(f);
	case SNAP_FD_DEAD:
		return dead_connection(f);
	case SNAP_FD_SOCKET:
	case SNAP_FD_LISTENER:
		return plain_socket(f);
	}
	fail(SNAP_STEP_FDS);
}

void restore_fds(void)
{
	const struct snap_fd *fds = in_meta(head.fds_at);
	const struct snap_poll *polls = in_meta(head.polls_at);
	for (uint32_t i = 0; i < head.fds; i++) {
		const struct snap_fd *f = &fds[i];
		long fd = open_one(f);
		/* the numbers below are taken, so what is new has the number itself or one that nobody has been given yet */
		if (fd != f->fd) {
			need(SYS(SYS_dup3, fd, f->fd, f->flags & O_CLOEXEC), SNAP_STEP_FDS);
			SYS(SYS_close, fd);
		} else {
			SYS(SYS_fcntl, fd, F_SETFD, f->flags & O_CLOEXEC ? FD_CLOEXEC : 0);
		}
		if (f->kind != SNAP_FD_LOG && f->kind != SNAP_FD_PATH)
			SYS(SYS_fcntl, f->fd, F_SETFL, f->flags & (O_NONBLOCK | O_APPEND));
	}
	for (unsigned i = 0; i < group_count; i++) {
		SYS(SYS_close, groups[i].ends[0]);
		SYS(SYS_close, groups[i].ends[1]);
	}
	for (uint32_t i = 0; i < head.polls; i++) {
		struct {
			uint32_t events;
			uint64_t data;
		} __attribute__((packed)) event = {polls[i].events, polls[i].data};
		need(SYS(SYS_epoll_ctl, polls[i].poll, 1 /* add */, polls[i].fd, &event), SNAP_STEP_FDS);
	}
}
