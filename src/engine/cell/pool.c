/* Which cell a claim gets, and what is made ahead.
 *
 * A claim takes, in this order: a stem of its kind that waits, one that is still starting (its message waits in the socket), then,
 * for a kind with a zygote, one being made or a new one, which is a fork away; else a blank, one being made for the pool, a new
 * one. The pool is refilled one cell at a time, after a quiet moment, with the least CPU weight there is, so that running functions
 * do not feel it. A stem whose process ends before it is claimed is a broken runtime: its kind rests. */
#include "engine/cell/pool.h"

#include "base/hash.h"
#include "base/log.h"
#include "engine/cgroup/cgroup.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WARM_AT_LATEST_US = 2000000, REST_AFTER_FAILURES = 3, REST_US = 30000000 };
/* Copies share their zygote's memory: so many cost what one does that was started by itself. */
enum { COPIES_FOR_ONE = 3 };

static int find_kind(const struct cells *c, struct str kind)
{
	for (size_t i = 0; i < c->stem_count; i++)
		if (str_is(kind, c->stems[i].kind))
			return (int)i;
	return -1;
}

static unsigned count_pool(const struct cells *c, int kind)
{
	unsigned n = 0;
	list_each (&c->all, struct cell, at, cell)
		n += !cell->claimed && cell->kind == kind;
	return n;
}

static struct cell *find_unclaimed(struct cells *c, enum cell_state state, int kind, bool any_kind)
{
	list_each (&c->all, struct cell, at, cell)
		if (!cell->claimed && cell->state == state && (any_kind || cell->kind == kind))
			return cell;
	return NULL;
}

static bool has_image(const struct cells *c, int kind)
{
	return kind >= 0 && c->stems[kind].image != CELL_IMAGE_NONE;
}

static struct cell *choose(struct cells *c, int kind, bool stem_ok)
{
	struct cell *cell = NULL;
	if (stem_ok && kind >= 0) {
		cell = find_unclaimed(c, CELL_WARM, kind, false);
		if (!cell)
			cell = find_unclaimed(c, CELL_WARMING, kind, false);
		if (!cell && has_image(c, kind))
			return find_unclaimed(c, CELL_MAKING, kind, false);
	}
	if (!cell)
		cell = find_unclaimed(c, CELL_BLANK, -1, true);
	if (!cell)
		cell = find_unclaimed(c, CELL_MAKING, -1, true);
	return cell;
}

static void dress(struct cell *cell)
{
	cell->state = CELL_DRESSING;
	cell->dress->h = (struct priv_header){PRIV_DRESS, cell->number};
	cell->dress->shared = cell->shared_fd >= 0;
	cells_send(cell->cells, cell->dress,
	           offsetof(struct priv_dress_request, layers) + cell->dress->layer_count * sizeof(cell->dress->layers[0]),
	           cell->shared_fd);
	msg_close_fds(&cell->shared_fd, 1);
	cell->shared_fd = -1;
}

static int copy_path(struct str from, char to[PRIV_PATH_MAX])
{
	if (from.n >= PRIV_PATH_MAX || (from.n && memchr(from.p, 0, from.n)))
		return -ENAMETOOLONG;
	memset(to, 0, PRIV_PATH_MAX);
	if (from.n)
		memcpy(to, from.p, from.n);
	return 0;
}

static int check_spec(const struct cell_spec *s, struct priv_dress_request *ret)
{
	if (s->memory_mb < CELL_MEMORY_MB_MIN || s->memory_mb > CELL_MEMORY_MB_MAX || s->tmp_mb < CELL_TMP_MB_MIN ||
	    s->tmp_mb > CELL_TMP_MB_MAX)
		return -EINVAL;
	ret->memory_mb = s->memory_mb;
	ret->tmp_mb = s->tmp_mb;
	if (s->snapshot.n) {
		if (s->snapshot.n != CELL_SNAPSHOT_NAME)
			return -EINVAL;
		memcpy(ret->snapshot, s->snapshot.p, CELL_SNAPSHOT_NAME);
	}
	int error = copy_path(s->code_dir, ret->code);
	return error ? error : copy_path(s->opt_dir, ret->opt);
}

/* NULL with *ret_error set where no cell can be like that. */
static struct priv_dress_request *read_spec(const struct cell_spec *s, int *ret_error)
{
	struct priv_dress_request *r;
	*ret_error = -EINVAL;
	if (s->layer_count > PRIV_LAYERS_MAX || (s->layer_count && (s->code_dir.n || s->opt_dir.n)))
		return NULL;
	r = calloc(1, offsetof(struct priv_dress_request, layers) + s->layer_count * sizeof(r->layers[0]));
	if (!r)
		die("out of memory");
	*ret_error = check_spec(s, r);
	for (size_t i = 0; i < s->layer_count && !*ret_error; i++)
		*ret_error = hex_decode(str_from(s->layers[i]), r->layers[i], sizeof(r->layers[i])) ? 0 : -EINVAL;
	r->layer_count = (uint32_t)s->layer_count;
	if (!*ret_error)
		return r;
	free(r);
	return NULL;
}

/* A handle for a claim that fails at once. */
static struct cell *refuse(struct cells *c, int error, const struct cell_events *events, void *ctx)
{
	struct cell *cell = cells_add(c, -1, false);
	cell->claimed = true;
	cell->events = events;
	cell->ctx = ctx;
	cells_fail(cell, error);
	return cell;
}

struct cell *cell_claim(struct cells *c, const struct cell_spec *spec, const struct cell_events *events, void *ctx)
{
	int error;
	struct priv_dress_request *r = read_spec(spec, &error);
	if (!error && c->fd < 0)
		error = -EPIPE;
	if (!error && c->facts.known && !c->facts.works)
		error = -ENOTSUP;
	int shared = !error && spec->shared_fd ? fcntl(spec->shared_fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (!error && spec->shared_fd && shared < 0)
		error = -errno; /* and never one that leads elsewhere */
	int kind = find_kind(c, spec->kind);
	struct cell *cell = error ? NULL : choose(c, kind, spec->stem_ok);
	if (!error && !cell && c->count >= c->max_cells) {
		/* full, but something in it may be nobody's */
		struct cell *spare = find_unclaimed(c, CELL_WARM, -1, true);
		if (!spare)
			spare = find_unclaimed(c, CELL_WARMING, -1, true);
		if (spare)
			cells_drop(spare);
		else
			error = -EAGAIN;
	}
	if (error) {
		free(r);
		msg_close_fds(&shared, 1);
		return refuse(c, error, events, ctx);
	}
	bool copies = spec->stem_ok && has_image(c, kind);
	if (!cell)
		cell = cells_make(c, copies ? kind : -1, false);
	else if (cell->state == CELL_MAKING && !(copies && cell->kind == kind))
		cell->kind = -1; /* no stem was started in it, and none will be */
	c->last_claim_us = loop_now_us(c->loop);
	c->claimed_total++;
	cell->claimed = true;
	cell->events = events;
	cell->ctx = ctx;
	cell->dress = r;
	cell->shared_fd = shared;
	cell->quota_us = (uint32_t)((uint64_t)spec->memory_mb * CGROUP_CPU_PERIOD_US / 1769);
	if (cell->kind >= 0) {
		c->claimed_stem_total++;
		c->stems[cell->kind].failures = 0;
	}
	if (cell->state != CELL_MAKING)
		dress(cell);
	pool_refill_soon(c, c->quiet_us);
	return cell;
}

static void stem_speaks(void *ctx, uint32_t events)
{
	struct cell *cell = ctx;
	char word[64];
	ssize_t n = read(cell->stem_fd, word, sizeof(word));
	if (n < 0 && errno == EAGAIN)
		return;
	/* once is enough; an end shows as the end of the process */
	(void)events;
	loop_remove_fd(cell->cells->loop, cell->stem_watch);
	cell->stem_watch = NULL;
	if (cell->state == CELL_WARMING) {
		cell->state = CELL_WARM;
		pool_refill_soon(cell->cells, 0);
	}
}

static int start_stem(struct cell *cell)
{
	struct stem *s = &cell->cells->stems[cell->kind];
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	cell->stem_fd = pair[0];
	cell->stem_watch = loop_add_fd(cell->cells->loop, pair[0], EPOLLIN, stem_speaks, cell);
	s->start->flags = cell->image ? INIT_IMAGE : 0;
	int error = cell_send_start(cell, s->start, s->start_bytes, CELL_STEM_PROCESS, (int[]){cell->log_write, pair[1]}, 2);
	close(pair[1]);
	return error;
}

void pool_made(struct cell *cell)
{
	struct cells *c = cell->cells;
	int error = cell->kind >= 0 ? start_stem(cell) : 0;
	if (error) {
		cells_fail(cell, error);
	} else if (cell->claimed) {
		dress(cell);
	} else if (cell->kind < 0) {
		cell->state = CELL_BLANK;
	} else {
		cell->state = CELL_WARMING;
		cell->warming_since_us = loop_now_us(c->loop);
	}
	pool_refill_soon(c, 0);
}

void pool_ended(struct cell *cell)
{
	struct cells *c = cell->cells;
	struct stem *s = &c->stems[cell->kind];
	if (++s->failures >= REST_AFTER_FAILURES)
		s->rest_until_us = loop_now_us(c->loop) + REST_US;
	cells_drop(cell);
	pool_refill_soon(c, 0);
}

/* The kind that lacks most of what it should hold: -1 a blank, -2 nothing is lacking. */
static int most_wanted(struct cells *c, int64_t now)
{
	int best = -2;
	unsigned best_share = 1000; /* per mille that is there */
	for (int i = -1; i < (int)c->stem_count; i++) {
		unsigned keep = i < 0 ? c->keep_blank : c->stems[i].keep * (has_image(c, i) ? COPIES_FOR_ONE : 1);
		if (!keep || (i >= 0 && c->stems[i].rest_until_us > now))
			continue;
		unsigned have = count_pool(c, i) * 1000 / keep;
		if (have < best_share) {
			best = i;
			best_share = have;
		}
	}
	return best;
}

static bool busy_making(struct cells *c, int64_t now)
{
	list_each (&c->all, struct cell, at, cell) {
		if (cell->claimed)
			continue;
		if (cell->state == CELL_MAKING || (cell->state == CELL_WARMING && now - cell->warming_since_us < WARM_AT_LATEST_US))
			return true;
	}
	return false;
}

static void refill(void *ctx)
{
	struct cells *c = ctx;
	c->refill_timer = NULL;
	int64_t now = loop_now_us(c->loop);
	if (c->fd < 0 || !c->facts.works || c->count >= c->max_cells)
		return;
	int kind = most_wanted(c, now);
	if (kind == -2)
		return;
	if (now < c->rest_until_us) {
		pool_refill_soon(c, c->rest_until_us - now);
		return;
	}
	if (busy_making(c, now)) {
		/* its end calls again; this is for a stem that never says that it is ready */
		pool_refill_soon(c, WARM_AT_LATEST_US);
		return;
	}
	/* an empty pool is refilled between claims too; a half-full one waits for a quiet moment */
	int64_t quiet = c->last_claim_us ? c->last_claim_us + c->quiet_us - now : 0;
	if (quiet > 0 && count_pool(c, kind)) {
		pool_refill_soon(c, quiet);
		return;
	}
	cells_make(c, kind, true);
	pool_refill_soon(c, WARM_AT_LATEST_US);
}

void pool_refill_soon(struct cells *c, int64_t delay_us)
{
	int64_t due = loop_now_us(c->loop) + delay_us;
	if (c->refill_timer && c->refill_due_us <= due)
		return;
	loop_remove_timer(c->loop, c->refill_timer);
	c->refill_due_us = due;
	c->refill_timer = loop_add_timer(c->loop, delay_us, refill, c);
}

void cells_renew(struct cells *c)
{
	list_each (&c->all, struct cell, at, cell)
		if (!cell->claimed)
			cells_drop(cell);
	for (size_t i = 0; i < c->stem_count; i++) {
		c->stems[i].failures = 0;
		c->stems[i].rest_until_us = 0;
	}
	pool_refill_soon(c, 0);
}

void cells_stats(const struct cells *c, struct cells_stats *ret_stats)
{
	struct cells_stats s = {.made_total = c->made_total,
	                        .claimed_total = c->claimed_total,
	                        .claimed_stem_total = c->claimed_stem_total,
	                        .failed_total = c->failed_total};
	list_each (&c->all, struct cell, at, cell) {
		if (cell->claimed)
			s.claimed++;
		else if (cell->state == CELL_BLANK)
			s.ready_blanks++;
		else if (cell->state == CELL_WARM)
			s.ready_stems++;
		else
			s.making++;
	}
	*ret_stats = s;
}
