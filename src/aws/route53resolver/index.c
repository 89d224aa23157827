/* What is asked of rules with every question, in memory: rules by id, VPCs with the rules that hold there, endpoints with their
 * interfaces, VPCs that do not answer for their addresses. A watch keeps it true, so a change is in force when its reply goes out.
 *
 * And one thing that is written without being asked for: an endpoint's addresses are attached once the network has their
 * interfaces. Questions are counted here too, for CloudWatch. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "engine/dns/name.h"
#include "engine/metrics/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 5, ATTACH_AGAIN_US = 1000 * 1000, COUNT_US = 500 * 1000, LOOK_US = 60 * 1000 * 1000, MINUTE_S = 60 };

struct rule {
	uint8_t domain[DNS_NAME_MAX];
	int labels;
	bool forward;
	char *endpoint;
	struct dns_way way; /* its doors are the endpoint's */
};

struct endpoint {
	char *account, *region, *id;
	char doors[DNS_WAY_DOORS_MAX][DNS_DOOR_MAX]; /* all of them */
	bool open[DNS_WAY_DOORS_MAX];
	unsigned door_count;
	bool inbound;
	uint64_t queries; /* that CloudWatch has not heard of */
};

struct association {
	struct list at; /* of its VPC */
	char *rule, *vpc;
};

struct vpc {
	struct list associations;
};

struct resolver_state {
	struct cloud *cloud;
	struct store_watch *watch;
	struct map rules, endpoints, associations; /* by id; ids are unique in the cloud */
	struct map vpcs, silent;                   /* by the VPC's id; silent: no names of addresses */
	struct map doors;                          /* interface -> its endpoint */
	struct loop_timer *counting, *looking;
};

static char *copy(struct str text)
{
	char *z = strndup(text.p ? text.p : "", text.n);
	if (!z)
		abort();
	return z;
}

static void *zeroed(size_t bytes)
{
	void *p = calloc(1, bytes);
	if (!p)
		abort();
	return p;
}

/* --- what is put */

static void rule_free(struct rule *r)
{
	if (r)
		free(r->endpoint);
	free(r);
}

static void take_rule(struct resolver_state *s, struct arena *a, struct str id, struct str value)
{
	struct state_route53resolver_rule_record r;
	const char *why;
	rule_free(map_remove(&s->rules, id));
	if (!str_set(value) || !resolver_read(a, RESOLVER_RULE, value, &r))
		return;
	struct rule *rule = zeroed(sizeof(*rule));
	if (!str_is(r.rule->domain_name, "."))
		dns_name_parse(r.rule->domain_name, true, rule->domain, &why);
	for (const uint8_t *at = rule->domain; *at; at += 1 + *at)
		rule->labels++;
	rule->forward = str_is(r.rule->rule_type, "FORWARD");
	rule->endpoint = copy(r.rule->resolver_endpoint_id);
	for (uint32_t i = 0; i < r.rule->target_ips.n && i < DNS_WAY_SERVERS_MAX; i++) {
		struct in_addr to = {0};
		inet_pton(AF_INET, arena_dupz(a, r.rule->target_ips.v[i].ip), &to);
		rule->way.servers[rule->way.server_count].address = ntohl(to.s_addr);
		rule->way.servers[rule->way.server_count++].port = (uint16_t)r.rule->target_ips.v[i].port.v;
	}
	map_put(&s->rules, id, rule);
}

static void hand_over(struct resolver_state *s, struct endpoint *e)
{
	const struct metric_dimension by = {S("EndpointId"), str_from(e->id)};
	const struct metric metric = {str_from(e->account),
	                              str_from(e->region),
	                              S("AWS/Route53Resolver"),
	                              e->inbound ? S("InboundQueryVolume") : S("OutboundQueryVolume"),
	                              S("Count"),
	                              &by,
	                              1};
	struct metric all = metric; /* of all accounts that share rules: there is one */
	const struct metric_value value = {1, (double)e->queries};
	all.name = S("OutboundQueryAggregateVolume");
	if (e->queries && s->cloud->metrics)
		metrics_put_values(s->cloud->metrics, &metric, clock_wall_ms(), MINUTE_S, &value, 1);
	if (e->queries && s->cloud->metrics && !e->inbound)
		metrics_put_values(s->cloud->metrics, &all, clock_wall_ms(), MINUTE_S, &value, 1);
	e->queries = 0;
}

static void put_count(struct resolver_state *s, const struct endpoint *e, struct str name, unsigned n)
{
	const struct metric_dimension by = {S("EndpointId"), str_from(e->id)};
	const struct metric metric = {
	        str_from(e->account), str_from(e->region), S("AWS/Route53Resolver"), name, S("Count"), &by, 1};
	metrics_add(s->cloud->metrics, &metric, n);
}

/* Which of its addresses answer, by the minute. */
static void look_at_doors(void *ctx)
{
	struct resolver_state *s = ctx;
	size_t at = 0;
	struct str id;
	void *endpoint;
	s->looking = loop_add_clock_timer(s->cloud->loop, LOOK_US, look_at_doors, s);
	while (s->cloud->metrics && map_next(&s->endpoints, &at, &id, &endpoint)) {
		const struct endpoint *e = endpoint;
		unsigned open = 0;
		for (unsigned i = 0; i < e->door_count; i++)
			open += e->open[i];
		put_count(s, e, S("EndpointHealthyENICount"), open);
		put_count(s, e, S("EndpointUnhealthyENICount"), e->door_count - open);
	}
}

static void hand_over_all(void *ctx)
{
	struct resolver_state *s = ctx;
	size_t at = 0;
	struct str id;
	void *endpoint;
	s->counting = NULL;
	while (map_next(&s->endpoints, &at, &id, &endpoint))
		hand_over(s, endpoint);
}

static void count_query(struct resolver_state *s, struct endpoint *e)
{
	e->queries++;
	if (!s->counting)
		s->counting = loop_add_timer(s->cloud->loop, COUNT_US, hand_over_all, s);
}

static void endpoint_free(struct resolver_state *s, struct endpoint *e)
{
	if (!e)
		return;
	hand_over(s, e);
	for (unsigned i = 0; i < e->door_count; i++)
		map_remove(&s->doors, str_from(e->doors[i]));
	free(e->account);
	free(e->region);
	free(e->id);
	free(e);
}

static void take_endpoint(struct resolver_state *s, struct arena *a, const struct str_list *parts, struct str value)
{
	struct state_route53resolver_endpoint_record r;
	endpoint_free(s, map_remove(&s->endpoints, parts->v[4]));
	if (!str_set(value) || !resolver_read(a, RESOLVER_ENDPOINT, value, &r))
		return;
	struct endpoint *e = zeroed(sizeof(*e));
	e->account = copy(parts->v[2]);
	e->region = copy(parts->v[3]);
	e->id = copy(parts->v[4]);
	e->inbound = str_is(r.endpoint->direction, "INBOUND");
	for (uint32_t i = 0; i < r.ips.n && i < DNS_WAY_DOORS_MAX; i++) {
		struct str interface = r.ips.v[i].interface;
		if (interface.n >= DNS_DOOR_MAX)
			continue;
		memcpy(e->doors[e->door_count], interface.p, interface.n);
		e->open[e->door_count++] = str_is(r.ips.v[i].address->status, "ATTACHED");
		map_put(&s->doors, interface, e);
	}
	map_put(&s->endpoints, parts->v[4], e);
}

static void association_free(struct resolver_state *s, struct association *a)
{
	if (!a)
		return;
	struct vpc *vpc = map_get(&s->vpcs, str_from(a->vpc));
	list_remove(&a->at);
	if (list_empty(&vpc->associations))
		free(map_remove(&s->vpcs, str_from(a->vpc)));
	free(a->rule);
	free(a->vpc);
	free(a);
}

static void take_association(struct resolver_state *s, struct arena *a, struct str id, struct str value)
{
	struct state_route53resolver_association_record r;
	association_free(s, map_remove(&s->associations, id));
	if (!str_set(value) || !resolver_read(a, RESOLVER_ASSOCIATION, value, &r))
		return;
	struct association *as = zeroed(sizeof(*as));
	struct vpc *vpc = map_get(&s->vpcs, r.association->vpc_id);
	if (!vpc) {
		vpc = zeroed(sizeof(*vpc));
		list_init(&vpc->associations);
		map_put(&s->vpcs, r.association->vpc_id, vpc);
	}
	as->rule = copy(r.association->resolver_rule_id);
	as->vpc = copy(r.association->vpc_id);
	list_push(&vpc->associations, &as->at);
	map_put(&s->associations, id, as);
}

static void take_config(struct resolver_state *s, struct arena *a, struct str vpc, struct str value)
{
	struct state_route53resolver_config_record r;
	map_remove(&s->silent, vpc);
	if (str_set(value) && resolver_read(a, RESOLVER_CONFIG, value, &r) && str_is(r.config->autodefined_reverse, "DISABLED"))
		map_put(&s->silent, vpc, s);
}

static void take(struct resolver_state *s, struct str key, struct str value)
{
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, key);
	enum resolver_kind kind;
	if (parts.n != PARTS || !resolver_kind_named(parts.v[1], &kind))
		return;
	switch (kind) {
	case RESOLVER_RULE:
		take_rule(s, &a, parts.v[4], value);
		break;
	case RESOLVER_ENDPOINT:
		take_endpoint(s, &a, &parts, value);
		break;
	case RESOLVER_ASSOCIATION:
		take_association(s, &a, parts.v[4], value);
		break;
	case RESOLVER_CONFIG:
		take_config(s, &a, parts.v[4], value);
		break;
	}
}

static void changed(void *ctx, const struct store_event *e)
{
	take(ctx, e->key, e->value);
}

/* --- what is asked */

int resolver_rule(const struct cloud *cloud, struct str vpc, const uint8_t *name, struct dns_way *ret)
{
	const struct resolver_state *s = cloud_state(cloud, &route53resolver_service);
	const struct vpc *v = s ? map_get(&s->vpcs, vpc) : NULL;
	const struct rule *found = NULL;
	if (!v)
		return -1;
	list_each (&v->associations, struct association, at, a) {
		const struct rule *r = map_get(&s->rules, str_from(a->rule));
		if (r && (!found || r->labels > found->labels) && dns_name_within(name, r->domain))
			found = r;
	}
	if (!found || !found->forward)
		return -1;
	const struct endpoint *e = map_get(&s->endpoints, str_from(found->endpoint));
	*ret = found->way;
	for (unsigned i = 0; e && i < e->door_count; i++)
		if (e->open[i])
			memcpy(ret->doors[ret->door_count++], e->doors[i], DNS_DOOR_MAX);
	return found->labels;
}

void resolver_count(const struct cloud *cloud, const char *interface)
{
	struct resolver_state *s = cloud_state(cloud, &route53resolver_service);
	struct endpoint *e = s ? map_get(&s->doors, str_from(interface)) : NULL;
	if (e)
		count_query(s, e);
}

bool resolver_reverse(const struct cloud *cloud, struct str vpc)
{
	const struct resolver_state *s = cloud_state(cloud, &route53resolver_service);
	return !s || !map_get(&s->silent, vpc);
}

/* --- CREATING -> OPERATIONAL */

struct attach {
	struct cloud *cloud;
	struct arena arena;
	char *account, *region, *id, *interface;
};

static void attach_run(void *ctx);

static void attach_done(void *ctx, int result, uint64_t revision)
{
	struct attach *t = ctx;
	(void)revision;
	if (result == -EAGAIN) {
		attach_run(t);
		return;
	}
	if (result < 0) {
		log_error("route53resolver: the state of %s could not be written, and is tried again: %s", t->id,
		          strerror(-result));
		loop_add_timer(t->cloud->loop, ATTACH_AGAIN_US, attach_run, t);
		return;
	}
	arena_done(&t->arena);
	free(t->account);
	free(t->region);
	free(t->id);
	free(t->interface);
	free(t);
}

static void attach_run(void *ctx)
{
	struct attach *t = ctx;
	struct state_route53resolver_endpoint_record r;
	arena_reset(&t->arena);
	const struct resolver_scope s = {.txn = store_begin(t->cloud->store, &t->arena),
	                                 .arena = &t->arena,
	                                 .account = str_from(t->account),
	                                 .region = str_from(t->region)};
	if (resolver_find(&s, RESOLVER_ENDPOINT, str_from(t->id), &r)) {
		bool news = false;
		for (uint32_t i = 0; i < r.ips.n; i++) {
			struct route53resolver_ip_address_response *a = r.ips.v[i].address;
			if (!str_is(r.ips.v[i].interface, t->interface) || str_is(a->status, "ATTACHED"))
				continue;
			a->status = S("ATTACHED");
			a->status_message = S("This IP address is operational.");
			news = true;
		}
		if (news) {
			resolver_endpoint_settle(&r);
			resolver_put(&s, RESOLVER_ENDPOINT, r.endpoint->id, &r);
		}
	}
	store_commit(s.txn, attach_done, t);
}

static bool port_came(void *ctx, struct str interface, int fd)
{
	struct resolver_state *s = ctx;
	const struct endpoint *e = map_get(&s->doors, interface);
	(void)fd; /* of such an interface there is none */
	if (!e)
		return false;
	struct attach *t = zeroed(sizeof(*t));
	*t = (struct attach){.cloud = s->cloud,
	                     .account = copy(str_from(e->account)),
	                     .region = copy(str_from(e->region)),
	                     .id = copy(str_from(e->id)),
	                     .interface = copy(interface)};
	attach_run(t);
	return true;
}

/* --- life */

struct resolver_state *resolver_index_open(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct resolver_state *s = zeroed(sizeof(*s));
	struct str under = KEY_UNDER(&a, S("route53resolver")), end = store_prefix_end(&a, under), key;
	struct store_value v;
	s->cloud = cloud;
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, end, false);
	while (store_next(iter, &key, &v))
		take(s, key, v.value);
	store_abort(t);
	s->watch = store_watch(cloud->store, under, end, store_revision(cloud->store), changed, s);
	ec2_watch_ports(cloud, port_came, s);
	s->looking = loop_add_clock_timer(cloud->loop, LOOK_US, look_at_doors, s);
	return s;
}

void resolver_index_close(struct resolver_state *s)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!s)
		return;
	ec2_unwatch_ports(s->cloud, port_came, s);
	store_unwatch(s->watch);
	loop_remove_timer(s->cloud->loop, s->counting);
	loop_remove_timer(s->cloud->loop, s->looking);
	while (map_next(&s->rules, &at, &key, &value))
		rule_free(value);
	for (at = 0; map_next(&s->associations, &at, &key, &value);)
		association_free(s, value);
	map_done(&s->doors);
	s->doors = (struct map){0};
	for (at = 0; map_next(&s->endpoints, &at, &key, &value);)
		endpoint_free(s, value);
	map_done(&s->rules);
	map_done(&s->associations);
	map_done(&s->endpoints);
	map_done(&s->vpcs);
	map_done(&s->silent);
	free(s);
}
