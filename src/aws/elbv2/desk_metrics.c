/* Metrics in AWS/ApplicationELB and AWS/NetworkELB, out of what nodes have counted since their programs began. */
#include "desk.h"

#include "base/clock.h"
#include "core/meter.h"
#include "engine/metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE_US = 60 * 1000000 };

void elb_metric_put(const struct elb_place *p, const char *name, const char *unit, const struct metric_set *set)
{
	const struct elb_item *i = p->item;
	struct metric_dimension by[3] = {{S("LoadBalancer"), i->path}};
	struct metric m = {.account = i->account,
	                   .region = i->region,
	                   .space = i->network ? S("AWS/NetworkELB") : S("AWS/ApplicationELB"),
	                   .name = str_from(name),
	                   .unit = str_from(unit),
	                   .dimensions = by};
	size_t n = 1;
	if (!i->desk->cloud->metrics)
		return;
	if (str_set(p->group))
		by[n++] = (struct metric_dimension){S("TargetGroup"), p->group};
	m.dimension_count = n;
	if (!p->zone_alone)
		metrics_put(i->desk->cloud->metrics, &m, clock_wall_ms(), 60, set);
	if (!p->zone)
		return;
	by[n++] = (struct metric_dimension){S("AvailabilityZone"), str_from(p->zone)};
	m.dimension_count = n;
	metrics_put(i->desk->cloud->metrics, &m, clock_wall_ms(), 60, set);
}

/* Nothing is said of what did not happen. */
static void count(const struct elb_place *p, const char *name, const char *unit, uint64_t now, uint64_t before)
{
	const struct metric_set set = metric_sample((double)(now - before));
	if (now > before)
		elb_metric_put(p, name, unit, &set);
}

/* --- nodes */

void elb_metrics_node(struct elb_item *i, struct elb_item_node *n, const struct lb_counters *now)
{
	static const struct lb_counters zero;
	const struct lb_counters *was = &n->counted;
	const struct elb_place p = {.item = i, .zone = n->zone};
	bool known = n->counts || n->fresh;
	if (i->network) {
		elb_flows_count(i, n, now);
		return;
	}
	if (now->connections < was->connections || now->bytes_in < was->bytes_in)
		was = &zero; /* its program began anew */
	if (known && i->desk->cloud->metrics) {
		const struct metric_set active = metric_sample((double)now->active_connections);
		count(&p, "NewConnectionCount", "Count", now->connections, was->connections);
		count(&p, "ProcessedBytes", "Bytes", now->bytes_in + now->bytes_out, was->bytes_in + was->bytes_out);
		if (now->active_connections)
			elb_metric_put(&p, "ActiveConnectionCount", "Count", &active);
		count(&p, "RejectedConnectionCount", "Count", now->rejected_connections, was->rejected_connections);
		count(&p, "HTTPCode_ELB_3XX_Count", "Count", now->elb_3xx, was->elb_3xx);
		count(&p, "HTTPCode_ELB_4XX_Count", "Count", now->elb_4xx, was->elb_4xx);
		count(&p, "HTTPCode_ELB_5XX_Count", "Count", now->elb_5xx, was->elb_5xx);
		count(&p, "HTTPCode_ELB_500_Count", "Count", now->elb_500, was->elb_500);
		count(&p, "HTTPCode_ELB_502_Count", "Count", now->elb_502, was->elb_502);
		count(&p, "HTTPCode_ELB_503_Count", "Count", now->elb_503, was->elb_503);
		count(&p, "HTTPCode_ELB_504_Count", "Count", now->elb_504, was->elb_504);
		count(&p, "RuleEvaluations", "Count", now->rules, was->rules);
		count(&p, "GrpcRequestCount", "Count", now->grpc_requests, was->grpc_requests);
		count(&p, "IPv6RequestCount", "Count", now->ipv6_requests, was->ipv6_requests);
		count(&p, "IPv6ProcessedBytes", "Bytes", now->ipv6_bytes, was->ipv6_bytes);
		count(&p, "DroppedInvalidHeaderRequestCount", "Count", now->dropped_headers, was->dropped_headers);
		count(&p, "ForwardedInvalidHeaderRequestCount", "Count", now->forwarded_headers, was->forwarded_headers);
		count(&p, "DesyncMitigationMode_NonCompliant_Request_Count", "Count", now->unclear_requests, was->unclear_requests);
		count(&p, "ClientTLSNegotiationErrorCount", "Count", now->tls_failures, was->tls_failures);
		count(&p, "HTTP_Redirect_Count", "Count", now->redirects, was->redirects);
		count(&p, "HTTP_Fixed_Response_Count", "Count", now->fixed_responses, was->fixed_responses);
	}
	if (known) {
		i->used_rules += now->rules_over_10 > was->rules_over_10 ? now->rules_over_10 - was->rules_over_10 : 0;
		i->used_connections += now->connections - was->connections;
		i->used_bytes += now->bytes_in + now->bytes_out - was->bytes_in - was->bytes_out;
	}
	n->counted = *now;
	n->counts = true;
}

/* Capacity units of the last minute, as AWS counts them: of what is used most. */
static void count_units(struct elb_item *i)
{
	uint64_t active = 0;
	for (unsigned k = 0; k < i->node_count; k++)
		active += i->nodes[k].counted.active_connections;
	double units = (double)i->used_connections / 60 / 25, open = (double)active / 3000,
	       carried = (double)i->used_bytes * 60 / 1e9, asked = (double)i->used_rules / 60 / 1000;
	units = open > units ? open : units;
	units = carried > units ? carried : units;
	units = asked > units ? asked : units;
	units = i->network ? elb_flows_units(i) : units;
	i->used_connections = i->used_bytes = i->used_rules = 0;
	if (units <= 0)
		return;
	const struct metric_set set = metric_sample(units);
	const struct elb_place p = {.item = i};
	elb_metric_put(&p, "ConsumedLCUs", "Count", &set);
	char arn[256];
	int n = snprintf(arn, sizeof(arn), "arn:aws:elasticloadbalancing:%.*s:%.*s:loadbalancer/%.*s", STR_ARG(i->region),
	                 STR_ARG(i->account), STR_ARG(i->path));
	meter_count_of(i->desk->cloud->meter, i->account, i->region,
	               n > 0 && (size_t)n < sizeof(arn) ? str_of(arn, (size_t)n) : S(""),
	               i->network ? S("net/LCUUsage") : S("LCUUsage"), (int64_t)(units / 60 * 1000000));
}

/* --- groups */

static struct str group_path(struct str arn)
{
	ptrdiff_t at = str_find(arn, S("targetgroup/"));
	return at < 0 ? arn : str_from_at(arn, (size_t)at);
}

void elb_metrics_group(struct elb_item *i, struct elb_item_node *n, const char *group, const struct lb_group_counters *now)
{
	static const struct lb_group_counters zero;
	struct arena CLEAN_ARENA a = {0};
	struct str key = ARENA_CAT(&a, str_from(n->interface), S(" "), str_from(group));
	struct lb_group_counters *kept = map_get(&i->counted, key);
	const struct lb_group_counters *was = kept ? kept : &zero;
	bool known = kept || n->fresh;
	if (!kept) {
		kept = calloc(1, sizeof(*kept));
		if (!kept)
			abort();
		map_put(&i->counted, key, kept);
	}
	if (now->requests < was->requests)
		was = &zero;
	struct elb_place places[2] = {{.item = i, .zone = n->zone},
	                              {.item = i, .zone = n->zone, .group = group_path(str_from(group))}};
	uint64_t responses = now->responses - was->responses;
	bool function = false;
	for (size_t k = 0; k < i->group_count; k++)
		function |= strcmp(i->groups[k].arn, group) == 0 && i->groups[k].function;
	double mean_s = (double)now->response_time_us / 1e6;
	const struct metric_set times = {
	        .count = (double)responses, .sum = mean_s * (double)responses, .min = mean_s, .max = mean_s};
	for (size_t k = 0; known && !i->network && i->desk->cloud->metrics && k < 2; k++) {
		const struct elb_place *p = &places[k];
		count(p, "RequestCount", "Count", now->requests, was->requests);
		if (!str_set(p->group)) /* of the balancer alone */
			count(p, "NonStickyRequestCount", "Count", now->unsticky_requests, was->unsticky_requests);
		if (function) /* counted where it is asked (elb_metrics_function()) */
			continue;
		count(p, "HTTPCode_Target_2XX_Count", "Count", now->target_2xx, was->target_2xx);
		count(p, "HTTPCode_Target_3XX_Count", "Count", now->target_3xx, was->target_3xx);
		count(p, "HTTPCode_Target_4XX_Count", "Count", now->target_4xx, was->target_4xx);
		count(p, "HTTPCode_Target_5XX_Count", "Count", now->target_5xx, was->target_5xx);
		count(p, "TargetConnectionErrorCount", "Count", now->connection_errors, was->connection_errors);
		count(p, "TargetTLSNegotiationErrorCount", "Count", now->tls_failures, was->tls_failures);
		if (str_set(p->group))
			count(p, "UnhealthyRoutingRequestCount", "Count", now->open_requests, was->open_requests);
		if (responses)
			elb_metric_put(p, "TargetResponseTime", "Seconds", &times);
	}
	for (size_t k = 0; known && i->network && i->desk->cloud->metrics && k < 2; k++)
		count(&places[k], "TargetTLSNegotiationErrorCount", "Count", now->tls_failures, was->tls_failures);
	if (known && i->network && i->desk->cloud->metrics) { /* the router's beside these: elb_flows_count() */
		count(&places[0], "UnhealthyRoutingFlowCount", "Count", now->open_requests, was->open_requests);
		count(&places[0], "RejectedFlowCount", "Count", now->targetless, was->targetless);
		count(&places[0], "RejectedFlowCount_TCP", "Count", now->targetless, was->targetless);
	}
	/* shared among all that take requests */
	for (size_t k = 0; known && !i->network && i->desk->cloud->metrics && k < i->group_count; k++) {
		const struct elb_seen_group *g = &i->groups[k];
		if (strcmp(g->arn, group) != 0 || !g->target_count || now->requests == was->requests)
			continue;
		const struct metric_set share = metric_sample((double)(now->requests - was->requests) / (double)g->target_count);
		elb_metric_put(&places[1], "RequestCountPerTarget", "Count", &share);
	}
	*kept = *now;
}

void elb_metrics_function(struct elb_item *i, const struct elb_item_node *n, const char *group, const struct elb_function_count *c)
{
	const struct elb_place own = {.item = i, .zone = n->zone},
	                       both = {.item = i, .zone = n->zone, .group = group_path(str_from(group))};
	char name[40];
	if (i->desk->cloud->metrics) {
		count(&own, "LambdaTargetProcessedBytes", "Bytes", c->bytes, 0);
		count(&both, "LambdaUserError", "Count", c->user_error, 0);
		count(&both, "LambdaInternalError", "Count", c->internal_error, 0);
	}
	if (!i->desk->cloud->metrics || c->user_error || c->internal_error)
		return;
	snprintf(name, sizeof(name), "HTTPCode_Target_%uXX_Count", c->status / 100);
	count(&own, name, "Count", 1, 0);
	count(&both, name, "Count", 1, 0);
}

/* --- health, once a minute */

/* zone NULL: of all targets. */
static void count_hosts(const struct elb_item *i, const struct elb_seen_group *g, const char *zone)
{
	unsigned healthy = 0, unhealthy = 0, count = 0;
	for (size_t t = 0; t < g->target_count; t++) {
		struct lb_target_health why;
		if (zone && (!g->targets[t].zone || strcmp(g->targets[t].zone, zone) != 0))
			continue;
		enum lb_health h = elb_item_health(i, g, &g->targets[t], &why);
		count++;
		healthy += h == LB_HEALTHY;
		unhealthy += h == LB_UNHEALTHY;
	}
	const struct elb_place p = {.item = i, .zone = zone, .zone_alone = zone != NULL, .group = group_path(str_from(g->arn))};
	const struct metric_set well = metric_sample(healthy), ill = metric_sample(unhealthy);
	if (!count)
		return;
	elb_metric_put(&p, "HealthyHostCount", "Count", &well);
	elb_metric_put(&p, "UnHealthyHostCount", "Count", &ill);
}

/* How many zones are in which state: of all by the sum, of each by one. */
static void count_zones(const struct elb_item *i, const struct elb_seen_group *g)
{
	static const char *const names[2][2] = {{"UnhealthyStateRouting", "HealthyStateRouting"},
	                                        {"UnhealthyStateDNS", "HealthyStateDNS"}};
	for (int by_name = 0; by_name < 2 && g->target_count; by_name++) {
		unsigned in[2] = {0};
		for (unsigned n = 0; n < i->node_count; n++) {
			const struct elb_item_node *node = &i->nodes[n];
			bool good = node->serves && elb_node_has_enough(i, node, g, by_name);
			in[good]++;
			for (int is = 0; is < 2; is++) {
				const struct elb_place p = {
				        .item = i, .zone = node->zone, .zone_alone = true, .group = group_path(str_from(g->arn))};
				const struct metric_set set = metric_sample(good == is);
				elb_metric_put(&p, names[by_name][is], "Count", &set);
			}
		}
		for (int is = 0; is < 2; is++) {
			const struct elb_place p = {.item = i, .group = group_path(str_from(g->arn))};
			const struct metric_set set = metric_sample(in[is]);
			elb_metric_put(&p, names[by_name][is], "Count", &set);
		}
	}
}

/* Of a network balancer: 1 for each zone whose node its name leads to, 0 for each other one. */
static void count_zone_health(const struct elb_item *i)
{
	for (unsigned n = 0; n < i->node_count; n++) {
		const struct elb_place p = {.item = i, .zone = i->nodes[n].zone};
		const struct metric_set set = metric_sample(elb_node_is_good(i, &i->nodes[n]));
		elb_metric_put(&p, "ZonalHealthStatus", "Count", &set);
	}
}

static void minute(void *ctx)
{
	struct elb_desk *d = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	bool any = false;
	while (map_next(&d->balancers, &at, &key, &value)) {
		struct elb_item *i = value;
		any = true;
		count_units(i);
		if (i->network)
			count_zone_health(i);
		for (size_t k = 0; k < i->group_count; k++) {
			count_hosts(i, &i->groups[k], NULL);
			if (!i->network)
				count_zones(i, &i->groups[k]);
			for (unsigned n = 0; n < i->node_count; n++)
				count_hosts(i, &i->groups[k], i->nodes[n].zone);
		}
	}
	d->minute = any ? loop_add_clock_timer(d->cloud->loop, MINUTE_US, minute, d) : NULL;
}

void elb_metrics_begin(struct elb_desk *d)
{
	if (!d->minute)
		d->minute = loop_add_clock_timer(d->cloud->loop, MINUTE_US, minute, d);
}

void elb_metrics_forget(struct elb_item *i)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&i->counted, &at, &key, &value))
		free(value);
	map_done(&i->counted);
	i->counted = (struct map){0};
}
