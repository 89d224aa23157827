#include "aws/lambda/pool.h"

#include "aws/lambda/environment.h"
#include "aws/lambda/provision.h"
#include <stdlib.h>

enum {
	SWEEP_US = 15 * 1000 * 1000,
	SWEEPS_A_MINUTE = 4,
	RENEW_EARLY_MS = 5 * 60 * 1000,       /* provisioned ones are made anew before they are stale */
	RENEW_PART = 8,                       /* an eighth of them at a time */
	IDLE_LIFE_US = 10 * 60 * 1000 * 1000, /* an idle environment is recycled after */
};

struct pools {
	struct lambda *lambda;
	struct list lru;     /* idle environments, the longest idle first */
	struct list leaving; /* environments whose extensions have their last seconds, the oldest first */
	unsigned environments, idle, starting, sweeps;
	struct list provisions; /* that want environments */
	struct loop_timer *timer;
};
struct pool {
	unsigned refs;
	struct lambda *lambda;
	bool retired;
	struct list all, idle;
	int64_t gone_cpu_us; /* of environments that have ended */
	struct provision provision;
};

/* Some at a time, so that there are always others. */
static void renew_provisioned(struct provision *v)
{
	int64_t left = v->kept == v->ready ? (v->ready + RENEW_PART - 1) / RENEW_PART : 0;
	list_each (&v->pool->idle, struct environment, idle_link, e)
		if (e->provisioned && left > 0 && environment_is_stale_in(e, RENEW_EARLY_MS)) {
			left--;
			environment_end(e);
		}
}

static void sweep(void *ctx)
{
	struct pools *p = ctx;
	int64_t now = loop_now_us(p->lambda->cloud->loop);
	list_each (&p->lru, struct environment, lru_link, e)
		if ((now - e->idle_since_us > IDLE_LIFE_US && !e->provisioned) || environment_is_stale(e))
			environment_end(e);
	p->sweeps++;
	list_each (&p->provisions, struct provision, link, v) {
		renew_provisioned(v);
		if (p->sweeps % SWEEPS_A_MINUTE == 0)
			provision_publish(v);
	}
	credential_cache_sweep(p->lambda->credentials);
	p->timer = loop_add_clock_timer(p->lambda->cloud->loop, SWEEP_US, sweep, p);
}

struct pools *pools_new(struct lambda *l)
{
	struct pools *p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->lambda = l;
	list_init(&p->lru);
	list_init(&p->leaving);
	list_init(&p->provisions);
	p->timer = loop_add_clock_timer(l->cloud->loop, SWEEP_US, sweep, p);
	return p;
}

void pools_free(struct pools *p)
{
	if (!p)
		return;
	loop_remove_timer(p->lambda->cloud->loop, p->timer);
	free(p);
}

/* The oldest that is on its way out makes room at once; else the longest idle goes. */
enum pools_evicted pools_evict_idle(struct pools *p)
{
	struct environment *leaving = list_first(&p->leaving, struct environment, link);
	if (leaving) {
		environment_end_now(leaving);
		return POOLS_EVICTED;
	}
	list_each (&p->lru, struct environment, lru_link, e) {
		if (e->provisioned)
			continue;
		environment_end(e);
		return list_empty(&p->leaving) ? POOLS_EVICTED : POOLS_EVICTING;
	}
	return POOLS_BUSY;
}

void pools_add_leaving(struct pools *p, struct environment *e)
{
	list_push(&p->leaving, &e->link);
}

void pools_end_leaving(struct pools *p)
{
	list_each (&p->leaving, struct environment, link, e)
		environment_end_now(e);
}

void pools_stats(const struct pools *p, struct pools_stats *ret)
{
	*ret = (struct pools_stats){
	        .environments = p->environments, .idle = p->idle, .busy = p->environments - p->idle, .starting = p->starting};
}

struct pool *pool_new(struct lambda *l)
{
	struct pool *p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->refs = 1;
	p->lambda = l;
	list_init(&p->all);
	list_init(&p->idle);
	provision_init(&p->provision, p);
	return p;
}

struct pool *pool_ref(struct pool *p)
{
	p->refs++;
	return p;
}

void pool_unref(struct pool *p)
{
	if (!--p->refs)
		free(p);
}

struct lambda *pool_lambda(const struct pool *p)
{
	return p->lambda;
}

bool pool_lets_go(const struct pool *p, const struct environment *e)
{
	return p->retired || (e->provisioned && provision_lets_go(&p->provision));
}

struct provision *pool_provision(struct pool *p)
{
	return &p->provision;
}

void pool_note_provision(struct pool *p, bool wants)
{
	list_remove(&p->provision.link);
	if (wants)
		list_push(&p->lambda->pools->provisions, &p->provision.link);
}

void pool_end_surplus(struct pool *p)
{
	list_each (&p->idle, struct environment, idle_link, e)
		if (e->provisioned && provision_lets_go(&p->provision))
			environment_end(e);
}

void pool_retire(struct pool *p)
{
	p->retired = true;
	pool_ref(p);
	provision_set(&p->provision, NULL, STR_NONE, 0, 0);
	list_each (&p->idle, struct environment, idle_link, e)
		environment_end(e);
	pool_unref(p);
}

struct cell *pool_enter(struct pool *p)
{
	list_each (&p->all, struct environment, link, e) {
		if (!e->cell_ready || e->doomed)
			continue;
		e->entered = true;
		if (cell_is_frozen(e->cell))
			cell_thaw(e->cell);
		return e->cell;
	}
	return NULL;
}

int64_t pool_cpu_us(struct pool *p)
{
	int64_t sum = p->gone_cpu_us;
	list_each (&p->all, struct environment, link, e)
		if (e->cell_ready)
			sum += cell_cpu_us(e->cell);
	return sum;
}

void pool_add(struct pool *p, struct environment *e)
{
	list_push(&p->all, &e->link);
	p->lambda->pools->environments++;
}

void pool_set_idle(struct pool *p, struct environment *e, bool idle)
{
	if (list_linked(&e->idle_link) == idle)
		return;
	if (idle) {
		e->idle_since_us = loop_now_us(p->lambda->cloud->loop);
		list_push_front(&p->idle, &e->idle_link);
		list_push(&p->lambda->pools->lru, &e->lru_link);
		p->lambda->pools->idle++;
	} else {
		list_remove(&e->idle_link);
		list_remove(&e->lru_link);
		p->lambda->pools->idle--;
	}
}

void pool_set_starting(struct pool *p, struct environment *e, bool starting)
{
	if (e->starting == starting)
		return;
	e->starting = starting;
	if (starting)
		p->lambda->pools->starting++;
	else
		p->lambda->pools->starting--;
}

void pool_remove(struct pool *p, struct environment *e)
{
	pool_set_idle(p, e, false);
	list_remove(&e->link);
	p->gone_cpu_us += e->cell_ready ? cell_cpu_us(e->cell) : 0;
	p->lambda->pools->environments--;
	if (e->provisioned)
		provision_is_gone(&p->provision, e->provisioned_ready);
}

/* An idle environment, or one that has answered and is on its way back to /next: that is quicker than a new one. */
static struct environment *warm(struct pool *p, bool provisioned)
{
	list_each (&p->idle, struct environment, idle_link, e)
		if (e->provisioned == provisioned && !environment_is_stale(e)) /* the sweep ends such */
			return e;
	list_each (&p->all, struct environment, link, e)
		if (e->provisioned == provisioned && e->state == ENVIRONMENT_DONE && !e->queued && !environment_is_stale(e))
			return e;
	return NULL;
}

bool pool_is_warm(struct pool *p)
{
	return warm(p, false) != NULL;
}

void pool_run(struct pool *p, struct invocation *inv)
{
	struct environment *e = warm(p, inv->provisioned);
	if (!e && inv->provisioned)
		e = warm(p, false); /* one has been lost just now */
	if (e)
		environment_run(e, inv);
	else
		environment_start(p, inv);
}
