/* The comparison as a table with its advice, as JSON, and as a page with a plot. */
#include "role/compare/compare.h"

#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HOURS = 730 };

/* --- numbers as people read them */

static struct str seconds(struct arena *a, int64_t us)
{
	return us < 0        ? S("-")
	       : us < 10000  ? arena_printf(a, "%.1f ms", (double)us / 1e3)
	       : us < 950000 ? arena_printf(a, "%.0f ms", (double)us / 1e3)
	                     : arena_printf(a, "%.1f s", (double)us / 1e6);
}

static struct str memory(struct arena *a, int64_t bytes)
{
	return bytes < 0 ? S("-") : arena_printf(a, "%.0f MB", (double)bytes / (1 << 20));
}

static struct str processor(struct arena *a, const struct compare_row *r)
{
	return r->cpu_us < 0 || !r->load.for_ms ? S("-")
	                                        : arena_printf(a, "%.1f %%", (double)r->cpu_us / 10 / (double)r->load.for_ms);
}

/* --- advice */

struct advice {
	const struct compare_row *best, *function, *fixed; /* fixed: the cheapest of those that run all the time */
	double usd_request, requests;                      /* of the function; a month from which on the fixed one is cheaper */
};

static bool good(const struct compare_row *r)
{
	return !str_set(r->why_not) && r->load.n && !r->load.failed;
}

static struct advice advise(const struct compare_row *rows, unsigned n)
{
	struct advice v = {0};
	for (unsigned i = 0; i < n; i++) {
		const struct compare_row *r = &rows[i];
		if (!good(r))
			continue;
		if (!v.best || r->usd_month < v.best->usd_month)
			v.best = r;
		if (r->model->by_request)
			v.function = r;
		else if (!v.fixed || r->usd_month < v.fixed->usd_month)
			v.fixed = r;
	}
	if (v.function && v.fixed) {
		double again = v.function->usd_month * (double)v.function->load.for_ms / ((double)HOURS * 3600 * 1000);
		v.usd_request = again / v.function->load.n;
		v.requests = v.usd_request > 0 ? v.fixed->usd_month / v.usd_request : 0;
	}
	return v;
}

static void put_advice(struct buf *b, const struct compare *c, const struct compare_row *rows, unsigned n)
{
	struct advice v = advise(rows, n);
	if (!v.best) {
		buf_printf(b, "No model answered every request: there is nothing to choose from.\n");
		return;
	}
	buf_printf(b, "For this load: %s, the cheapest of those that answered every request ($%.2f a month).\n",
	           v.best->model->title, v.best->usd_month);
	if (!v.function || !v.fixed)
		return;
	double rate = v.requests / ((double)HOURS * 3600), load = (double)c->plan.n * 1000 / (double)c->plan.for_ms;
	buf_printf(b,
	           "A function's request costs $%.9f here, the %s $%.2f a month whatever is asked of it:\n"
	           "%.2f / %.9f = %.0f requests a month, %.2f a second, is where they cost the same. This load is %.2f a second.\n",
	           v.usd_request, v.fixed->model->title, v.fixed->usd_month, v.fixed->usd_month, v.usd_request, v.requests, rate,
	           load);
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
		       seconds(a, r->start_us).p, seconds(a, r->deploy_us).p, seconds(a, r->p50_us).p, seconds(a, r->p99_us).p,
		       r->load.failed, memory(a, r->memory_bytes).p, processor(a, r).p, arena_printf(a, "$%.6f", r->usd).p,
		       arena_printf(a, "$%.2f", r->usd_month).p);
	}
	printf("\n");
	for (unsigned i = 0; i < n; i++)
		if (!str_set(rows[i].why_not)) {
			printf("%s: grows by %s. Limits: %s.\n", rows[i].model->title, rows[i].model->scaling,
			       rows[i].model->limits);
			for (uint32_t k = 0; k < rows[i].costs.n; k++)
				printf("%s%.*s $%.6f%s", k ? ", " : "    ", STR_ARG(rows[i].costs.v[k].usage),
				       rows[i].costs.v[k].usd, rows[i].costs.v[k].once ? " (once)" : "");
			printf("%s", rows[i].costs.n ? "\n" : "");
		}
	put_advice(&advice, c, rows, n);
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

static void put_row(struct json_out *o, const struct compare_row *r)
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
	struct advice v = advise(rows, n);
	put_advice(&advice, c, rows, n);
	json_open(&o, '{');
	json_key(&o, S("application"));
	json_string(&o, str_from(c->app.dir));
	json_key(&o, S("load"));
	json_string(&o, c->plan.text);
	put_number(&o, "seconds", (double)c->plan.for_ms / 1e3, true);
	json_key(&o, S("models"));
	json_open(&o, '[');
	for (unsigned i = 0; i < n; i++)
		put_row(&o, &rows[i]);
	json_close(&o, ']');
	json_key(&o, S("choice"));
	json_string(&o, v.best ? str_from(v.best->model->name) : STR_NONE);
	put_number(&o, "breakEvenRequestsMonth", v.requests, v.requests > 0);
	json_key(&o, S("advice"));
	json_string(&o, buf_str(&advice));
	json_close(&o, '}');
	printf("%.*s\n", STR_ARG(buf_str(&b)));
}

/* --- the page */

static const char style[] =
        "body{font:15px sans-serif;margin:2em auto;max-width:70em;color:#222}table{border-collapse:collapse}"
        "td,th{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}"
        "svg{background:#fafafa;border:1px solid #ddd}pre{background:#f4f4f4;padding:1em;white-space:pre-wrap}";
static const char *const colours[] = {"#c7511f", "#1f77b4", "#2ca02c", "#9467bd"};
enum { WIDTH = 900, HEIGHT = 300, MARGIN = 50, POINTS_MAX = 2000 };

static void put_escaped(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		const char ch = text.p[i];
		if (ch == '<')
			buf_add_lit(b, "&lt;");
		else if (ch == '&')
			buf_add_lit(b, "&amp;");
		else if (ch == '"')
			buf_add_lit(b, "&quot;");
		else
			buf_add_char(b, ch);
	}
}

/* Each answer as a point: when it was due, and how long it took. */
static void put_plot(struct buf *b, const struct compare *c, const struct compare_row *rows, unsigned n)
{
	int32_t most = 1000;
	for (unsigned i = 0; i < n; i++)
		if (!str_set(rows[i].why_not) && rows[i].p99_us > most)
			most = rows[i].p99_us;
	double top = (double)most * 1.5;
	buf_printf(b, "<svg width=\"%d\" height=\"%d\"><text x=\"4\" y=\"14\">%.1f ms</text><text x=\"4\" y=\"%d\">0</text>", WIDTH,
	           HEIGHT + 20, top / 1e3, HEIGHT);
	buf_printf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%lld s</text>", WIDTH - 4, HEIGHT + 16,
	           (long long)(c->plan.for_ms / 1000));
	for (unsigned i = 0; i < n; i++) {
		const struct compare_row *r = &rows[i];
		uint32_t step = r->load.n / POINTS_MAX + 1;
		for (uint32_t k = 0; !str_set(r->why_not) && k < r->load.n; k += step) {
			double y = r->load.took_us[k] < 0 ? 0 : HEIGHT - (double)r->load.took_us[k] / top * HEIGHT;
			double x = MARGIN + (double)c->plan.due_ms[k] / (double)c->plan.for_ms * (WIDTH - MARGIN - 10);
			buf_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"1.5\" fill=\"%s\"/>", x, y < 2 ? 2 : y, colours[i % 4]);
		}
	}
	buf_add_lit(b, "</svg><p>");
	for (unsigned i = 0; i < n; i++)
		buf_printf(b, "<span style=\"color:%s\">&#9679; %s</span> ", colours[i % 4], rows[i].model->title);
	buf_add_lit(b, "</p>");
}

static void put_page(struct buf *b, const struct compare *c, const struct compare_row *rows, unsigned n)
{
	struct arena *a = &c->cli->arena;
	struct buf CLEAN_BUF advice;
	buf_init(&advice, 64 << 10);
	put_advice(&advice, c, rows, n);
	buf_printf(b,
	           "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>quartet compare</title><style>%s</style><h1>",
	           style);
	put_escaped(b, str_from(c->app.dir));
	buf_add_lit(b, "</h1><p>");
	put_escaped(b, arena_printf(a, "%.*s %.*s, %.*s for %lld s, %u requests to each", STR_ARG(c->method), STR_ARG(c->path),
	                            STR_ARG(c->plan.text), (long long)(c->plan.for_ms / 1000), c->plan.n));
	buf_add_lit(b, "</p><table><tr><th></th><th>size</th><th>start</th><th>deploy</th><th>p50</th><th>p99</th><th>failed</th>"
	               "<th>memory</th><th>CPU</th><th>its bill</th><th>a month</th></tr>");
	for (unsigned i = 0; i < n; i++) {
		const struct compare_row *r = &rows[i];
		buf_printf(b, "<tr><td>%s</td>", r->model->title);
		if (str_set(r->why_not)) {
			buf_add_lit(b, "<td colspan=\"10\">not compared: ");
			put_escaped(b, r->why_not);
			buf_add_lit(b, "</td></tr>");
			continue;
		}
		buf_printf(
		        b,
		        "<td>%.*s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%u</td><td>%s</td><td>%s</td><td>$%.6f</td>"
		        "<td>$%.2f</td></tr>",
		        STR_ARG(r->size), seconds(a, r->start_us).p, seconds(a, r->deploy_us).p, seconds(a, r->p50_us).p,
		        seconds(a, r->p99_us).p, r->load.failed, memory(a, r->memory_bytes).p, processor(a, r).p, r->usd,
		        r->usd_month);
	}
	buf_add_lit(b, "</table><h2>Each answer</h2>");
	put_plot(b, c, rows, n);
	buf_add_lit(b, "<h2>Advice</h2><pre>");
	put_escaped(b, buf_str(&advice));
	buf_add_lit(b, "</pre></html>\n");
}

int compare_write_page(const struct compare *c, const struct compare_row *rows, unsigned n, const char *path)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 16 << 20);
	put_page(&b, c, rows, n);
	FILE *f = fopen(path, "we");
	if (!f || fwrite(b.p, 1, b.n, f) != b.n || fclose(f) != 0)
		return cli_fail(c->cli, CLI_FAILED, "%s: %s", path, strerror(errno));
	return CLI_OK;
}
