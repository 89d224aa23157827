/* What `api` says and what it is told. A request is checked as a whole before any of it is believed; one that api would never send
 * ends the conversation, and with it every cell. */
#include "engine/cell/keeper_state.h"

#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void keeper_answer(struct keeper *k, const void *p, size_t n, const int *fds, size_t nfds)
{
	if (k->sock >= 0 && msg_send(k->sock, p, n, fds, nfds) < 0) {
		/* api does not read what it asked for, or is gone: it is in no state to go on, and main starts another */
		shutdown(k->sock, SHUT_RDWR);
	}
}

void keeper_answer_plain(struct keeper *k, uint32_t verb, uint32_t number, int error)
{
	struct priv_answer a = {.h = {.verb = verb, .number = number}, .error = error};
	keeper_answer(k, &a, sizeof(a), NULL, 0);
}

void keeper_tell_facts(struct keeper *k)
{
	struct priv_facts_answer a = {
	        .a.h.verb = PRIV_FACTS,
	        .cgroup_version = k->has_cgroups ? k->cgroups.version : 0,
	        .works = k->works,
	        .network = k->world.outbound.works,
	        .user_namespace = access("/proc/self/ns/user", F_OK) == 0,
	        .seccomp = k->has_filter,
	};
	if (k->has_cgroups) {
		a.memory_limit = k->cgroups.has[CGROUP_MEMORY];
		a.cpu_limit = k->cgroups.has[CGROUP_CPU];
		a.pids_limit = k->cgroups.has[CGROUP_PIDS];
		a.freezer = k->cgroups.has[CGROUP_FREEZER];
	}
	const char *why = "";
	a.snapshots = (uint8_t)keeper_snapshots_work(k, &why);
	snprintf(a.why_no_snapshots, sizeof(a.why_no_snapshots), "%s", why);
	memcpy(a.why_not, k->why_not, sizeof(a.why_not));
	memcpy(a.why_no_network, k->world.outbound.why_not, sizeof(a.why_no_network));
	keeper_answer(k, &a, sizeof(a), NULL, 0);
}

static bool terminated(const char *text, size_t cap)
{
	return memchr(text, 0, cap) != NULL;
}

static bool is_snapshot_name(const char *name)
{
	for (int i = 0; i < PRIV_SNAPSHOT_NAME - 1; i++)
		if (!(name[i] >= '0' && name[i] <= '9') && !(name[i] >= 'a' && name[i] <= 'f'))
			return false;
	return !name[PRIV_SNAPSHOT_NAME - 1];
}

int keeper_check_request(const void *p, size_t n)
{
	union priv_request r;
	if (n < sizeof(r.h) || n > sizeof(r))
		return -EINVAL;
	memcpy(&r, p, n);
	if ((r.h.number == 0) != (r.h.verb == PRIV_FACTS || r.h.verb == PRIV_CHANNEL || r.h.verb == PRIV_FORGET))
		return -EINVAL;
	switch (r.h.verb) {
	case PRIV_FACTS:
		return n == sizeof(r.facts) ? 0 : -EINVAL;
	case PRIV_MAKE:
		return n == sizeof(r.make) && r.make.background <= 1 && r.make.image < CELL_IMAGES ? 0 : -EINVAL;
	case PRIV_DRESS:
		if (n < offsetof(struct priv_dress_request, layers) || r.dress.layer_count > PRIV_LAYERS_MAX ||
		    n != offsetof(struct priv_dress_request, layers) + r.dress.layer_count * sizeof(r.dress.layers[0]) ||
		    !terminated(r.dress.code, sizeof(r.dress.code)) || !terminated(r.dress.opt, sizeof(r.dress.opt)) ||
		    (r.dress.snapshot[0] && !is_snapshot_name(r.dress.snapshot)) ||
		    (r.dress.layer_count && (r.dress.code[0] || r.dress.opt[0])))
			return -EINVAL;
		return r.dress.shared <= 1 && r.dress.memory_mb >= CELL_MEMORY_MB_MIN && r.dress.memory_mb <= CELL_MEMORY_MB_MAX &&
		                       r.dress.tmp_mb >= CELL_TMP_MB_MIN && r.dress.tmp_mb <= CELL_TMP_MB_MAX
		               ? 0
		               : -EINVAL;
	case PRIV_SNAPSHOT:
		return n == sizeof(r.snapshot) && r.snapshot.waits < PRIV_WAITS && is_snapshot_name(r.snapshot.name) ? 0 : -EINVAL;
	case PRIV_FORGET:
		return n == sizeof(r.forget) && is_snapshot_name(r.forget.name) ? 0 : -EINVAL;
	case PRIV_DESTROY:
		return n == sizeof(r.destroy) ? 0 : -EINVAL;
	case PRIV_CHANNEL:
		return n == sizeof(r.channel) && r.channel.channel < PRIV_CHANNELS ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* fd: what came with it, or -1. */
static void obey(struct keeper *k, const union priv_request *r, int fd)
{
	struct held *h;
	int tmp = -1, error;
	switch (r->h.verb) {
	case PRIV_FACTS:
		keeper_tell_facts(k);
		break;
	case PRIV_MAKE:
		keeper_make(k, &r->make);
		break;
	case PRIV_DRESS:
		error = keeper_dress(k, &r->dress, fd, &tmp);
		if (fd >= 0)
			close(fd);
		keeper_answer_plain(k, PRIV_DRESS, r->h.number, error);
		/* after the answer: the function need not wait for it */
		h = error ? NULL : keeper_find(k, r->h.number);
		if (h)
			h->guard = guard_start(k->loop, &k->cgroups, h->group, tmp, (uint64_t)r->dress.memory_mb << 20);
		break;
	case PRIV_SNAPSHOT:
		keeper_snapshot(k, &r->snapshot);
		break;
	case PRIV_FORGET:
		keeper_forget(k, r->forget.name);
		break;
	case PRIV_DESTROY:
		h = keeper_find(k, r->h.number);
		if (h)
			keeper_end(h);
		break;
	case PRIV_CHANNEL:
		k->channel(k->channel_ctx, r->channel.channel, fd);
		break;
	default:
		break;
	}
}

static bool has_descriptor(const union priv_request *r)
{
	return r->h.verb == PRIV_CHANNEL || (r->h.verb == PRIV_DRESS && r->dress.shared);
}

static void readable(void *ctx, uint32_t events)
{
	(void)events;
	struct keeper *k = ctx;
	/* a bounded number a round, so that reports of children are not kept waiting */
	for (int i = 0; i < 16; i++) {
		union priv_request r;
		int fd = -1;
		size_t nfds;
		ssize_t n = msg_recv(k->sock, &r, sizeof(r), &fd, 1, &nfds);
		if (n == -EAGAIN)
			return;
		if (n <= 0 || keeper_check_request(&r, (size_t)n) < 0 || (nfds == 1) != has_descriptor(&r)) {
			msg_close_fds(&fd, nfds);
			/* closed, or something that api never says: whoever speaks there is not to be trusted any more */
			if (n != 0)
				log_error("a request that is none: closing");
			loop_remove_fd(k->loop, k->watch);
			k->watch = NULL;
			keeper_close_fd(&k->sock);
			list_each (&k->cells, struct held, at, h)
				keeper_end(h);
			keeper_snapshots_leave(k);
			k->gone(k->gone_ctx);
			return;
		}
		obey(k, &r, fd);
	}
}

void keeper_serve(struct keeper *k, int sock, loop_fn *gone, void *ctx)
{
	if (k->watch)
		loop_remove_fd(k->loop, k->watch);
	keeper_close_fd(&k->sock);
	list_each (&k->cells, struct held, at, h)
		keeper_end(h);
	keeper_snapshots_leave(k);
	k->sock = sock;
	k->gone = gone;
	k->gone_ctx = ctx;
	k->watch = loop_add_fd(k->loop, sock, EPOLLIN, readable, k);
}
