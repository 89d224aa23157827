/* The comparison as a page with plots. */
#include "role/compare/compare.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* What a month costs by requests a second: a function by the request, the others the same whatever is asked of them. */
static void put_costs(struct buf *b, const struct compare *c, const struct compare_row *rows, unsigned n)
{
	struct compare_advice v = compare_advise(rows, n);
	double load = (double)c->plan.n * 1000 / (double)c->plan.for_ms, even = v.requests / (COMPARE_MONTH_H * 3600.0);
	double most_s = (even > load ? even : load) * 2, most_usd = 0.01;
	for (unsigned i = 0; i < n; i++)
		for (int end = 0; end < 2 && !str_set(rows[i].why_not); end++)
			if (compare_month_at(&rows[i], end * most_s / 2) > most_usd)
				most_usd = compare_month_at(&rows[i], end * most_s / 2);
	most_usd *= 1.5;
	buf_printf(b,
	           "<svg width=\"%d\" height=\"%d\"><text x=\"4\" y=\"14\">$%.2f a month</text><text x=\"4\" y=\"%d\">0</text>"
	           "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.2f requests a second</text>",
	           WIDTH, HEIGHT + 20, most_usd, HEIGHT, WIDTH - 4, HEIGHT + 16, most_s);
	for (unsigned i = 0; i < n; i++)
		if (!str_set(rows[i].why_not))
			buf_printf(b, "<line x1=\"0\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2\"/>",
			           HEIGHT - compare_month_at(&rows[i], 0) / most_usd * HEIGHT, WIDTH,
			           HEIGHT - compare_month_at(&rows[i], most_s) / most_usd * HEIGHT, colours[i % 4]);
	buf_printf(b, "<line x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"%d\" stroke=\"#999\" stroke-dasharray=\"4\"/></svg>",
	           load / most_s * WIDTH, load / most_s * WIDTH, HEIGHT);
	buf_add_lit(b, "<p>Dashed: this load.</p>");
}

/* From the call that launches it to the first answer: a bar each. */
static void put_starts(struct buf *b, const struct compare_row *rows, unsigned n)
{
	double most = 1;
	for (unsigned i = 0; i < n; i++)
		if (!str_set(rows[i].why_not) && (double)rows[i].start_us > most)
			most = (double)rows[i].start_us;
	buf_printf(b, "<svg width=\"%d\" height=\"%u\">", WIDTH, n * 26 + 6);
	for (unsigned i = 0; i < n; i++)
		if (!str_set(rows[i].why_not))
			buf_printf(b,
			           "<rect x=\"0\" y=\"%u\" width=\"%.1f\" height=\"20\" fill=\"%s\"/><text x=\"%.1f\" "
			           "y=\"%u\">%s %.0f ms</text>",
			           i * 26 + 4, (double)rows[i].start_us / most * (WIDTH - 240), colours[i % 4],
			           (double)rows[i].start_us / most * (WIDTH - 240) + 6, i * 26 + 19, rows[i].model->title,
			           (double)rows[i].start_us / 1e3);
	buf_add_lit(b, "</svg>");
}

static void put_page(struct buf *b, const struct compare *c, const struct compare_row *rows, unsigned n)
{
	struct arena *a = &c->cli->arena;
	struct buf CLEAN_BUF advice;
	buf_init(&advice, 64 << 10);
	compare_put_advice(&advice, a, &c->plan, rows, n);
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
		        STR_ARG(r->size), compare_seconds(a, r->start_us).p, compare_seconds(a, r->deploy_us).p,
		        compare_seconds(a, r->p50_us).p, compare_seconds(a, r->p99_us).p, r->load.failed,
		        compare_memory(a, r->memory_bytes).p, compare_processor(a, r).p, r->usd, r->usd_month);
	}
	buf_add_lit(b, "</table><h2>Each answer</h2>");
	put_plot(b, c, rows, n);
	buf_add_lit(b, "<h2>Start</h2>");
	put_starts(b, rows, n);
	buf_add_lit(b, "<h2>A month, by requests a second</h2>");
	put_costs(b, c, rows, n);
	buf_add_lit(b, "<h2>Limits</h2><ul>");
	for (unsigned i = 0; i < n; i++) {
		struct str met = str_set(rows[i].why_not) ? STR_NONE : compare_limits_met(a, &rows[i]);
		buf_printf(b, "<li>%s grows by %s. %s. Met: ", rows[i].model->title, rows[i].model->scaling, rows[i].model->limits);
		put_escaped(b, str_set(met) ? met : S("none"));
		buf_add_lit(b, "</li>");
	}
	buf_add_lit(b, "</ul>");
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
