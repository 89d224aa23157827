/* What happens to secrets by the cloud's clock, and rotations that are under way.
 *
 * A round looks at all secrets and does one thing that is due, in a transaction of its own: a secret ends, a rotation begins, an
 * answer of a function is written down. Functions are asked in between; who asks is in memory alone, and what it asks for is in the
 * record, so a new process asks again. A rotation's steps may so come twice, as AWS says they may. */
#include "rows.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/list.h"
#include "base/log.h"
#include "gen/lambda.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_US = 2 * 1000000, FLIGHTS_MAX = 32, TRIES_MAX = 5, TRY_AGAIN_MS = 60 * 1000, STEPS = 4 };
static const int64_t hour_ms = 3600 * 1000;
static const char *const steps[] = {"", "createSecret", "setSecret", "testSecret", "finishSecret"};

struct secret_keeper {
	struct cloud *cloud;
	struct loop_timer *timer;
	struct arena arena; /* of the round, until its commit is over */
	struct list flights;
	unsigned flight_count;
	bool busy;
};

/* A function that was asked for a step. */
struct flight {
	struct list at;
	struct secret_keeper *keeper; /* NULL: it is gone */
	struct arena arena;
	struct str key, token;
	int64_t step;
	bool over, good, written;
};

static void look(void *ctx);

static void look_in(struct secret_keeper *k, int64_t ms)
{
	loop_remove_timer(k->cloud->loop, k->timer);
	k->timer = loop_add_clock_timer(k->cloud->loop, ms * 1000, look, k);
}

static void flight_free(struct flight *f)
{
	if (f->keeper) {
		list_remove(&f->at);
		f->keeper->flight_count--;
	}
	arena_done(&f->arena);
	free(f);
}

/* --- asking */

static void answered(void *ctx, struct call *sub)
{
	struct flight *f = ctx;
	const struct lambda_invocation_response *out = sub->out;
	if (!f->keeper) {
		flight_free(f);
		return;
	}
	f->over = true;
	f->good = !str_set(sub->error.code) && !str_set(out->function_error);
	if (!f->keeper->busy)
		look_in(f->keeper, 0);
}

static bool flies(struct secret_keeper *k, struct str key)
{
	list_each (&k->flights, struct flight, at, f) {
		if (str_eq(f->key, key))
			return true;
	}
	return false;
}

static void ask(struct secret_keeper *k, struct str key, struct str account, struct str region,
                const struct state_secretsmanager_secret_record *r)
{
	if (k->flight_count >= FLIGHTS_MAX || flies(k, key))
		return;
	struct flight *f = calloc(1, sizeof(*f));
	if (!f)
		die("out of memory (secretsmanager)");
	f->keeper = k;
	f->key = arena_dup(&f->arena, key);
	f->token = arena_dup(&f->arena, r->rotation->token);
	f->step = r->rotation->step.v;
	list_push(&k->flights, &f->at);
	k->flight_count++;
	struct str arn = secret_arn(&f->arena, account, region, r);
	struct principal *self = principal_new(PRINCIPAL_SERVICE, account);
	self->name = self->arn = self->user_id = S("secretsmanager.amazonaws.com");
	self->issuer_arn = arena_dup(&self->arena, arn);
	const struct lambda_invocation_request in = {
	        .function_name = r->rotation->lambda,
	        .invocation_type = S("RequestResponse"),
	        .payload = arena_printf(&f->arena, "{\"Step\":\"%s\",\"SecretId\":\"%.*s\",\"ClientRequestToken\":\"%.*s\"}",
	                                steps[f->step], STR_ARG(arn), STR_ARG(f->token))};
	call_op(k->cloud, self, region, &lambda_api, "Invoke", &in, answered, f);
	principal_unref(self);
}

/* --- what an answer means */

static void drop_version(struct secret *s, struct str id)
{
	struct state_secretsmanager_version *v = secret_version(s, id);
	if (!v)
		return;
	memmove(v, v + 1, (size_t)(&s->r.versions.v[s->r.versions.n] - (v + 1)) * sizeof(*v));
	s->r.versions.n--;
}

static void ended(struct state_secretsmanager_rotation *r)
{
	r->token = STR_NONE;
	r->again = (struct opt_time){0};
	r->tries = OPT_INT(0);
}

static void take(struct flight *f, struct secret *s, int64_t now_ms)
{
	struct state_secretsmanager_rotation *r = s->r.rotation;
	struct state_secretsmanager_version *v = secret_version(s, f->token);
	bool good = f->good;
	if (!r || !str_set(r->token) || !str_eq(r->token, f->token) || r->step.v != f->step)
		return; /* it was cancelled, and perhaps begun anew */
	if (r->only.v) {
		/* A look whether the function works: what it was asked about never was a version. */
		drop_version(s, f->token);
		ended(r);
		return;
	}
	if (f->step == STEPS && !(v && secret_has_stage(v, SECRET_CURRENT)))
		good = false;
	if (good && f->step < STEPS) {
		r->step = OPT_INT(f->step + 1);
		return;
	}
	if (good) {
		ended(r);
		r->last = OPT_TIME(now_ms);
		return;
	}
	r->tries = OPT_INT(r->tries.v + 1);
	r->step = OPT_INT(1);
	r->again = OPT_TIME(now_ms + r->tries.v * TRY_AGAIN_MS);
	if (r->tries.v >= TRIES_MAX)
		ended(r); /* until its schedule, or somebody, says so again */
}

/* The version of a rotation that failed is used again. */
static void begin(struct arena *a, struct secret *s, int64_t now_ms)
{
	struct state_secretsmanager_rotation *r = s->r.rotation;
	const struct state_secretsmanager_version *v = secret_staged(s, SECRET_PENDING);
	int64_t next = secret_rotation_next(r, now_ms);
	r->next = next ? OPT_TIME(next) : (struct opt_time){0};
	r->token = v && !secret_has_stage(v, SECRET_CURRENT) ? v->id : id_uuid(a);
	r->step = OPT_INT(1);
	r->only = r->tries = OPT_INT(0);
	if (secret_version(s, r->token) || s->r.versions.n >= SECRET_VERSIONS_MAX)
		return;
	*LIST_ADD(a, &s->r.versions) = (struct state_secretsmanager_version){.id = r->token, .created = OPT_TIME(now_ms)};
	secret_stage(a, s, r->token, SECRET_PENDING);
}

/* --- rounds */

static void committed(void *ctx, int result, uint64_t revision)
{
	struct secret_keeper *k = ctx;
	(void)revision;
	k->busy = false;
	struct flight *written = NULL; /* one at most: the round's */
	list_each (&k->flights, struct flight, at, f) {
		if (f->written)
			written = f;
	}
	if (written && result == 0)
		flight_free(written);
	else if (written)
		written->written = false;
	if (result < 0 && result != -EAGAIN)
		log_error("secretsmanager: what is due waits: %s", strerror(-result));
	look_in(k, result == 0 || result == -EAGAIN ? 0 : TRY_AGAIN_MS);
}

static bool write_answer(struct secret_keeper *k, struct store_txn *t, int64_t now_ms)
{
	list_each (&k->flights, struct flight, at, f) {
		struct secret s = {0};
		if (!f->over)
			continue;
		if (record_get(t, &k->arena, f->key, &secret_row, &s.r)) {
			take(f, &s, now_ms);
			record_put(t, &k->arena, f->key, &secret_row, &s.r);
		}
		f->written = true;
		return true;
	}
	return false;
}

static int64_t due_ms(const struct state_secretsmanager_secret_record *r)
{
	const struct state_secretsmanager_rotation *q = r->rotation;
	if (r->gone.set)
		return r->gone.ms;
	return q && q->enabled.v && !str_set(q->token) && q->next.set ? q->next.ms : INT64_MAX;
}

/* True: something was written. *ret_next_ms: when there is something to do else. */
static bool do_one(struct secret_keeper *k, struct store_txn *t, int64_t now_ms, int64_t *ret_next_ms)
{
	struct arena *a = &k->arena;
	struct str under = KEY_UNDER(a, S("secretsmanager"), S("secret")), key;
	struct store_value v;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	while (store_next(i, &key, &v)) {
		struct secret s = {0};
		if (!record_read(a, v.value, &secret_row, &s.r))
			continue;
		struct str_list parts = record_key_parts(a, key);
		const struct state_secretsmanager_rotation *q = s.r.rotation;
		int64_t due = due_ms(&s.r);
		if (q && str_set(q->token) && !s.r.gone.set) {
			if (!q->again.set || q->again.ms <= now_ms)
				ask(k, key, parts.v[2], parts.v[3], &s.r);
			else
				due = q->again.ms;
		}
		if (due > now_ms) {
			*ret_next_ms = due < *ret_next_ms ? due : *ret_next_ms;
			continue;
		}
		key = arena_dup(a, key);
		if (s.r.gone.set) {
			secret_drop(t, a, parts.v[2], parts.v[3], &s.r, now_ms);
		} else {
			begin(a, &s, now_ms);
			record_put(t, a, key, &secret_row, &s.r);
		}
		return true;
	}
	return false;
}

static void look(void *ctx)
{
	struct secret_keeper *k = ctx;
	k->timer = NULL;
	if (k->busy)
		return;
	arena_reset(&k->arena);
	int64_t now_ms = clock_wall_ms(), next_ms = now_ms + hour_ms;
	struct store_txn *t = store_begin(k->cloud->store, &k->arena);
	if (write_answer(k, t, now_ms) || do_one(k, t, now_ms, &next_ms)) {
		k->busy = true;
		store_commit(t, committed, k);
		return;
	}
	store_abort(t);
	look_in(k, next_ms - now_ms);
}

struct secret_keeper *secret_keeper_new(struct cloud *cloud)
{
	struct secret_keeper *k = calloc(1, sizeof(*k));
	if (!k)
		die("out of memory (secretsmanager)");
	k->cloud = cloud;
	list_init(&k->flights);
	k->timer = loop_add_clock_timer(cloud->loop, FIRST_US, look, k);
	return k;
}

void secret_keeper_free(struct secret_keeper *k)
{
	if (!k)
		return;
	loop_remove_timer(k->cloud->loop, k->timer);
	struct flight *f;
	while ((f = list_first(&k->flights, struct flight, at))) {
		list_remove(&f->at);
		f->keeper = NULL;
	}
	arena_done(&k->arena);
	free(k);
}

void secret_keeper_wake(struct call *c)
{
	struct secret_keeper *k = cloud_state(c->cloud, &secretsmanager_service);
	if (k && !k->busy)
		look_in(k, 0);
}

bool secret_keeper_busy(const struct secret_keeper *k)
{
	return k && k->busy;
}
