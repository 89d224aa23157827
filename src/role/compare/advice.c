/* The advice with its arithmetic, and which limits were met. */
#include "role/compare/compare.h"

#define MONTH_S (COMPARE_MONTH_H * 3600.0)
#define MET 0.9 /* of a bound: so much of it counts as having come to it */

static bool ran(const struct compare_row *r)
{
	return !str_set(r->why_not) && r->load.n;
}

static bool is_good(const struct compare_row *r)
{
	return ran(r) && !r->load.failed;
}

/* What one request costs, of what costs by the request: its month was so many times the load. */
static double usd_request(const struct compare_row *r)
{
	return r->load.n ? r->usd_month * (double)r->load.for_ms / (MONTH_S * 1000) / r->load.n : 0;
}

double compare_month_at(const struct compare_row *r, double requests_s)
{
	return r->model->by_request ? usd_request(r) * requests_s * MONTH_S : r->usd_month;
}

struct compare_advice compare_advise(const struct compare_row *rows, unsigned n)
{
	struct compare_advice v = {0};
	for (unsigned i = 0; i < n; i++) {
		const struct compare_row *r = &rows[i];
		if (!is_good(r))
			continue;
		if (!v.best || r->usd_month < v.best->usd_month)
			v.best = r;
		if (r->model->by_request)
			v.function = r;
		else if (!v.fixed || r->usd_month < v.fixed->usd_month)
			v.fixed = r;
	}
	if (v.function && v.fixed) {
		v.usd_request = usd_request(v.function);
		v.requests = v.usd_request > 0 ? v.fixed->usd_month / v.usd_request : 0;
	}
	return v;
}

struct str compare_limits_met(struct arena *a, const struct compare_row *r)
{
	struct str met = load_failures(a, &r->load);
	double memory_mb = (double)r->memory_bytes / (1 << 20);
	double vcpus = r->load.for_ms ? (double)r->cpu_us / 1000 / (double)r->load.for_ms : 0;
	if (r->bounds.memory_mb && memory_mb >= MET * (double)r->bounds.memory_mb) {
		struct str one = arena_printf(a, "%.0f of %lld MB", memory_mb, (long long)r->bounds.memory_mb);
		met = str_set(met) ? ARENA_CAT(a, one, S("; "), met) : one;
	}
	if (r->bounds.vcpus > 0 && vcpus >= MET * r->bounds.vcpus && !r->model->by_request) {
		struct str one = arena_printf(a, "%.2f of %.4g vCPU", vcpus, r->bounds.vcpus);
		met = str_set(met) ? ARENA_CAT(a, one, S("; "), met) : one;
	}
	return met;
}

void compare_put_advice(struct buf *b, struct arena *a, const struct load_plan *plan, const struct compare_row *rows, unsigned n)
{
	struct compare_advice v = compare_advise(rows, n);
	for (unsigned i = 0; i < n; i++)
		if (ran(&rows[i]) && rows[i].load.failed)
			buf_printf(b, "%s failed %u of %u requests (%.*s), so it is not chosen, whatever it costs.\n",
			           rows[i].model->title, rows[i].load.failed, rows[i].load.n,
			           STR_ARG(load_failures(a, &rows[i].load)));
	if (!v.best) {
		buf_printf(b, "No model answered every request: there is nothing to choose from.\n");
		return;
	}
	buf_printf(b, "For this load: %s, the cheapest of those that answered every request ($%.2f a month).\n",
	           v.best->model->title, v.best->usd_month);
	if (v.requests <= 0)
		return;
	double rate = v.requests / MONTH_S, load = (double)plan->n * 1000 / (double)plan->for_ms;
	buf_printf(b,
	           "A function's request costs $%.9f here, the %s $%.2f a month whatever is asked of it:\n"
	           "%.2f / %.9f = %.0f requests a month, %.2f a second, is where they cost the same. This load is %.2f a second.\n",
	           v.usd_request, v.fixed->model->title, v.fixed->usd_month, v.fixed->usd_month, v.usd_request, v.requests, rate,
	           load);
}
