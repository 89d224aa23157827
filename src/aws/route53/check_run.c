/* Every health check of an endpoint is looked at by one checker, this machine: a probe each RequestInterval, and FailureThreshold
 * equal ones in a row change what it says, to CloudWatch too (HealthCheckStatus). What was seen lives in memory alone: after a
 * start of the role a check is well until it has failed anew. */
#include "check.h"

#include "base/clock.h"
#include "base/map.h"
#include "engine/dns/name.h"
#include "engine/metrics/metrics.h"
#include "engine/probe/probe.h"
#include "io/work.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { DEPTH_MAX = 8, FIRST_US = 100 * 1000, STATUS_MAX = 256, SAY_US = 60 * 1000 * 1000, ALARM_US = 10 * 1000 * 1000 };

struct check {
	struct route53_checks *all;
	struct arena arena; /* the record's */
	struct route53_health_check check;
	struct str account, id;
	struct probe *probe;
	struct loop_timer *timer;
	struct resolving *resolving;
	unsigned streak; /* looks in a row that contradict `well` */
	bool well;
	char status[STATUS_MAX], failure[STATUS_MAX];
	int64_t at_ms, failed_ms;
};
struct route53_checks {
	struct route53_state *state;
	struct map by_id;
};

/* A name is looked up by a thread of its own; the check may be gone when it answers. */
struct resolving {
	struct check *check; /* NULL: gone */
	char name[256];
	uint32_t address;
	bool found;
};

struct route53_checks *route53_checks_new(struct route53_state *s)
{
	struct route53_checks *k = calloc(1, sizeof(*k));
	if (!k)
		abort();
	k->state = s;
	return k;
}

static void stop(struct check *c)
{
	probe_cancel(c->probe);
	loop_remove_timer(c->all->state->cloud->loop, c->timer);
	if (c->resolving)
		c->resolving->check = NULL;
	c->probe = NULL;
	c->timer = NULL;
	c->resolving = NULL;
}

static void check_free(struct check *c)
{
	stop(c);
	arena_done(&c->arena);
	free(c);
}

void route53_checks_free(struct route53_checks *k)
{
	size_t at = 0;
	struct str id;
	void *c;
	if (!k)
		return;
	while (map_next(&k->by_id, &at, &id, &c))
		check_free(c);
	map_done(&k->by_id);
	free(k);
}

/* --- what CloudWatch hears of it */

static void put(const struct check *c, const char *name, const char *unit, double x)
{
	const struct metric_dimension by = {S("HealthCheckId"), c->id};
	const struct metric metric = {c->account, S(ROUTE53_REGION), S("AWS/Route53"), str_from(name), str_from(unit), &by, 1};
	metrics_add(c->all->state->cloud->metrics, &metric, x);
}

static bool is_type(const struct check *c, const char *type);

static void publish(const struct check *c)
{
	const struct route53_health_check_config *f = c->check.health_check_config;
	put(c, "HealthCheckStatus", "None", route53_check_healthy(c->all, c->id));
	if (is_type(c, "CLOUDWATCH_METRIC"))
		return;
	if (!is_type(c, "CALCULATED")) {
		put(c, "HealthCheckPercentageHealthy", "Percent", c->well ? 100 : 0);
		return;
	}
	unsigned n = 0;
	for (uint32_t i = 0; i < f->child_health_checks.n; i++)
		n += route53_check_healthy(c->all, f->child_health_checks.v[i]);
	put(c, "ChildHealthCheckHealthyCount", "None", n);
}

static void put_time(const struct check *c, const char *name, int64_t us)
{
	const struct metric_dimension by[] = {{S("HealthCheckId"), c->id}, {S("Region"), S(ROUTE53_REGION)}};
	struct metric metric = {c->account, S(ROUTE53_REGION), S("AWS/Route53"), str_from(name), S("Milliseconds"), by, 1};
	for (; us && metric.dimension_count <= 2; metric.dimension_count++)
		metrics_add(c->all->state->cloud->metrics, &metric, (double)us / 1e3);
}

/* By the region of the checker too, which is one. */
static void publish_times(const struct check *c, const struct probe_times *took)
{
	if (!c->check.health_check_config->measure_latency.v)
		return;
	put_time(c, "ConnectionTime", took->connect_us);
	put_time(c, "SSLHandshakeTime", took->handshake_us);
	put_time(c, "TimeToFirstByte", took->first_byte_us);
}

/* --- one look */

static void look(void *ctx);

static void look_later(struct check *c, int64_t us)
{
	struct loop *l = c->all->state->cloud->loop;
	loop_remove_timer(l, c->timer);
	c->timer = loop_add_timer(l, us, look, c);
}

static void looked(void *ctx, bool good, const char *why, const struct probe_times *took)
{
	struct check *c = ctx;
	c->probe = NULL;
	c->at_ms = clock_wall_ms();
	snprintf(c->status, sizeof(c->status), "%s: %s", good ? "Success" : "Failure", why);
	if (!good) {
		memcpy(c->failure, c->status, sizeof(c->failure));
		c->failed_ms = c->at_ms;
	}
	c->streak = good == c->well ? 0 : c->streak + 1;
	if (c->streak >= (unsigned)c->check.health_check_config->failure_threshold.v) {
		c->well = good;
		c->streak = 0;
	}
	publish(c);
	publish_times(c, took);
}

static bool is_type(const struct check *c, const char *type)
{
	return str_is(c->check.health_check_config->type, type);
}

static void probe_it(struct check *c, uint32_t address)
{
	const struct route53_health_check_config *f = c->check.health_check_config;
	struct arena CLEAN_ARENA a = {0};
	bool tls = str_starts(f->type, S("HTTPS"));
	const char *host = str_set(f->fully_qualified_domain_name) ? arena_dupz(&a, f->fully_qualified_domain_name)
	                                                           : arena_dupz(&a, f->ip_address);
	int64_t usual = tls ? 443 : 80;
	if (f->port.v != usual)
		host = arena_printf(&a, "%s:%u", host, (unsigned)f->port.v).p;
	bool named = tls && f->enable_sni.v && str_set(f->fully_qualified_domain_name);
	struct probe_about about = {
	        .address = address,
	        .port = (uint16_t)f->port.v,
	        .http = !is_type(c, "TCP"),
	        .tls = tls,
	        .host = host,
	        .path = str_set(f->resource_path) ? arena_dupz(&a, f->resource_path) : "/",
	        .sni = named ? arena_dupz(&a, f->fully_qualified_domain_name) : NULL,
	        .search = f->search_string,
	        .agent = arena_printf(&a, "Amazon-Route53-Health-Check-Service (ref %.*s; report http://amzn.to/1vsZADi)",
	                              STR_ARG(c->id))
	                         .p,
	};
	c->probe = probe_start(c->all->state->cloud->loop, &about, looked, c);
}

/* --- names */

static bool read_address(struct str text, uint32_t *ret)
{
	char z[INET_ADDRSTRLEN];
	struct in_addr a;
	if (!text.n || text.n >= sizeof(z))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	if (inet_pton(AF_INET, z, &a) != 1)
		return false;
	*ret = ntohl(a.s_addr);
	return true;
}

static void resolve_run(void *ctx)
{
	struct resolving *r = ctx;
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
	if (getaddrinfo(r->name, NULL, &hints, &found) != 0 || !found)
		return;
	r->address = ntohl(((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr.s_addr);
	r->found = true;
	freeaddrinfo(found);
}

static void resolve_done(void *ctx)
{
	struct resolving *r = ctx;
	struct check *c = r->check;
	if (c) {
		c->resolving = NULL;
		if (r->found)
			probe_it(c, r->address);
		else
			looked(c, false, "DNS resolution failed: the name has no address", &(struct probe_times){0});
	}
	free(r);
}

/* Public hosted zones know first, as on the internet, then this machine's name servers. */
static void resolve(struct check *c)
{
	struct str name = c->check.health_check_config->fully_qualified_domain_name;
	uint32_t address;
	if (route53_public_address(c->all->state, name, &address)) {
		probe_it(c, address);
		return;
	}
	struct resolving *r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->check = c;
	snprintf(r->name, sizeof(r->name), "%.*s", STR_ARG(name));
	c->resolving = r;
	work_add(c->all->state->cloud->work, resolve_run, resolve_done, r);
}

/* Every ten seconds; what it looks at changes by the minute. */
static void look_at_alarm(struct check *c)
{
	look_later(c, ALARM_US);
	c->at_ms = clock_wall_ms();
	c->well = route53_alarm_well(c->all->state->cloud, c->account, &c->check, c->at_ms, c->well);
	snprintf(c->status, sizeof(c->status), "%s: the alarm's metric is %s its limit", c->well ? "Success" : "Failure",
	         c->well ? "within" : "beyond");
	if (!c->well) {
		memcpy(c->failure, c->status, sizeof(c->failure));
		c->failed_ms = c->at_ms;
	}
	publish(c);
}

static void look(void *ctx)
{
	struct check *c = ctx;
	const struct route53_health_check_config *f = c->check.health_check_config;
	uint32_t address;
	c->timer = NULL;
	if (is_type(c, "CALCULATED")) {
		publish(c);
		look_later(c, SAY_US);
		return;
	}
	if (is_type(c, "CLOUDWATCH_METRIC")) {
		look_at_alarm(c);
		return;
	}
	look_later(c, f->request_interval.v * 1000000);
	if (c->probe || c->resolving) /* the one before has not ended */
		return;
	if (read_address(f->ip_address, &address))
		probe_it(c, address);
	else
		resolve(c);
}

/* --- records */

static bool looks(const struct check *c)
{
	return !c->check.health_check_config->disabled.v;
}

void route53_check_take(struct route53_checks *k, struct str account, struct str id, struct str value)
{
	struct check *c = map_get(&k->by_id, id);
	if (!str_set(value)) {
		if (c && map_remove(&k->by_id, id))
			check_free(c);
		return;
	}
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			abort();
		c->all = k;
		c->well = true;
		map_put(&k->by_id, id, c);
	}
	stop(c);
	arena_done(&c->arena);
	if (!route53_check_read(&c->arena, value, &c->check)) {
		map_remove(&k->by_id, id);
		check_free(c);
		return;
	}
	c->account = arena_dup(&c->arena, account);
	c->id = arena_dup(&c->arena, id);
	c->streak = 0;
	if (looks(c))
		look_later(c, FIRST_US);
}

/* --- what it says */

static bool healthy_at(struct route53_checks *k, struct str id, unsigned depth)
{
	const struct check *c = map_get(&k->by_id, id);
	if (!c || depth == DEPTH_MAX)
		return true;
	const struct route53_health_check_config *f = c->check.health_check_config;
	bool well = c->well;
	if (f->disabled.v) {
		well = true;
	} else if (is_type(c, "CALCULATED")) {
		int64_t n = 0;
		for (uint32_t i = 0; i < f->child_health_checks.n; i++)
			n += healthy_at(k, f->child_health_checks.v[i], depth + 1);
		well = n >= f->health_threshold.v;
	}
	return well != f->inverted.v;
}

bool route53_check_healthy(struct route53_checks *k, struct str id)
{
	return healthy_at(k, id, 0);
}

bool route53_check_seen(struct route53_checks *k, struct str id, struct route53_seen *ret)
{
	const struct check *c = map_get(&k->by_id, id);
	if (!c)
		return false;
	*ret = (struct route53_seen){.status = *c->status ? str_from(c->status) : STR_NONE,
	                             .at_ms = c->at_ms,
	                             .failure = *c->failure ? str_from(c->failure) : STR_NONE,
	                             .failed_ms = c->failed_ms};
	return true;
}
