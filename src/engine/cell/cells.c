/* The conversation with `priv`, and the table of cells by number. Requests are answered in any order; an answer for a number that
 * is no longer there only has its descriptors closed. */
#include "engine/cell/pool.h"

#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* A cell of the pool that died is replaced, but not in a busy loop when all of them do. */
enum { REPLACE_AFTER_US = 50000, IMAGE_AGAIN_US = 20000 };

static void *allocate(size_t n)
{
	void *p = calloc(1, n);
	if (!p)
		die("out of memory");
	return p;
}

static void answers(void *ctx, uint32_t events);

void cells_send(struct cells *c, const void *request, size_t n, int fd)
{
	if (c->fd < 0)
		return;
	int error = list_empty(&c->unsent) ? msg_send(c->fd, request, n, &fd, fd >= 0) : -EAGAIN;
	if (error != -EAGAIN)
		return; /* a dead priv shows as a closed socket */
	struct pending *p = allocate(sizeof(*p) + n);
	p->n = n;
	p->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 && p->fd < 0)
		die("out of descriptors");
	memcpy(p->request, request, n);
	list_push(&c->unsent, &p->at);
	loop_set_fd(c->loop, c->watch, EPOLLIN | EPOLLOUT);
}

static void forget(struct pending *p)
{
	msg_close_fds(&p->fd, 1);
	list_remove(&p->at);
	free(p);
}

static void send_unsent(struct cells *c)
{
	list_each (&c->unsent, struct pending, at, p) {
		if (msg_send(c->fd, p->request, p->n, &p->fd, p->fd >= 0) == -EAGAIN)
			return;
		forget(p);
	}
	loop_set_fd(c->loop, c->watch, EPOLLIN);
}

static void forget_unsent(struct cells *c)
{
	list_each (&c->unsent, struct pending, at, p)
		forget(p);
}

static struct cell *find(struct cells *c, uint32_t number)
{
	list_each (&c->all, struct cell, at, cell)
		if (cell->number == number)
			return cell;
	return NULL;
}

static void send_make(struct cell *cell)
{
	struct cells *c = cell->cells;
	cell->number = ++c->next_number;
	if (!cell->number)
		cell->number = ++c->next_number;
	cell->image = cell->kind >= 0 && c->stems[cell->kind].image != CELL_IMAGE_NONE;
	struct priv_make_request r = {.h = {PRIV_MAKE, cell->number},
	                              .background = cell->background,
	                              .image = cell->image ? c->stems[cell->kind].image : CELL_IMAGE_NONE};
	cells_send(c, &r, sizeof(r), -1);
}

struct cell *cells_add(struct cells *c, int kind, bool background)
{
	struct cell *cell = allocate(sizeof(*cell));
	*cell = (struct cell){.cells = c,
	                      .state = CELL_MAKING,
	                      .kind = kind,
	                      .background = background,
	                      .log_read = -1,
	                      .log_write = -1,
	                      .stem_fd = -1,
	                      .shared_fd = -1,
	                      .next_process = CELL_STEM_PROCESS,
	                      .next_shell = CELL_FIRST_SHELL};
	for (int i = 0; i < CELL_FDS; i++)
		cell->fds[i] = -1;
	list_push(&c->all, &cell->at);
	c->count++;
	return cell;
}

struct cell *cells_make(struct cells *c, int kind, bool background)
{
	struct cell *cell = cells_add(c, kind, background);
	send_make(cell);
	return cell;
}

void cells_drop(struct cell *cell)
{
	struct cells *c = cell->cells;
	struct priv_destroy_request r = {.h = {PRIV_DESTROY, cell->number}};
	loop_remove_fd(c->loop, cell->control_watch);
	loop_remove_fd(c->loop, cell->stem_watch);
	loop_remove_timer(c->loop, cell->failing);
	msg_close_fds(cell->fds, CELL_FDS);
	msg_close_fds((int[]){cell->log_read, cell->log_write, cell->stem_fd, cell->shared_fd}, 4);
	/* harmless when it is gone already */
	if (cell->number)
		cells_send(c, &r, sizeof(r), -1);
	list_remove(&cell->at);
	c->count--;
	free(cell->dress);
	free(cell);
}

static void tell_failure(void *ctx)
{
	struct cell *cell = ctx;
	cell->failing = NULL;
	cell->events->ready(cell->ctx, cell, cell->failure);
}

void cells_fail(struct cell *cell, int error)
{
	enum cell_state was = cell->state;
	if (!cell->claimed) {
		struct cells *c = cell->cells;
		cells_drop(cell);
		pool_refill_soon(c, REPLACE_AFTER_US);
		return;
	}
	if (was == CELL_DEAD)
		return;
	cell->state = CELL_DEAD;
	loop_remove_fd(cell->cells->loop, cell->control_watch);
	loop_remove_fd(cell->cells->loop, cell->stem_watch);
	cell->control_watch = cell->stem_watch = NULL;
	if (was == CELL_LIVE) {
		cell->events->lost(cell->ctx, cell);
		return;
	}
	cell->cells->failed_total++;
	cell->failure = error;
	cell->failing = loop_add_timer(cell->cells->loop, 0, tell_failure, cell);
}

/* The zygote is being started (-EAGAIN), or there is none. A stem of the pool waits for the one and does without the other; who has
 * claimed a cell gets one without a runtime in it. */
static void image_is_missing(struct cell *cell, int error)
{
	struct cells *c = cell->cells;
	if (error == -ENOTSUP && cell->kind >= 0)
		c->stems[cell->kind].image = CELL_IMAGE_NONE;
	if (cell->claimed) {
		cell->kind = -1;
		send_make(cell);
		return;
	}
	list_remove(&cell->at);
	c->count--;
	free(cell);
	c->rest_until_us = loop_now_us(c->loop) + IMAGE_AGAIN_US;
	pool_refill_soon(c, IMAGE_AGAIN_US);
}

static void make_answered(struct cells *c, const struct priv_answer *a, int *fds, size_t nfds)
{
	struct cell *cell = find(c, a->h.number);
	if (!cell || cell->state != CELL_MAKING) {
		msg_close_fds(fds, nfds);
		return;
	}
	int error = a->error;
	size_t n = 0;
	for (int i = 0; i < CELL_FDS && n < nfds; i++)
		if (a->present >> i & 1)
			cell->fds[i] = fds[n++];
	if (n < nfds)
		msg_close_fds(fds + n, nfds - n);
	if (!error && (cell->fds[CELL_FD_CONTROL] < 0 || cell->fds[CELL_FD_RUNTIME] < 0 || cell->fds[CELL_FD_ENDPOINT] < 0))
		error = -EPROTO;
	int log[2];
	if (!error && pipe2(log, O_CLOEXEC | O_NONBLOCK) < 0)
		error = -errno;
	if (!error) {
		cell->log_read = log[0];
		cell->log_write = log[1];
		/* what runs inside expects an output that waits when it is full */
		fcntl(log[1], F_SETFL, fcntl(log[1], F_GETFL) & ~O_NONBLOCK);
		error = cell_watch(cell);
	}
	if (!error) {
		c->made_total++;
		c->make_failures = 0;
		pool_made(cell);
		return;
	}
	if (cell->image && (error == -EAGAIN || error == -ENOTSUP)) {
		image_is_missing(cell, error);
		return;
	}
	/* a link of that name is still on its way out: another number has another name */
	if (error == -EEXIST && cell->tries++ < CELL_MAKE_TRIES) {
		send_make(cell);
		return;
	}
	c->make_failures++;
	c->rest_until_us = loop_now_us(c->loop) + ((int64_t)500000 << (c->make_failures < 7 ? c->make_failures : 7));
	cells_fail(cell, error);
	pool_refill_soon(c, 0);
}

static void dress_answered(struct cells *c, const struct priv_answer *a)
{
	struct cell *cell = find(c, a->h.number);
	if (!cell || cell->state != CELL_DRESSING)
		return;
	if (a->error) {
		cells_fail(cell, a->error);
		return;
	}
	cell->state = CELL_LIVE;
	cell_reset_memory_peak(cell);
	cell->oom_base += (int64_t)cell_oom_kills(cell);
	cell->cpu_base_us += cell_cpu_us(cell);
	uint32_t number = cell->number;
	cell->events->ready(cell->ctx, cell, 0);
	/* the stem ended while the cell was dressed: said after ready(), unless that destroyed the cell */
	if (find(c, number) == cell && cell->stem_ended && cell->events->exited) {
		cell->stem_ended = false;
		cell->events->exited(cell->ctx, cell, CELL_STEM_PROCESS, cell->stem_status);
	}
}

static void facts_answered(struct cells *c, const struct priv_facts_answer *a)
{
	struct cells_facts *f = &c->facts;
	*f = (struct cells_facts){
	        .known = true,
	        .works = a->works,
	        .cgroup_version = a->cgroup_version,
	        .memory_limit = a->memory_limit,
	        .cpu_limit = a->cpu_limit,
	        .pids_limit = a->pids_limit,
	        .freezer = a->freezer,
	        .network = a->network,
	        .user_namespace = a->user_namespace,
	        .seccomp = a->seccomp,
	};
	f->snapshots_tried = a->snapshots != PRIV_UNTRIED;
	f->snapshots = a->snapshots == PRIV_WORKS;
	memcpy(f->why_no_snapshots, a->why_no_snapshots, sizeof(f->why_no_snapshots) - 1);
	memcpy(f->why_not, a->why_not, sizeof(f->why_not) - 1);
	memcpy(f->why_no_network, a->why_no_network, sizeof(f->why_no_network) - 1);
	pool_refill_soon(c, 0);
}

static void snapshot_answered(struct cells *c, const struct priv_snapshot_answer *a)
{
	struct cell *cell = find(c, a->a.h.number);
	char why[PRIV_WHY_MAX];
	if (!cell || !cell->snapshot_fn)
		return;
	cell_snapshot_fn *fn = cell->snapshot_fn;
	cell->snapshot_fn = NULL;
	memcpy(why, a->why, sizeof(why));
	why[sizeof(why) - 1] = 0;
	fn(cell->snapshot_ctx, a->a.error, why);
}

static struct cell *first_living(struct cells *c)
{
	list_each (&c->all, struct cell, at, cell)
		if (cell->state != CELL_DEAD)
			return cell;
	return NULL;
}

static void priv_died(struct cells *c)
{
	loop_remove_fd(c->loop, c->watch);
	c->watch = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	forget_unsent(c);
	/* an owner's callback may destroy cells, its own and others': start over after each */
	for (struct cell *cell; (cell = first_living(c));)
		cells_fail(cell, -EPIPE);
}

static void answers(void *ctx, uint32_t events)
{
	struct cells *c = ctx;
	if (events & EPOLLOUT)
		send_unsent(c);
	while (c->fd >= 0) {
		union priv_any_answer a;
		int fds[CELL_FDS];
		size_t nfds;
		ssize_t n = msg_recv(c->fd, &a, sizeof(a), fds, CELL_FDS, &nfds);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			priv_died(c);
			return;
		}
		bool plain = n == sizeof(a.a);
		if (plain && a.a.h.verb == PRIV_MAKE) {
			make_answered(c, &a.a, fds, nfds);
			continue;
		}
		msg_close_fds(fds, nfds);
		if (plain && a.a.h.verb == PRIV_DRESS) {
			dress_answered(c, &a.a);
		} else if (plain && a.a.h.verb == PRIV_GONE) {
			struct cell *cell = find(c, a.a.h.number);
			if (cell)
				cells_fail(cell, -EIO);
		} else if (n == sizeof(a.snapshot) && a.a.h.verb == PRIV_SNAPSHOT) {
			snapshot_answered(c, &a.snapshot);
		} else if (n == sizeof(a.facts) && a.a.h.verb == PRIV_FACTS) {
			facts_answered(c, &a.facts);
		}
	}
}

void cells_set_priv(struct cells *c, int priv_fd)
{
	priv_died(c);
	c->fd = priv_fd;
	c->watch = loop_add_fd(c->loop, priv_fd, EPOLLIN, answers, c);
	if (!c->watch)
		die("cannot watch priv");
	struct priv_facts_request r = {.h = {PRIV_FACTS, 0}};
	cells_send(c, &r, sizeof(r), -1);
}

int cells_open_channel(struct cells *c, unsigned channel)
{
	struct priv_channel_request r = {.h.verb = PRIV_CHANNEL, .channel = channel};
	int pair[2];
	if (c->fd < 0)
		return -EPIPE;
	int error = msg_pair(pair);
	if (error)
		return error;
	error = msg_send(c->fd, &r, sizeof(r), &pair[1], 1);
	close(pair[1]);
	if (error)
		close(pair[0]);
	return error ? error : pair[0];
}

void cells_forget_snapshot(struct cells *c, const char *name)
{
	struct priv_forget_request r = {.h.verb = PRIV_FORGET};
	memcpy(r.name, name, CELL_SNAPSHOT_NAME);
	cells_send(c, &r, sizeof(r), -1);
}

struct cells *cells_new(struct loop *l, int priv_fd, const struct cells_config *config)
{
	struct cells *c = allocate(sizeof(*c));
	*c = (struct cells){
	        .loop = l,
	        .fd = -1,
	        .keep_blank = config->keep_blank,
	        .max_cells = config->max_cells ? config->max_cells : 1000,
	        .quiet_us = config->refill_quiet_us ? config->refill_quiet_us : 20000,
	        .stem_count = config->stem_count,
	};
	list_init(&c->all);
	list_init(&c->unsent);
	c->stems = allocate(sizeof(*c->stems) * (config->stem_count + 1));
	for (size_t i = 0; i < config->stem_count; i++) {
		const struct cell_stem *s = &config->stems[i];
		c->stems[i].kind = strdup(s->kind);
		c->stems[i].start = cell_pack_start(&s->process, 0, true, &c->stems[i].start_bytes);
		/* too long to be started ahead: such functions run in blank cells */
		c->stems[i].keep = c->stems[i].start ? s->keep : 0;
		c->stems[i].image = c->stems[i].start ? s->image : CELL_IMAGE_NONE;
	}
	cells_set_priv(c, priv_fd);
	return c;
}

void cells_free(struct cells *c)
{
	if (!c)
		return;
	list_each (&c->all, struct cell, at, cell)
		cells_drop(cell);
	loop_remove_timer(c->loop, c->refill_timer);
	loop_remove_fd(c->loop, c->watch);
	forget_unsent(c);
	if (c->fd >= 0)
		close(c->fd);
	for (size_t i = 0; i < c->stem_count; i++) {
		free(c->stems[i].kind);
		free(c->stems[i].start);
	}
	free(c->stems);
	free(c);
}

const struct cells_facts *cells_facts(const struct cells *c)
{
	return &c->facts;
}
