/* Filters are compiled once and kept by their key, with the revision that they were compiled of. A filter with a default value says
 * it of each minute in which events came and none of them matched: so a minute is closed by the first event behind it, or by a
 * timer. */
#include "measure.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "engine/logs/filter.h"
#include "engine/metrics/metrics.h"

#include <stdlib.h>

#define MINUTE_MS INT64_C(60000)
enum { KEPT_MAX = 2000, LOOK_US = 10 * 1000 * 1000, RESOLUTION_S = 60, DIMENSIONS_MAX = 3 };

struct compiled {
	struct arena arena;
	uint64_t revision;
	struct str account, region;
	const struct log_filter *filter;
	struct logs_metric_transformation to;
	const struct log_selector *value; /* NULL: number */
	double number;
	const struct log_selector *dimensions[DIMENSIONS_MAX];
	int64_t minute; /* in which events came; 0: none that a default is owed for */
	bool matched;
};

struct measure {
	struct cloud *cloud;
	struct map compiled; /* key of the record -> struct compiled */
	struct loop_timer *timer;
};

/* --- filters that are kept */

static void publish(struct measure *m, const struct compiled *f, int64_t at_ms, double x, const struct metric_dimension *dimensions)
{
	struct metric metric = {.account = f->account,
	                        .region = f->region,
	                        .space = f->to.metric_namespace,
	                        .name = f->to.metric_name,
	                        .unit = cloudwatch_unit(f->to.unit),
	                        .dimensions = dimensions,
	                        .dimension_count = dimensions ? f->to.dimensions.n : 0};
	cloudwatch_publish(m->cloud, &metric, at_ms, RESOLUTION_S, &(struct metric_value){x, 1}, 1);
}

/* The minute is over: its default is due if nothing matched. */
static void close_minute(struct measure *m, struct compiled *f)
{
	if (f->minute && !f->matched && f->to.default_value.set)
		publish(m, f, f->minute * MINUTE_MS, f->to.default_value.v, NULL);
	f->minute = 0;
	f->matched = false;
}

static void compiled_free(struct measure *m, struct compiled *f)
{
	close_minute(m, f);
	arena_done(&f->arena);
	free(f);
}

static void forget_all(struct measure *m)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&m->compiled, &at, &key, &value))
		compiled_free(m, value);
	map_done(&m->compiled);
	m->compiled = (struct map){0};
}

static void look(void *ctx)
{
	struct measure *m = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	bool more = false;
	m->timer = NULL;
	while (map_next(&m->compiled, &at, &key, &value)) {
		struct compiled *f = value;
		if (f->minute && f->minute < clock_wall_ms() / MINUTE_MS)
			close_minute(m, f);
		more |= f->minute != 0;
	}
	if (more)
		m->timer = loop_add_timer(m->cloud->loop, LOOK_US, look, m);
}

static bool compile(struct compiled *f, struct call *c, struct str bytes)
{
	struct state_logs_metric_filter_record record;
	struct arena *a = &f->arena;
	struct str error;
	if (!record_read(a, arena_dup(a, bytes), LOGS_ROW("MetricFilter"), &record))
		return false;
	f->to = record.filter->metric_transformations.v[0];
	f->account = arena_dup(a, c->account);
	f->region = arena_dup(a, c->region);
	f->filter = log_filter_compile(a, record.filter->filter_pattern, &error);
	if (!f->filter)
		return false;
	f->value = str_starts(f->to.metric_value, S("$")) ? log_selector_compile(a, f->filter, f->to.metric_value) : NULL;
	if (!f->value && !str_to_double(f->to.metric_value, &f->number))
		return false;
	for (uint32_t i = 0; i < f->to.dimensions.n && i < DIMENSIONS_MAX; i++)
		f->dimensions[i] = log_selector_compile(a, f->filter, f->to.dimensions.v[i].value);
	return true;
}

/* NULL: it does not read, which is logged. */
static struct compiled *compiled_get(struct measure *m, struct call *c, struct str key, const struct store_value *v)
{
	struct compiled *f = map_get(&m->compiled, key);
	if (f && f->revision == v->modified)
		return f;
	if (f) {
		map_remove(&m->compiled, key);
		compiled_free(m, f);
	} else if (m->compiled.count >= KEPT_MAX)
		forget_all(m);
	f = calloc(1, sizeof(*f));
	if (!f)
		die("out of memory (metric filters)");
	f->revision = v->modified;
	if (!compile(f, c, v->value)) {
		log_warn("logs: a metric filter does not read");
		compiled_free(m, f);
		return NULL;
	}
	map_put(&m->compiled, key, f);
	return f;
}

/* --- events */

static void take(struct measure *m, struct compiled *f, struct arena *scratch, const struct log_input *e)
{
	struct metric_dimension dimensions[DIMENSIONS_MAX];
	double x = f->number;
	if (!log_filter_match(scratch, f->filter, e->message))
		return;
	f->matched = true;
	if (f->value) {
		struct str text = log_selector_take(scratch, f->filter, f->value, e->message);
		if (!str_set(text) || !str_to_double(text, &x) || !cloudwatch_number(x))
			return;
	}
	for (uint32_t i = 0; i < f->to.dimensions.n; i++) {
		dimensions[i] = (struct metric_dimension){f->to.dimensions.v[i].key,
		                                          log_selector_take(scratch, f->filter, f->dimensions[i], e->message)};
		if (!dimensions[i].value.n || dimensions[i].value.n > 1024 ||
		    memchr(dimensions[i].value.p, 0, dimensions[i].value.n))
			return;
	}
	publish(m, f, e->time_ms, x, f->to.dimensions.n ? dimensions : NULL);
}

static void apply(struct measure *m, struct call *c, struct compiled *f, const struct log_input *events, uint32_t n)
{
	struct arena CLEAN_ARENA scratch = {0};
	int64_t minute = c->now_ms / MINUTE_MS;
	if (f->minute && f->minute != minute)
		close_minute(m, f);
	f->minute = f->to.default_value.set ? minute : 0;
	if (f->minute && !m->timer)
		m->timer = loop_add_timer(m->cloud->loop, LOOK_US, look, m);
	for (uint32_t i = 0; i < n; i++) {
		arena_reset(&scratch);
		take(m, f, &scratch, &events[i]);
	}
}

static void apply_filters(struct measure *m, struct call *c, const struct logs_group *group, const struct log_input *events,
                          uint32_t n)
{
	struct str under = metric_filters_under(c, group->id), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct compiled *f = compiled_get(m, c, key, &v);
		if (f)
			apply(m, c, f, events, n);
	}
}

/* --- how much came */

static void own(struct call *c, const struct metric_dimension *by, const char *name, const char *unit, double value)
{
	struct metric metric = {.account = c->account,
	                        .region = c->region,
	                        .space = S("AWS/Logs"),
	                        .name = str_from(name),
	                        .unit = str_from(unit),
	                        .dimensions = by,
	                        .dimension_count = by ? 1 : 0};
	metrics_add(c->cloud->metrics, &metric, value);
}

void measure_own(struct call *c, struct str group, const char *name, const char *unit, double value)
{
	const struct metric_dimension by = {S("LogGroupName"), group};
	own(c, &by, name, unit, value);
}

static void count(struct call *c, struct str group, const struct log_input *events, uint32_t n)
{
	double bytes = 0;
	for (uint32_t i = 0; i < n; i++)
		bytes += (double)events[i].message.n + LOG_EVENT_OVERHEAD_BYTES;
	measure_own(c, group, "IncomingBytes", "Bytes", bytes);
	measure_own(c, group, "IncomingLogEvents", "None", n);
	own(c, NULL, "IncomingBytes", "Bytes", bytes);
	own(c, NULL, "IncomingLogEvents", "None", n);
}

void measure_events(struct call *c, const struct logs_group *group, const struct log_input *events, uint32_t n)
{
	struct measure *m = logs_state(c)->measure;
	struct arena CLEAN_ARENA scratch = {0};
	if (!c->cloud->metrics)
		return;
	count(c, group->record.name, events, n);
	apply_filters(m, c, group, events, n);
	for (uint32_t i = 0; i < n; i++) {
		arena_reset(&scratch);
		embedded_publish(c, &scratch, group, &events[i]);
	}
}

struct measure *measure_new(struct cloud *cloud)
{
	struct measure *m = calloc(1, sizeof(*m));
	if (!m)
		die("out of memory (metric filters)");
	m->cloud = cloud;
	return m;
}

void measure_free(struct measure *m)
{
	if (!m)
		return;
	loop_remove_timer(m->cloud->loop, m->timer);
	forget_all(m);
	free(m);
}
