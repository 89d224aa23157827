#include "aws/lambda/provision.h"

#include "aws/lambda/environment.h"
#include "base/clock.h"
#include "engine/metrics/metrics.h"

#include <stdio.h>

enum { STARTS_MAX = 8, FAILURES_MAX = 3, AGAIN_US = 200 * 1000, MINUTE_S = 60 };

static void fill(void *ctx)
{
	struct provision *p = ctx;
	p->timer = NULL;
	int64_t coming = p->kept - p->ready, lack = p->wanted - p->kept;
	for (; lack > 0 && coming < STARTS_MAX && !p->failed && p->version; lack--, coming++) {
		p->kept++;
		environment_start_ahead(p->pool, p->version);
	}
}

static void fill_in(struct provision *p, int64_t delay_us)
{
	if (!p->timer && p->kept < p->wanted && !p->failed)
		p->timer = loop_add_timer(pool_lambda(p->pool)->cloud->loop, delay_us, fill, p);
}

void provision_init(struct provision *p, struct pool *pool)
{
	*p = (struct provision){.pool = pool};
	list_init(&p->link);
}

void provision_set(struct provision *p, struct fn_version *v, struct str qualifier, int64_t wanted, int64_t requested_ms)
{
	struct fn_version *before = p->version;
	if (!wanted && !before)
		return;
	p->version = wanted ? fn_version_ref(v) : NULL;
	p->wanted = wanted;
	if (wanted)
		snprintf(p->qualifier, sizeof(p->qualifier), "%.*s", STR_ARG(qualifier));
	if (p->requested_ms != requested_ms) {
		p->requested_ms = requested_ms;
		p->failures = 0;
		p->failed = false;
	}
	pool_note_provision(p->pool, wanted > 0);
	pool_end_surplus(p->pool);
	if (!wanted) {
		loop_remove_timer(pool_lambda(p->pool)->cloud->loop, p->timer);
		p->timer = NULL;
	}
	fill_in(p, 0);
	fn_version_unref(before); /* may end the pool, and this with it */
}

bool provision_is_for(const struct provision *p, struct str qualifier)
{
	return p->wanted && str_set(qualifier) && str_is(qualifier, p->qualifier);
}

bool provision_has_room(const struct provision *p, struct str qualifier)
{
	return p->busy < p->ready && provision_is_for(p, qualifier);
}

bool provision_take(struct provision *p, struct str qualifier)
{
	if (!provision_has_room(p, qualifier))
		return false;
	p->busy++;
	if (p->busy > p->peak)
		p->peak = p->busy;
	return true;
}

void provision_give(struct provision *p)
{
	p->busy--;
}

void provision_is_ready(struct provision *p)
{
	p->ready++;
	p->failures = 0;
	fill_in(p, 0); /* the next one of many */
}

void provision_is_gone(struct provision *p, bool was_ready)
{
	p->kept--;
	p->ready -= was_ready;
	fill_in(p, AGAIN_US << p->failures);
}

void provision_init_failed(struct provision *p)
{
	p->failed = ++p->failures >= FAILURES_MAX;
}

bool provision_lets_go(const struct provision *p)
{
	return p->kept > p->wanted;
}

void provision_publish(struct provision *p)
{
	struct metrics *m = pool_lambda(p->pool)->cloud->metrics;
	const struct fn_version *v = p->version;
	struct arena CLEAN_ARENA a = {0};
	if (!m || !v || !p->ready)
		return;
	const struct metric_dimension by[] = {{S("FunctionName"), v->name},
	                                      {S("Resource"), ARENA_CAT(&a, v->name, S(":"), str_from(p->qualifier))}};
	double share = (double)p->peak / (double)p->ready;
	const struct metric_value used = {share > 1 ? 1 : share, 1}, running = {(double)p->peak, 1};
	struct metric of = {v->account, v->region, S("AWS/Lambda"), S("ProvisionedConcurrencyUtilization"), S("Count"), by, 2};
	metrics_put_values(m, &of, clock_wall_ms(), MINUTE_S, &used, 1);
	of.name = S("ProvisionedConcurrentExecutions");
	metrics_put_values(m, &of, clock_wall_ms(), MINUTE_S, &running, 1);
	p->peak = p->busy;
}
