/* The comparison as a table with its advice, and as JSON. */
#include "role/compare/compare.h"

#include "base/json.h"

#include <stdio.h>

/* --- numbers as people read them */

struct str compare_seconds(struct arena *a, int64_t us)
{
	return us < 0        ? S("-")
	       : us < 10000  ? arena_printf(a, "%.1f ms", (double)us / 1e3)
	       : us < 950000 ? arena_printf(a, "%.0f ms", (double)us / 1e3)
	                     : arena_printf(a, "%.1f s", (double)us / 1e6);
}

struct str compare_memory(struct arena *a, int64_t bytes)
{
	return bytes < 0 ? S("-") : arena_printf(a, "%.0f MB", (double)bytes / (1 << 20));
}

struct str compare_processor(struct arena *a, const struct compare_row *r)
{
	return r->cpu_us < 0 || !r->load.for_ms ? S("-")
	                                        : arena_printf(a, "%.1f %%", (double)r->cpu_us / 10 / (double)r->load.for_ms);
}

/* --- the table */

void compare_print_table(const struct compare *c, const struct compare_row *rows, unsigned n)
{
	struct arena *a = &c->cli->arena;
	struct buf CLEAN_BUF advice;
	buf_init(&advice, 64 << 10);
	printf("%s, %.*s %.*s, %.*s for %lld s: %u requests to each\n\n", c->app.dir, STR_ARG(c->method), STR_ARG(c->path),
	       STR_ARG(c->plan.text), (long long)(c->plan.for_ms / 1000), c->plan.n);
	printf("%-16s %-16s %8s %8s %9s %9s %7s %8s %7s %12s %10s\n", "", "size", "start", "deploy", "p50", "p99", "failed",
	       "memory", "CPU", "its bill", "a month");
	for (unsigned i = 0; i < n; i++) {
		const struct compare_row *r = &rows[i];
		if (str_set(r->why_not)) {
			printf("%-16s not compared: %.*s\n", r->model->title, STR_ARG(r->why_not));
			continue;
		}
		printf("%-16s %-16.*s %8s %8s %9s %9s %7u %8s %7s %12s %10s\n", r->model->title, STR_ARG(r->size),
		       compare_seconds(a, r->start_us).p, compare_seconds(a, r->deploy_us).p, compare_seconds(a, r->p50_us).p,
		       compare_seconds(a, r->p99_us).p, r->load.failed, compare_memory(a, r->memory_bytes).p,
		       compare_processor(a, r).p, arena_printf(a, "$%.6f", r->usd).p, arena_printf(a, "$%.2f", r->usd_month).p);
	}
	printf("\n");
	for (unsigned i = 0; i < n; i++)
		if (!str_set(rows[i].why_not)) {
			struct str met = compare_limits_met(a, &rows[i]);
			printf("%s: grows by %s. Limits: %s. Met: %.*s.\n", rows[i].model->title, rows[i].model->scaling,
			       rows[i].model->limits, STR_ARG(str_set(met) ? met : S("none")));
			for (uint32_t k = 0; k < rows[i].costs.n; k++)
				printf("%s%.*s $%.6f%s", k ? ", " : "    ", STR_ARG(rows[i].costs.v[k].usage),
				       rows[i].costs.v[k].usd, rows[i].costs.v[k].once ? " (once)" : "");
			printf("%s", rows[i].costs.n ? "\n" : "");
		}
	compare_put_advice(&advice, &c->cli->arena, &c->plan, rows, n);
	printf("\n%.*s", STR_ARG(buf_str(&advice)));
	printf("Start is from the call that launches it to the first answer, deploy from the first call of all. Each answer is timed from\n"
	       "when its request was due. Prices: AWS, us-east-1, on demand, without free tiers; what runs is billed for a minute at least.\n");
}

/* --- for programs */

static void put_number(struct json_out *o, const char *key, double v, bool known)
{
	json_key(o, str_from(key));
	if (known)
		json_double(o, v);
	else
		json_null(o);
}

static void put_row(struct json_out *o, struct arena *a, const struct compare_row *r)
{
	json_open(o, '{');
	json_key(o, S("model"));
	json_string(o, str_from(r->model->name));
	json_key(o, S("whyNot"));
	json_string(o, r->why_not);
	bool ran = !str_set(r->why_not);
	json_key(o, S("size"));
	json_string(o, r->size);
	put_number(o, "startMs", (double)r->start_us / 1e3, ran);
	put_number(o, "deployMs", (double)r->deploy_us / 1e3, ran);
	put_number(o, "p50Ms", r->p50_us / 1e3, ran && r->p50_us >= 0);
	put_number(o, "p99Ms", r->p99_us / 1e3, ran && r->p99_us >= 0);
	put_number(o, "requests", r->load.n, ran);
	put_number(o, "failed", r->load.failed, ran);
	put_number(o, "memoryBytes", (double)r->memory_bytes, ran && r->memory_bytes >= 0);
	put_number(o, "cpuSeconds", (double)r->cpu_us / 1e6, ran && r->cpu_us >= 0);
	put_number(o, "usd", r->usd, ran);
	put_number(o, "usdMonth", r->usd_month, ran);
	json_key(o, S("growsBy"));
	json_string(o, str_from(r->model->scaling));
	json_key(o, S("limits"));
	json_string(o, str_from(r->model->limits));
	json_key(o, S("limitsMet"));
	json_string(o, ran ? compare_limits_met(a, r) : STR_NONE);
	json_key(o, S("costs"));
	json_open(o, '[');
	for (uint32_t i = 0; i < r->costs.n; i++) {
		json_open(o, '{');
		json_key(o, S("service"));
		json_string(o, r->costs.v[i].service);
		json_key(o, S("usageType"));
		json_string(o, r->costs.v[i].usage);
		put_number(o, "usd", r->costs.v[i].usd, true);
		json_key(o, S("once"));
		json_bool(o, r->costs.v[i].once);
		json_close(o, '}');
	}
	json_close(o, ']');
	json_close(o, '}');
}

void compare_print_json(const struct compare *c, const struct compare_row *rows, unsigned n)
{
	struct buf CLEAN_BUF b, advice;
	buf_init(&b, 8 << 20);
	buf_init(&advice, 64 << 10);
	struct json_out o = json_out(&b);
	struct compare_advice v = compare_advise(rows, n);
	compare_put_advice(&advice, &c->cli->arena, &c->plan, rows, n);
	json_open(&o, '{');
	json_key(&o, S("application"));
	json_string(&o, str_from(c->app.dir));
	json_key(&o, S("load"));
	json_string(&o, c->plan.text);
	put_number(&o, "seconds", (double)c->plan.for_ms / 1e3, true);
	json_key(&o, S("models"));
	json_open(&o, '[');
	for (unsigned i = 0; i < n; i++)
		put_row(&o, &c->cli->arena, &rows[i]);
	json_close(&o, ']');
	json_key(&o, S("choice"));
	json_string(&o, v.best ? str_from(v.best->model->name) : STR_NONE);
	put_number(&o, "breakEvenRequestsMonth", v.requests, v.requests > 0);
	json_key(&o, S("advice"));
	json_string(&o, buf_str(&advice));
	json_close(&o, '}');
	printf("%.*s\n", STR_ARG(buf_str(&b)));
}
