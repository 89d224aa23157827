/* ChangeResourceRecordSets and GetChange. A batch is done whole or not at all; each change is held against what those before it
 * have left, and all that is wrong is said at once. */
#include "rows.h"

#include "engine/dns/name.h"
#include "engine/dns/rdata.h"

enum { BATCH_RECORDS_MAX = 1000, BATCH_CHARACTERS_MAX = 32000, CHANGE_LIFE_MS = 30 * 24 * 3600 * 1000LL, HOUR_MS = 3600 * 1000 };

static const struct record_type change_row = {&state_route53_api, "ChangeRecord"};

static struct str change_key(struct call *c, struct str id)
{
	return KEY(c->arena, S("route53"), S("change"), c->account, id);
}

/* One lease serves the changes of an hour. */
static int64_t change_lease(struct call *c)
{
	struct route53_state *s = route53_state(c->cloud);
	if (!s->lease || c->now_ms >= s->lease_until_ms) {
		s->lease = store_lease_grant(c->cloud->store, CHANGE_LIFE_MS + HOUR_MS);
		s->lease_until_ms = c->now_ms + HOUR_MS;
	}
	return s->lease;
}

struct route53_change_info *route53_changed(struct call *c, struct str comment)
{
	struct route53_change_info *info = arena_new(c->arena, struct route53_change_info);
	struct str id = route53_make_id(c, "C");
	*info = (struct route53_change_info){.id = ARENA_CAT(c->arena, S("/change/"), id),
	                                     .status = S("PENDING"),
	                                     .submitted_at = OPT_TIME(c->now_ms),
	                                     .comment = comment.n ? comment : STR_NONE};
	struct state_route53_change_record r = {.info = info};
	store_put_leased(call_txn(c), change_key(c, id), record_write(c->arena, &change_row, &r), change_lease(c));
	return info;
}

/* In sync once the responders' index has come as far as the transaction of the change. */
int route53_get_change(struct call *c, const struct route53_get_change_request *in, struct route53_get_change_response *out)
{
	struct state_route53_change_record r;
	struct str id = route53_id(in->id);
	uint64_t revision;
	if (!id.n || id.n > 32 || !record_get_rev(call_txn(c), c->arena, change_key(c, id), &change_row, &r, &revision))
		return call_fail(c, "NoSuchChange", 404, "Could not find resource with ID: %.*s", STR_ARG(id));
	if (route53_state(c->cloud)->applied >= revision)
		r.info->status = S("INSYNC");
	out->change_info = r.info;
	return CALL_OK;
}

/* --- one change */

struct changing {
	struct call *call;
	struct route53_checking checking;
	const struct route53_change *change;
	const struct route53_resource_record_set *set;
	uint8_t name[DNS_NAME_MAX];
	struct str text, key, what; /* what: how messages name the set */
};

static bool same_values(const struct route53_resource_record_set *a, const struct route53_resource_record_set *b)
{
	if (a->resource_records.n != b->resource_records.n)
		return false;
	for (uint32_t i = 0; i < a->resource_records.n; i++) {
		bool found = false;
		for (uint32_t k = 0; k < b->resource_records.n; k++)
			found = found || str_eq(a->resource_records.v[i].value, b->resource_records.v[k].value);
		if (!found)
			return false;
	}
	return true;
}

static struct str target_text(struct call *c, const struct route53_alias_target *t)
{
	uint8_t name[DNS_NAME_MAX];
	const char *why;
	return dns_name_parse(t->dns_name, true, name, &why) ? dns_name_text(c->arena, name) : t->dns_name;
}

static bool same_place(const struct route53_geo_location *a, const struct route53_geo_location *b)
{
	return (!a && !b) || (a && b && str_eq(a->continent_code, b->continent_code) && str_eq(a->country_code, b->country_code) &&
	                      str_eq(a->subdivision_code, b->subdivision_code));
}

static bool same_degrees(const struct route53_geo_proximity_location *a, const struct route53_geo_proximity_location *b)
{
	if (!a || !b)
		return !a && !b;
	if (!str_eq(a->aws_region, b->aws_region) || a->bias.v != b->bias.v || !a->coordinates != !b->coordinates)
		return false;
	return !a->coordinates || (str_eq(a->coordinates->latitude, b->coordinates->latitude) &&
	                           str_eq(a->coordinates->longitude, b->coordinates->longitude));
}

static bool same_blocks(const struct route53_cidr_routing_config *a, const struct route53_cidr_routing_config *b)
{
	return (!a && !b) || (a && b && str_eq(a->collection_id, b->collection_id) && str_eq(a->location_name, b->location_name));
}

/* What is deleted has to be said as it is. */
static bool same(struct call *c, const struct route53_resource_record_set *a, const struct route53_resource_record_set *b)
{
	const struct route53_alias_target *x = a->alias_target, *y = b->alias_target;
	if (!x != !y ||
	    (x && (!str_eq(route53_id(x->hosted_zone_id), route53_id(y->hosted_zone_id)) ||
	           !str_eq(target_text(c, x), target_text(c, y)) || x->evaluate_target_health.v != y->evaluate_target_health.v)))
		return false;
	return a->ttl.set == b->ttl.set && a->ttl.v == b->ttl.v && same_values(a, b) && a->weight.set == b->weight.set &&
	       a->weight.v == b->weight.v && str_eq(a->region, b->region) && str_eq(a->failover, b->failover) &&
	       a->multi_value_answer.v == b->multi_value_answer.v && str_eq(a->health_check_id, b->health_check_id) &&
	       same_place(a->geo_location, b->geo_location) && same_degrees(a->geo_proximity_location, b->geo_proximity_location) &&
	       same_blocks(a->cidr_routing_config, b->cidr_routing_config);
}

static void remove_set(struct changing *g)
{
	struct call *c = g->call;
	struct route53_resource_record_set old;
	if (!route53_set_get(c, g->key, &old)) {
		route53_wrong(c, &g->checking, "Tried to delete resource record set [%.*s] but it was not found", STR_ARG(g->what));
		return;
	}
	if (!same(c, &old, g->set)) {
		route53_wrong(c, &g->checking,
		              "Tried to delete resource record set [%.*s] but the values provided do not match the current values",
		              STR_ARG(g->what));
		return;
	}
	bool apex = str_eq(g->text, g->checking.zone->zone->name);
	if (apex && str_is(g->set->type, "SOA"))
		route53_wrong(c, &g->checking, "A HostedZone must contain exactly one SOA record.");
	else if (apex && str_is(g->set->type, "NS"))
		route53_wrong(c, &g->checking, "A HostedZone must contain at least one NS record for the zone itself.");
	store_delete(call_txn(c), g->key);
	g->checking.zone->zone->resource_record_set_count.v--;
}

/* The set as it is kept: its names as AWS gives them back, its ids without what may stand before them. */
static struct route53_resource_record_set kept(struct changing *g)
{
	struct route53_resource_record_set set = *g->set;
	set.name = g->text;
	if (set.alias_target) {
		struct route53_alias_target *t = arena_new(g->call->arena, struct route53_alias_target);
		*t = *set.alias_target;
		t->hosted_zone_id = route53_id(t->hosted_zone_id);
		t->dns_name = target_text(g->call, t);
		set.alias_target = t;
	}
	return set;
}

static void put_set(struct changing *g, bool replace)
{
	struct call *c = g->call;
	struct route53_resource_record_set old, set = kept(g);
	bool there = route53_set_get(c, g->key, &old);
	if (there && !replace) {
		route53_wrong(c, &g->checking, "Tried to create resource record set [%.*s] but it already exists",
		              STR_ARG(g->what));
		return;
	}
	uint32_t wrong = g->checking.wrong.n;
	route53_set_check_values(c, &g->checking, &set, g->name);
	if (g->checking.wrong.n > wrong)
		return;
	route53_set_put(c, g->key, &set);
	g->checking.zone->zone->resource_record_set_count.v += !there;
}

static int one_change(struct changing *g)
{
	struct call *c = g->call;
	const char *why;
	g->set = g->change->resource_record_set;
	if (!dns_name_parse(g->set->name, true, g->name, &why)) {
		route53_wrong(c, &g->checking, "FATAL problem: %s encountered with '%.*s'", why, STR_ARG(g->set->name));
		return CALL_OK;
	}
	g->text = dns_name_text(c->arena, g->name);
	g->what = str_set(g->set->set_identifier)
	                  ? arena_printf(c->arena, "name='%.*s', type='%.*s', set-identifier='%.*s'", STR_ARG(g->text),
	                                 STR_ARG(g->set->type), STR_ARG(g->set->set_identifier))
	                  : arena_printf(c->arena, "name='%.*s', type='%.*s'", STR_ARG(g->text), STR_ARG(g->set->type));
	if (route53_set_check_form(c, g->change) != CALL_OK)
		return CALL_FAIL;
	if (!dns_name_within(g->name, g->checking.apex)) {
		route53_wrong(c, &g->checking, "RRSet with DNS name %.*s is not permitted in zone %.*s", STR_ARG(g->text),
		              STR_ARG(g->checking.zone->zone->name));
		return CALL_OK;
	}
	g->key = route53_set_key(c->arena, route53_zone_id(g->checking.zone), g->name, g->set->type, g->set->set_identifier);
	struct state_route53_check_record check;
	bool removes = str_is(g->change->action, "DELETE");
	if (!removes && str_set(g->set->health_check_id) && route53_check_get(c, g->set->health_check_id, &check) != CALL_OK)
		return CALL_FAIL;
	if (removes)
		remove_set(g);
	else
		put_set(g, str_is(g->change->action, "UPSERT"));
	return CALL_OK;
}

/* --- the batch */

static int check_size(struct call *c, const struct route53_changes *changes)
{
	uint64_t records = 0, characters = 0;
	for (uint32_t i = 0; i < changes->n; i++) {
		const struct route53_resource_records *r = &changes->v[i].resource_record_set->resource_records;
		unsigned times = str_is(changes->v[i].action, "UPSERT") ? 2 : 1;
		records += (uint64_t)r->n * times;
		for (uint32_t k = 0; k < r->n; k++)
			characters += r->v[k].value.n * times;
	}
	if (records > BATCH_RECORDS_MAX)
		return call_fail(c, "InvalidChangeBatch", 400, "[Number of records limit of %d exceeded.]", BATCH_RECORDS_MAX);
	if (characters > BATCH_CHARACTERS_MAX)
		return call_fail(c, "InvalidChangeBatch", 400, "[Number of characters limit of %d exceeded.]",
		                 BATCH_CHARACTERS_MAX);
	return CALL_OK;
}

/* A set may be deleted and made again, and nothing else twice. */
static void check_twice(struct changing *g, const struct route53_changes *changes)
{
	struct call *c = g->call;
	for (uint32_t i = 0; i < changes->n; i++)
		for (uint32_t k = 0; k < i; k++) {
			const struct route53_resource_record_set *a = changes->v[i].resource_record_set,
			                                         *b = changes->v[k].resource_record_set;
			if (!str_eq(a->type, b->type) || !str_eq(a->set_identifier, b->set_identifier) ||
			    str_is(changes->v[i].action, "DELETE") != str_is(changes->v[k].action, "DELETE"))
				continue;
			uint8_t x[DNS_NAME_MAX], y[DNS_NAME_MAX];
			const char *why;
			size_t n = dns_name_parse(a->name, true, x, &why), m = dns_name_parse(b->name, true, y, &why);
			if (n && str_eq(str_of(x, n), str_of(y, m)))
				route53_wrong(
				        c, &g->checking,
				        "The request contains an invalid set of changes for a resource record set '%.*s %.*s'",
				        STR_ARG(a->type), STR_ARG(dns_name_text(c->arena, x)));
		}
}

static int refuse(struct call *c, const struct str_list *wrong)
{
	struct str text = wrong->v[0];
	for (uint32_t i = 1; i < wrong->n; i++)
		text = ARENA_CAT(c->arena, text, S(", "), wrong->v[i]);
	return call_fail(c, "InvalidChangeBatch", 400, "[%.*s]", STR_ARG(text));
}

int route53_change_resource_record_sets(struct call *c, const struct route53_change_resource_record_sets_request *in,
                                        struct route53_change_resource_record_sets_response *out)
{
	struct state_route53_zone_record zone;
	uint8_t apex[DNS_NAME_MAX];
	const char *why;
	const struct route53_changes *changes = &in->change_batch->changes;
	struct changing g = {.call = c, .checking = {.zone = &zone, .apex = apex}};
	if (route53_zone_get(c, in->hosted_zone_id, &zone) != CALL_OK || check_size(c, changes) != CALL_OK)
		return CALL_FAIL;
	dns_name_parse(zone.zone->name, true, apex, &why);
	check_twice(&g, changes);
	for (uint32_t i = 0; i < changes->n; i++) {
		g.change = &changes->v[i];
		if (one_change(&g) != CALL_OK)
			return CALL_FAIL;
	}
	if (g.checking.wrong.n)
		return refuse(c, &g.checking.wrong);
	if (zone.zone->resource_record_set_count.v > ROUTE53_SETS_MAX)
		return call_fail(c, "InvalidChangeBatch", 400,
		                 "[Limits Exceeded: MAX_RRSETS_BY_ZONE - Cannot create more resource record sets.]");
	route53_zone_put(c, &zone);
	out->change_info = route53_changed(c, in->change_batch->comment);
	return CALL_OK;
}
