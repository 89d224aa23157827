/* CreateHealthCheck, GetHealthCheck, UpdateHealthCheck, DeleteHealthCheck, ListHealthChecks, GetHealthCheckCount,
 * GetHealthCheckStatus, GetHealthCheckLastFailureReason, GetCheckerIpRanges. */
#include "check.h"

#include "base/id.h"
#include "engine/probe/probe.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { PAGE_MAX = 100, CHILDREN_MAX = 255, INTERVAL_S = 30, INTERVAL_FAST_S = 10, THRESHOLD = 3 };

static const struct record_type check_row = {&state_route53_api, "CheckRecord"};

static struct str check_key(struct call *c, struct str id)
{
	return KEY(c->arena, S("route53"), S("check"), c->account, id);
}

static struct str checks_under(struct call *c)
{
	return KEY_UNDER(c->arena, S("route53"), S("check"), c->account);
}

bool route53_check_read(struct arena *a, struct str value, struct route53_health_check *ret)
{
	struct state_route53_check_record r;
	if (!record_read(a, value, &check_row, &r))
		return false;
	*ret = *r.check;
	return true;
}

bool route53_check_find(struct call *c, struct str id, struct state_route53_check_record *ret)
{
	return id.n && id.n <= 64 && record_get(call_txn(c), c->arena, check_key(c, id), &check_row, ret);
}

int route53_check_get(struct call *c, struct str id, struct state_route53_check_record *ret)
{
	if (route53_check_find(c, id, ret))
		return CALL_OK;
	return call_fail(c, "NoSuchHealthCheck", 404, "A health check with id %.*s does not exist.", STR_ARG(id));
}

void route53_check_put(struct call *c, const struct state_route53_check_record *r)
{
	record_put(call_txn(c), c->arena, check_key(c, r->check->id), &check_row, r);
}

int64_t route53_check_count(struct call *c)
{
	struct str under = checks_under(c), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	int64_t n = 0;
	while (store_next(iter, &key, &v))
		n++;
	return n;
}

/* --- what may be */

static int check_endpoint(struct call *c, struct route53_health_check_config *f)
{
	bool tcp = str_is(f->type, "TCP"), match = str_ends(f->type, S("_STR_MATCH"));
	char z[INET_ADDRSTRLEN];
	struct in_addr a;
	if (!f->ip_address.n && !f->fully_qualified_domain_name.n)
		return route53_invalid(c, "Invalid parameter: Either IPAddress or FullyQualifiedDomainName must be specified");
	if (f->ip_address.n) {
		snprintf(z, sizeof(z), "%.*s", STR_ARG(f->ip_address));
		if (f->ip_address.n >= sizeof(z) || inet_pton(AF_INET, z, &a) != 1)
			return route53_invalid(c, "Invalid parameter: IPAddress %.*s: Quartet checks IPv4 addresses only",
			                       STR_ARG(f->ip_address));
		if (!probe_may(ntohl(a.s_addr)))
			return route53_invalid(
			        c, "Invalid IPv4 address in IPAddress: %.*s is local, private, nonroutable or multicast",
			        STR_ARG(f->ip_address));
	}
	if (match != (f->search_string.n > 0))
		return route53_invalid(c, "Invalid parameter: SearchString %s for a health check of type %.*s",
		                       match ? "must be specified" : "must not be specified", STR_ARG(f->type));
	if (tcp && (f->resource_path.n || !f->port.set))
		return route53_invalid(c, "Invalid parameter: a health check of type TCP has a Port and no ResourcePath");
	if (f->resource_path.n && f->resource_path.p[0] != '/')
		f->resource_path = ARENA_CAT(c->arena, S("/"), f->resource_path);
	for (size_t i = 0; i < f->resource_path.n; i++)
		if (f->resource_path.p[i] <= ' ' || f->resource_path.p[i] > '~')
			return route53_invalid(
			        c, "Invalid parameter: ResourcePath contains a character that is not possible in a path");
	for (size_t i = 0; i < f->fully_qualified_domain_name.n; i++) {
		char ch = f->fully_qualified_domain_name.p[i];
		if (!ascii_is_alnum(ch) && ch != '-' && ch != '.' && ch != '_')
			return route53_invalid(
			        c,
			        "Invalid parameter: FullyQualifiedDomainName contains a character that is not possible in a host name");
	}
	if (f->child_health_checks.n || f->health_threshold.set)
		return route53_invalid(
		        c, "Invalid parameter: ChildHealthChecks and HealthThreshold are for health checks of type CALCULATED");
	return CALL_OK;
}

static int check_calculated(struct call *c, const struct route53_health_check_config *f)
{
	if (f->ip_address.n || f->port.set || f->resource_path.n || f->fully_qualified_domain_name.n || f->search_string.n ||
	    f->request_interval.set || f->failure_threshold.set)
		return route53_invalid(c, "Invalid parameter: a health check of type CALCULATED has no endpoint");
	if (!f->health_threshold.set || f->child_health_checks.n > CHILDREN_MAX)
		return route53_invalid(
		        c,
		        "Invalid parameter: a health check of type CALCULATED has a HealthThreshold and at most %d ChildHealthChecks",
		        CHILDREN_MAX);
	for (uint32_t i = 0; i < f->child_health_checks.n; i++) {
		struct state_route53_check_record child;
		if (!route53_check_find(c, f->child_health_checks.v[i], &child))
			return route53_invalid(c, "Invalid parameter: the child health check %.*s does not exist",
			                       STR_ARG(f->child_health_checks.v[i]));
		if (str_is(child.check->health_check_config->type, "CALCULATED"))
			return route53_invalid(c, "Invalid parameter: the child health check %.*s is a calculated one itself",
			                       STR_ARG(f->child_health_checks.v[i]));
	}
	return CALL_OK;
}

static int check_config(struct call *c, struct route53_health_check_config *f,
                        struct route53_cloud_watch_alarm_configuration **ret_alarm)
{
	bool alarm = str_is(f->type, "CLOUDWATCH_METRIC");
	if (!alarm && (f->alarm_identifier || str_set(f->insufficient_data_health_status)))
		return route53_invalid(
		        c, "Invalid parameter: AlarmIdentifier and InsufficientDataHealthStatus are for health checks of "
		           "type CLOUDWATCH_METRIC");
	if (alarm)
		return route53_check_alarm(c, f, ret_alarm);
	if (str_is(f->type, "CALCULATED"))
		return check_calculated(c, f);
	if (str_is(f->type, "RECOVERY_CONTROL"))
		return call_fail(c, "NotImplemented", 501, "Quartet does not provide health checks of type %.*s.",
		                 STR_ARG(f->type));
	if (f->request_interval.set && f->request_interval.v != INTERVAL_S && f->request_interval.v != INTERVAL_FAST_S)
		return route53_invalid(c, "Invalid parameter: RequestInterval must be %d or %d", INTERVAL_FAST_S, INTERVAL_S);
	if (check_endpoint(c, f) != CALL_OK)
		return CALL_FAIL;
	bool tls = str_starts(f->type, S("HTTPS"));
	if (!f->port.set)
		f->port = OPT_INT(tls ? 443 : 80);
	if (!f->request_interval.set)
		f->request_interval = OPT_INT(INTERVAL_S);
	if (!f->failure_threshold.set)
		f->failure_threshold = OPT_INT(THRESHOLD);
	if (!f->enable_sni.set)
		f->enable_sni = OPT_BOOL(tls);
	f->measure_latency = OPT_BOOL(f->measure_latency.v);
	return CALL_OK;
}

/* --- operations */

/* The same reference and settings again are the same check. */
static int find_same(struct call *c, const struct route53_create_health_check_request *in,
                     const struct route53_health_check_config *f, struct state_route53_check_record *ret, bool *ret_found)
{
	struct str under = checks_under(c), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	*ret_found = false;
	while (store_next(iter, &key, &v)) {
		if (!record_read(c->arena, v.value, &check_row, ret) || !str_eq(ret->check->caller_reference, in->caller_reference))
			continue;
		const struct route53_health_check_config *g = ret->check->health_check_config;
		*ret_found = str_eq(f->type, g->type) && str_eq(f->ip_address, g->ip_address) && f->port.v == g->port.v &&
		             str_eq(f->resource_path, g->resource_path) && str_eq(f->search_string, g->search_string) &&
		             str_eq(f->fully_qualified_domain_name, g->fully_qualified_domain_name) &&
		             f->request_interval.v == g->request_interval.v && f->failure_threshold.v == g->failure_threshold.v &&
		             f->inverted.v == g->inverted.v && f->health_threshold.v == g->health_threshold.v &&
		             str_eq(f->insufficient_data_health_status, g->insufficient_data_health_status) &&
		             (!f->alarm_identifier || (str_eq(f->alarm_identifier->name, g->alarm_identifier->name) &&
		                                       str_eq(f->alarm_identifier->region, g->alarm_identifier->region)));
		return *ret_found
		               ? CALL_OK
		               : call_fail(
		                         c, "HealthCheckAlreadyExists", 409,
		                         "A health check with the same caller reference and other settings has already been created.");
	}
	return CALL_OK;
}

int route53_create_health_check(struct call *c, const struct route53_create_health_check_request *in,
                                struct route53_create_health_check_response *out)
{
	struct route53_health_check_config *f = arena_new(c->arena, struct route53_health_check_config);
	struct route53_cloud_watch_alarm_configuration *alarm = NULL;
	struct state_route53_check_record r = {0};
	bool found;
	*f = *in->health_check_config;
	if (check_config(c, f, &alarm) != CALL_OK || find_same(c, in, f, &r, &found) != CALL_OK)
		return CALL_FAIL;
	if (!found) {
		if (route53_check_count(c) >= ROUTE53_CHECKS_MAX)
			return call_fail(c, "TooManyHealthChecks", 400,
			                 "Limits Exceeded: MAX_HEALTH_CHECKS_BY_OWNER - Cannot create more health checks.");
		f->inverted = OPT_BOOL(f->inverted.v);
		f->disabled = OPT_BOOL(f->disabled.v);
		r = (struct state_route53_check_record){.check = arena_new(c->arena, struct route53_health_check),
		                                        .created = OPT_TIME(c->now_ms)};
		*r.check = (struct route53_health_check){.id = id_uuid(c->arena),
		                                         .caller_reference = in->caller_reference,
		                                         .health_check_config = f,
		                                         .health_check_version = OPT_INT(1),
		                                         .cloud_watch_alarm_configuration = alarm};
		route53_check_put(c, &r);
	}
	out->health_check = r.check;
	out->location = ARENA_CAT(c->arena, S("https://route53.amazonaws.com/2013-04-01/healthcheck/"), r.check->id);
	return CALL_OK;
}

int route53_get_health_check(struct call *c, const struct route53_get_health_check_request *in,
                             struct route53_get_health_check_response *out)
{
	struct state_route53_check_record r;
	if (route53_check_get(c, in->health_check_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->health_check = r.check;
	return CALL_OK;
}

static void reset(struct route53_health_check_config *f, const struct str_list *what)
{
	for (uint32_t i = 0; i < what->n; i++)
		if (str_is(what->v[i], "FullyQualifiedDomainName"))
			f->fully_qualified_domain_name = STR_NONE;
		else if (str_is(what->v[i], "ResourcePath"))
			f->resource_path = STR_NONE;
		else if (str_is(what->v[i], "ChildHealthChecks"))
			f->child_health_checks = (struct str_list){.set = true};
}

int route53_update_health_check(struct call *c, const struct route53_update_health_check_request *in,
                                struct route53_update_health_check_response *out)
{
	struct state_route53_check_record r;
	if (route53_check_get(c, in->health_check_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (in->health_check_version.set && in->health_check_version.v != r.check->health_check_version.v)
		return call_fail(c, "HealthCheckVersionMismatch", 409,
		                 "The value of HealthCheckVersion in the request doesn't match the version of the health check.");
	struct route53_health_check_config *f = r.check->health_check_config, was = *f;
	if (str_is(f->type, "CALCULATED") || str_is(f->type, "CLOUDWATCH_METRIC")) /* what its type has not is not recorded */
		f->request_interval.set = f->failure_threshold.set = f->port.set = false;
	reset(f, &in->reset_elements);
#define CHANGE(member, given) f->member = (given) ? in->member : f->member
	CHANGE(ip_address, in->ip_address.n);
	CHANGE(port, in->port.set);
	CHANGE(resource_path, in->resource_path.n);
	CHANGE(fully_qualified_domain_name, in->fully_qualified_domain_name.n);
	CHANGE(search_string, in->search_string.n);
	CHANGE(failure_threshold, in->failure_threshold.set);
	CHANGE(inverted, in->inverted.set);
	CHANGE(disabled, in->disabled.set);
	CHANGE(health_threshold, in->health_threshold.set);
	CHANGE(child_health_checks, in->child_health_checks.n);
	CHANGE(enable_sni, in->enable_sni.set);
	CHANGE(regions, in->regions.n);
	CHANGE(alarm_identifier, in->alarm_identifier);
	CHANGE(insufficient_data_health_status, str_set(in->insufficient_data_health_status));
#undef CHANGE
	if (in->ip_address.n && !was.ip_address.n)
		return route53_invalid(c,
		                       "Invalid parameter: IPAddress cannot be given to a health check that was made without one");
	if (in->alarm_identifier)
		r.check->cloud_watch_alarm_configuration = NULL;
	if (check_config(c, f, &r.check->cloud_watch_alarm_configuration) != CALL_OK)
		return CALL_FAIL;
	r.check->health_check_version.v++;
	route53_check_put(c, &r);
	out->health_check = r.check;
	return CALL_OK;
}

int route53_delete_health_check(struct call *c, const struct route53_delete_health_check_request *in,
                                struct route53_delete_health_check_response *out)
{
	struct state_route53_check_record r;
	(void)out;
	if (route53_check_get(c, in->health_check_id, &r) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), check_key(c, r.check->id));
	return CALL_OK;
}

int route53_list_health_checks(struct call *c, const struct route53_list_health_checks_request *in,
                               struct route53_list_health_checks_response *out)
{
	uint32_t most;
	struct str under = checks_under(c), key;
	struct store_value v;
	if (!route53_page(c, in->max_items, PAGE_MAX, &most))
		return CALL_FAIL;
	out->health_checks.set = true;
	out->is_truncated = OPT_BOOL(false);
	out->max_items = arena_printf(c->arena, "%u", most);
	out->marker = in->marker.n ? in->marker : S("");
	struct str from = in->marker.n && in->marker.n <= 64 ? check_key(c, in->marker) : under;
	struct store_iter *iter = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	while (store_next(iter, &key, &v)) {
		struct state_route53_check_record r;
		if (!record_read(c->arena, v.value, &check_row, &r))
			continue;
		if (out->health_checks.n == most) {
			out->is_truncated = OPT_BOOL(true);
			out->next_marker = r.check->id;
			break;
		}
		*LIST_ADD(c->arena, &out->health_checks) = *r.check;
	}
	return CALL_OK;
}

int route53_get_health_check_count(struct call *c, const struct route53_get_health_check_count_request *in,
                                   struct route53_get_health_check_count_response *out)
{
	(void)in;
	out->health_check_count = OPT_INT(route53_check_count(c));
	return CALL_OK;
}

/* --- what was seen, by the one checker */

static int observe(struct call *c, struct str id, bool failure, struct route53_health_check_observations *ret)
{
	struct state_route53_check_record r;
	struct route53_seen seen;
	if (route53_check_get(c, id, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_is(r.check->health_check_config->type, "CALCULATED"))
		return route53_invalid(c, "The status of a health check of type CALCULATED is that of its children");
	ret->set = true;
	if (!route53_check_seen(route53_state(c->cloud)->checks, id, &seen) || !str_set(failure ? seen.failure : seen.status))
		return CALL_OK;
	struct route53_status_report *report = arena_new(c->arena, struct route53_status_report);
	report->status = arena_dup(c->arena, failure ? seen.failure : seen.status);
	report->checked_time = OPT_TIME(failure ? seen.failed_ms : seen.at_ms);
	*LIST_ADD(c->arena, ret) = (struct route53_health_check_observation){
	        .region = S("us-east-1"), .ip_address = S("127.0.0.1"), .status_report = report};
	return CALL_OK;
}

int route53_get_health_check_status(struct call *c, const struct route53_get_health_check_status_request *in,
                                    struct route53_get_health_check_status_response *out)
{
	return observe(c, in->health_check_id, false, &out->health_check_observations);
}

int route53_get_health_check_last_failure_reason(struct call *c,
                                                 const struct route53_get_health_check_last_failure_reason_request *in,
                                                 struct route53_get_health_check_last_failure_reason_response *out)
{
	return observe(c, in->health_check_id, true, &out->health_check_observations);
}

int route53_get_checker_ip_ranges(struct call *c, const struct route53_get_checker_ip_ranges_request *in,
                                  struct route53_get_checker_ip_ranges_response *out)
{
	*LIST_ADD(c->arena, &out->checker_ip_ranges) = S("127.0.0.1/32");
	(void)in;
	return CALL_OK;
}
