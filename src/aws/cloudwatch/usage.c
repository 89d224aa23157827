#include "aws/cloudwatch/usage.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "core/meter.h"
#include "core/service.h"
#include "engine/metrics/metrics.h"
#include "gen/cloudwatch.h"

#include <stdlib.h>

enum { EVERY_US = 1000000, KEY_MAX = 160, KINDS_MAX = 5000, RESOLUTION_S = 60 };

struct counted {
	struct str account, region; /* views of the key */
	const struct api *api;
	const struct operation *op;
	double calls, errors, throttled;
};

struct usage {
	struct cloud *cloud;
	struct map all; /* operation, account, region -> struct counted */
	struct loop_timer *timer;
};

/* As AWS has them in here. */
static struct str service_name(const struct api *api)
{
	return str_is(str_from(api->service_id), "CloudWatch Logs") ? S("Logs") : str_from(api->service_id);
}

static void put(struct usage *u, const struct counted *k, const char *name, double n)
{
	const struct metric_dimension by[] = {{S("Service"), service_name(k->api)},
	                                      {S("Type"), S("API")},
	                                      {S("Resource"), api_text(k->api, k->op->name)},
	                                      {S("Class"), S("None")}};
	const struct metric metric = {k->account, k->region, S("AWS/Usage"), str_from(name), S("None"), by, 4};
	if (n > 0)
		metrics_put_values(u->cloud->metrics, &metric, clock_wall_ms(), RESOLUTION_S, &(struct metric_value){1, n}, 1);
}

/* Errors of CloudWatch Logs alone, as on AWS. */
static void give(struct usage *u, const struct counted *k)
{
	put(u, k, "CallCount", k->calls);
	put(u, k, "ThrottleCount", k->throttled);
	if (str_is(service_name(k->api), "Logs"))
		put(u, k, "ErrorCount", k->errors);
}

static void give_all(struct usage *u)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&u->all, &at, &key, &value)) {
		give(u, value);
		free(value);
	}
	map_done(&u->all);
	u->all = (struct map){0};
}

static void due(void *ctx)
{
	struct usage *u = ctx;
	u->timer = NULL;
	give_all(u);
}

/* What is asked of GetMetricData costs by the metric, other calls by the call; what has to do with alarms is free. */
static void bill(struct usage *u, const struct call *c)
{
	static const char *const paid[] = {"GetMetricStatistics", "ListMetrics",  "GetDashboard",
	                                   "ListDashboards",      "PutDashboard", "DeleteDashboards"};
	struct str name = api_text(&cloudwatch_api, c->op->name);
	if (str_set(c->error.code))
		return;
	if (str_is(name, "GetMetricData") && c->in) {
		const struct cloudwatch_get_metric_data_input *in = c->in;
		int64_t n = 0;
		for (uint32_t i = 0; i < in->metric_data_queries.n; i++)
			n += in->metric_data_queries.v[i].metric_stat != NULL;
		if (n)
			meter_count(u->cloud->meter, c->account, c->region, S("CW:GMD-Metrics"), n);
	}
	for (unsigned i = 0; i < sizeof(paid) / sizeof(*paid); i++)
		if (str_is(name, paid[i]))
			meter_count(u->cloud->meter, c->account, c->region, S("CW:Requests"), 1);
}

/* By the words of all services for too many calls. */
static bool is_throttled(struct str code)
{
	static const char *const codes[] = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException",
	                                    "SlowDown"};
	for (unsigned i = 0; str_set(code) && i < sizeof(codes) / sizeof(*codes); i++)
		if (str_is(code, codes[i]))
			return true;
	return false;
}

/* Clients' calls alone, and those that got as far as to be somebody's. */
static void count(void *ctx, const struct call *c)
{
	struct usage *u = ctx;
	char key[KEY_MAX];
	if (!c->http || !c->service || !c->account.n || sizeof(c->op) + c->account.n + c->region.n > sizeof(key))
		return;
	if (c->service->api == &cloudwatch_api)
		bill(u, c);
	size_t n = sizeof(c->op);
	memcpy(key, &c->op, n);
	memcpy(key + n, c->account.p, c->account.n);
	n += c->account.n;
	if (c->region.n)
		memcpy(key + n, c->region.p, c->region.n);
	n += c->region.n;
	struct counted *k = map_get(&u->all, str_of(key, n));
	if (!k) {
		if (u->all.count == KINDS_MAX)
			give_all(u);
		k = calloc(1, sizeof(*k) + n);
		if (!k)
			die("out of memory (usage)");
		const char *p = memcpy(k + 1, key, n);
		k->account = str_of(p + sizeof(c->op), c->account.n);
		k->region = str_of(p + sizeof(c->op) + c->account.n, c->region.n);
		k->api = c->service->api;
		k->op = c->op;
		map_put(&u->all, str_of(p, n), k);
		if (!u->timer)
			u->timer = loop_add_timer(u->cloud->loop, EVERY_US, due, u);
	}
	k->calls++;
	k->errors += str_set(c->error.code);
	k->throttled += is_throttled(c->error.code);
}

struct usage *usage_new(struct cloud *cloud)
{
	struct usage *u = calloc(1, sizeof(*u));
	if (!u)
		die("out of memory (usage)");
	u->cloud = cloud;
	cloud->counted = count;
	cloud->counted_ctx = u;
	return u;
}

void usage_free(struct usage *u)
{
	if (!u)
		return;
	u->cloud->counted = NULL;
	loop_remove_timer(u->cloud->loop, u->timer);
	give_all(u);
	free(u);
}
