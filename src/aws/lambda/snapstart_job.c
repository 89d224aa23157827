/* Snapshots on their way. A job is for one version: it waits for its turn, has an environment, and ends with a verdict. When the
 * environment is lost without one (priv was killed) it is begun again. */
#include "aws/lambda/environment.h"
#include "aws/lambda/pool.h"
#include "aws/lambda/snapstart.h"
#include "base/id.h"
#include "base/list.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	AT_ONCE = 2,
	TRIES_MAX = 10,
	AGAIN_US = 300 * 1000,
	TIDY_US = 3 * 1000 * 1000,
	TAKE_LIMIT_US = 60 * 1000 * 1000,
	FILE_SPARE_MB = 64, /* beside the function's memory and /tmp: what it shares with others is copied, too */
};

struct snapstart_job {
	struct list at;
	struct snapstarts *all;
	struct arena arena;
	struct str account, region, function, version;
	char name[CELL_SNAPSHOT_NAME + 1];
	snapstart_fn *fn;
	void *ctx;
	struct environment *environment; /* NULL: it waits, or has ended */
	struct loop_timer *timer;        /* until it is begun again, or given up */
	unsigned tries;
	bool running, decided;
	struct snapstart_result result;
};

struct snapstarts {
	struct lambda *lambda;
	struct list jobs;
	unsigned running;
	struct loop_timer *tidy;
};

static void next(struct snapstarts *s);

static void drop(struct snapstart_job *j)
{
	loop_remove_timer(j->all->lambda->cloud->loop, j->timer);
	list_remove(&j->at);
	j->all->running -= j->running;
	arena_done(&j->arena);
	free(j);
}

static void decide(struct snapstart_job *j, int error, struct str code, struct str reason)
{
	if (j->decided)
		return;
	j->decided = true;
	j->result = (struct snapstart_result){.error = error,
	                                      .name = str_from(j->name),
	                                      .code = arena_dup(&j->arena, code),
	                                      .reason = arena_dup(&j->arena, reason)};
}

static void conclude(void *ctx)
{
	struct snapstart_job *j = ctx;
	struct snapstarts *s = j->all;
	j->timer = NULL;
	if (j->result.error)
		cells_forget_snapshot(s->lambda->cloud->cells, j->name);
	j->fn(j->ctx, &j->result);
	drop(j);
	next(s);
}

/* Never from inside what led here. */
static void conclude_soon(struct snapstart_job *j)
{
	j->timer = loop_add_timer(j->all->lambda->cloud->loop, 0, conclude, j);
}

static void begin(void *ctx)
{
	struct snapstart_job *j = ctx;
	struct lambda *l = j->all->lambda;
	struct fn *fn = directory_find(l->directory, j->account, j->region, j->function);
	struct fn_version *v = fn ? fn_choose_version(fn, j->version) : NULL;
	j->timer = NULL;
	snprintf(j->name, sizeof(j->name), "%.*s", STR_ARG(id_hex(&j->arena, CELL_SNAPSHOT_NAME)));
	if (!v || !l->cloud->cells) {
		decide(j, -ENOENT, S("InternalError"), v ? S("Sandboxes do not work on this machine.") : S("The version is gone."));
		conclude_soon(j);
		return;
	}
	j->tries++;
	environment_start_snapshot(v->pool, v, j);
}

static void next(struct snapstarts *s)
{
	list_each (&s->jobs, struct snapstart_job, at, j) {
		if (s->running >= AT_ONCE)
			return;
		if (j->running)
			continue;
		j->running = true;
		s->running++;
		j->timer = loop_add_timer(s->lambda->cloud->loop, 0, begin, j);
	}
}

void snapstart_make(struct lambda *l, struct str account, struct str region, struct str function, struct str version,
                    snapstart_fn *fn, void *ctx)
{
	struct snapstart_job *j = calloc(1, sizeof(*j));
	if (!j)
		abort();
	j->all = l->snapstarts;
	j->fn = fn;
	j->ctx = ctx;
	arena_init(&j->arena, 0);
	j->account = arena_dup(&j->arena, account);
	j->region = arena_dup(&j->arena, region);
	j->function = arena_dup(&j->arena, function);
	j->version = arena_dup(&j->arena, version);
	list_push(&l->snapstarts->jobs, &j->at);
	next(l->snapstarts);
}

/* --- its environment */

struct str snapstart_job_name(const struct environment *e)
{
	return e->taking ? str_from(e->taking->name) : STR_NONE;
}

void snapstart_begun(struct environment *e)
{
	e->taking->environment = e;
}

static void taken(void *ctx, int error, const char *why)
{
	struct environment *e = ctx;
	struct snapstart_job *j = e->taking;
	struct str reason = error ? arena_printf(&j->arena, "Lambda could not take a snapshot of the function: %s.", why) : S("");
	decide(j, error, S("FunctionError"), reason);
	environment_end(e);
}

static void too_slow(void *ctx)
{
	struct snapstart_job *j = ctx;
	j->timer = NULL;
	decide(j, -ETIMEDOUT, S("InternalError"), S("Taking the snapshot has taken too long."));
	environment_end(j->environment);
}

void snapstart_take(struct environment *e, enum cell_waits waits)
{
	struct snapstart_job *j = e->taking;
	const struct lambda_function_configuration *f = e->version->config;
	int64_t tmp_mb = f->ephemeral_storage ? f->ephemeral_storage->size.v : 512;
	if (e->snapping)
		return;
	e->snapping = true;
	lazy_stop(&e->limit, e->lambda->cloud->loop);
	output_drain(e->output, cell_log_fd(e->cell));
	cell_snapshot(e->cell, j->name, waits, (unsigned)(f->memory_size.v + tmp_mb + FILE_SPARE_MB), taken, e);
	j->timer = loop_add_timer(e->lambda->cloud->loop, TAKE_LIMIT_US, too_slow, j);
}

void snapstart_fail(struct environment *e, struct str code, struct str reason)
{
	decide(e->taking, -EIO, code, reason);
}

void snapstart_init_failed(struct environment *e, const char *type, const char *what)
{
	struct str code = S("FunctionError");
	if (!strcmp(type, "Sandbox.Timedout"))
		code = S("FunctionError.InitTimeout");
	else if (!strcmp(type, "Runtime.ExitError"))
		code = S("FunctionError.RuntimeInitError");
	else if (!strcmp(type, "Runtime.InvalidEntrypoint"))
		code = S("FunctionError.InvalidEntryPoint");
	struct str body = e->init_error;
	snapstart_fail(e, code,
	               arena_printf(&e->taking->arena, "Lambda could not initialize the function: %s: %.*s", type,
	                            STR_ARG(str_set(body) ? body : str_from(what))));
}

void snapstart_over(struct environment *e)
{
	struct snapstart_job *j = e->taking;
	struct loop *loop = j->all->lambda->cloud->loop;
	e->taking = NULL;
	j->environment = NULL;
	loop_remove_timer(loop, j->timer);
	j->timer = NULL;
	if (!j->decided && j->tries < TRIES_MAX) {
		j->timer = loop_add_timer(loop, AGAIN_US, begin, j);
		return;
	}
	decide(j, -EIO, S("InternalError"), S("The environment that was to be kept was lost."));
	conclude_soon(j);
}

/* --- again */

struct remake {
	struct lambda *lambda;
	struct arena arena;
	struct str key, name;
	unsigned tries;
};

static void remade_done(struct remake *r)
{
	arena_done(&r->arena);
	free(r);
}

static void record(void *ctx);

static void recorded(void *ctx, int result, uint64_t revision)
{
	struct remake *r = ctx;
	(void)revision;
	if (result == -EAGAIN && ++r->tries < 100) {
		loop_post(r->lambda->cloud->loop, record, r);
		return;
	}
	if (result) {
		log_error("lambda: recording a snapshot: %s", strerror(-result));
		snapstart_forget(r->lambda, r->name);
	}
	remade_done(r);
}

static void record(void *ctx)
{
	struct remake *r = ctx;
	struct state_lambda_version_record row = {0};
	struct store_txn *t = store_begin(r->lambda->cloud->store, &r->arena);
	if (!record_get(t, &r->arena, r->key, ROW("Version"), &row)) {
		store_abort(t);
		snapstart_forget(r->lambda, r->name);
		remade_done(r);
		return;
	}
	row.snapshot = r->name;
	record_put(t, &r->arena, r->key, ROW("Version"), &row);
	store_commit(t, recorded, r);
}

static void remade(void *ctx, const struct snapstart_result *result)
{
	struct remake *r = ctx;
	if (result->error) {
		log_warn("lambda: a snapshot could not be made again: %.*s", STR_ARG(result->reason));
		remade_done(r);
		return;
	}
	r->name = arena_dup(&r->arena, result->name);
	record(r);
}

void snapstart_lost(struct lambda *l, struct fn_version *v)
{
	if (v->snapshot_lost)
		return;
	v->snapshot_lost = true;
	struct remake *r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->lambda = l;
	arena_init(&r->arena, 0);
	r->key = lambda_version_key(&r->arena, v->account, v->region, v->name, v->version);
	snapstart_make(l, v->account, v->region, v->name, v->version, remade, r);
}

void snapstart_forget(struct lambda *l, struct str name)
{
	if (str_set(name) && name.n == CELL_SNAPSHOT_NAME && l->cloud->cells)
		cells_forget_snapshot(l->cloud->cells, name.p);
}

void snapstart_see(struct lambda *l, struct fn_version *v)
{
	char path[4200];
	if (!str_set(v->snapshot) || v->snapshot_lost || !l->cloud->cells)
		return;
	snprintf(path, sizeof(path), "%s/snapshots/%.*s", l->cloud->data_dir, STR_ARG(v->snapshot));
	if (access(path, F_OK) < 0 && errno == ENOENT)
		snapstart_lost(l, v);
}

/* --- beginning and end */

static bool is_coming(const struct snapstarts *s, struct str name)
{
	list_each (&((struct snapstarts *)(uintptr_t)s)->jobs, struct snapstart_job, at, j)
		if (str_is(name, j->name))
			return true;
	return false;
}

/* What a killed api had made and not recorded. */
static void tidy(void *ctx)
{
	struct snapstarts *s = ctx;
	char path[4200];
	s->tidy = NULL;
	snprintf(path, sizeof(path), "%s/snapshots", s->lambda->cloud->data_dir);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		struct str name = str_from(e->d_name);
		if (name.n == CELL_SNAPSHOT_NAME && !is_coming(s, name) && !directory_knows_snapshot(s->lambda->directory, name))
			snapstart_forget(s->lambda, name);
	}
	if (d)
		closedir(d);
}

struct snapstarts *snapstarts_open(struct lambda *l)
{
	struct snapstarts *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->lambda = l;
	list_init(&s->jobs);
	if (l->cloud->cells)
		s->tidy = loop_add_timer(l->cloud->loop, TIDY_US, tidy, s);
	return s;
}

void snapstarts_close(struct snapstarts *s)
{
	if (!s)
		return;
	loop_remove_timer(s->lambda->cloud->loop, s->tidy);
	list_each (&s->jobs, struct snapstart_job, at, j) {
		struct environment *e = j->environment;
		if (e) {
			e->taking = NULL;
			environment_end(e);
		}
		drop(j);
	}
	free(s);
}
