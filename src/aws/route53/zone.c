/* CreateHostedZone, GetHostedZone, DeleteHostedZone, UpdateHostedZoneComment, GetHostedZoneCount. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "base/rand.h"
#include "core/meter.h"
#include "engine/dns/name.h"

enum { SERVERS = 4, SERVERS_OF_A_KIND = 512, STRIPES = 64, NS_TTL_S = 172800, SOA_TTL_S = 900 };

static const struct record_type name_row = {&state_route53_api, "NameRecord"};

static struct str reference_key(struct call *c, struct str reference)
{
	return KEY(c->arena, S("route53"), S("reference"), c->account, reference);
}

/* Four names in four domains, as AWS's are; private zones all have the same ones. */
struct route53_delegation_set *route53_make_servers(struct call *c, bool private)
{
	static const char *const domains[SERVERS] = {"com", "net", "org", "co.uk"};
	struct route53_delegation_set *d = arena_new(c->arena, struct route53_delegation_set);
	d->name_servers.set = true;
	for (unsigned i = 0; i < SERVERS; i++) {
		unsigned number = i * SERVERS_OF_A_KIND + (private ? 0 : (unsigned)rand_below(SERVERS_OF_A_KIND));
		unsigned stripe = private ? 0 : (unsigned)rand_below(STRIPES);
		*LIST_ADD(c->arena, &d->name_servers) = arena_printf(c->arena, "ns-%u.awsdns-%02u.%s", number, stripe, domains[i]);
	}
	return d;
}

static void put_apex(struct call *c, struct str zone, const uint8_t *name, const char *type, int64_t ttl,
                     const struct str_list *values)
{
	struct route53_resource_record_set set = {
	        .name = dns_name_text(c->arena, name), .type = str_from(type), .ttl = OPT_INT(ttl)};
	for (uint32_t i = 0; i < values->n; i++)
		LIST_ADD(c->arena, &set.resource_records)->value = values->v[i];
	set.resource_records.set = true;
	route53_set_put(c, route53_set_key(c->arena, zone, name, set.type, STR_NONE), &set);
}

static void put_first_sets(struct call *c, struct str zone, const uint8_t *name, const struct route53_delegation_set *d)
{
	struct str_list servers = {.set = true}, authority = {.set = true};
	for (uint32_t i = 0; i < d->name_servers.n; i++)
		*LIST_ADD(c->arena, &servers) = ARENA_CAT(c->arena, d->name_servers.v[i], S("."));
	*LIST_ADD(c->arena, &authority) =
	        ARENA_CAT(c->arena, servers.v[0], S(" awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"));
	put_apex(c, zone, name, "NS", NS_TTL_S, &servers);
	put_apex(c, zone, name, "SOA", SOA_TTL_S, &authority);
}

/* A zone costs from its making to its end. */
static void meter_zone(struct call *c, struct str id, bool there)
{
	const struct meter_use use = {.usage = S("HostedZone"), .rate = 1};
	meter_set(call_txn(c), c->arena, c->account, S(ROUTE53_REGION), id, &use, there ? 1 : 0, c->now_ms);
}

static int check_new(struct call *c, const struct route53_create_hosted_zone_request *in, struct str name)
{
	struct state_route53_name_record taken;
	bool private = in->hosted_zone_config && in->hosted_zone_config->private_zone.v;
	if (private && !in->vpc)
		return route53_invalid(c, "When you're creating a private hosted zone, VPCId and VPCRegion must be specified");
	if (record_get(call_txn(c), c->arena, reference_key(c, in->caller_reference), &name_row, &taken))
		return call_fail(c, "HostedZoneAlreadyExists", 409,
		                 "A hosted zone has already been created with the specified caller reference.");
	if (str_set(in->delegation_set_id) && private)
		return route53_invalid(c, "A private hosted zone cannot have a reusable delegation set");
	if (in->vpc && route53_vpc_check(c, in->vpc, name, STR_NONE) != CALL_OK)
		return CALL_FAIL;
	if (route53_zone_count(c) >= ROUTE53_ZONES_MAX)
		return call_fail(c, "TooManyHostedZones", 400,
		                 "Limits Exceeded: MAX_HOSTED_ZONES_BY_OWNER - Cannot create more hosted zones.");
	return CALL_OK;
}

int route53_create_hosted_zone(struct call *c, const struct route53_create_hosted_zone_request *in,
                               struct route53_create_hosted_zone_response *out)
{
	uint8_t name[DNS_NAME_MAX];
	const char *why;
	size_t n = dns_name_parse(in->name, true, name, &why);
	if (n <= 1)
		return call_fail(c, "InvalidDomainName", 400, "%.*s is not a valid domain name", STR_ARG(in->name));
	struct str text = dns_name_text(c->arena, name), id = route53_make_id(c, "Z");
	if (check_new(c, in, text) != CALL_OK)
		return CALL_FAIL;
	struct route53_delegation_set *servers = route53_make_servers(c, in->vpc);
	if (str_set(in->delegation_set_id) && (route53_delegation_get(c, in->delegation_set_id, servers) != CALL_OK ||
	                                       route53_delegation_room(c, servers->id) != CALL_OK))
		return CALL_FAIL;
	struct route53_hosted_zone *zone = arena_new(c->arena, struct route53_hosted_zone);
	struct state_route53_zone_record r = {
	        .zone = zone, .delegation_set = servers, .vpcs = {.set = true}, .created = OPT_TIME(c->now_ms)};
	zone->config = arena_new(c->arena, struct route53_hosted_zone_config);
	*zone = (struct route53_hosted_zone){.id = ARENA_CAT(c->arena, S("/hostedzone/"), id),
	                                     .name = text,
	                                     .caller_reference = in->caller_reference,
	                                     .config = zone->config,
	                                     .resource_record_set_count = OPT_INT(2)};
	if (in->hosted_zone_config && in->hosted_zone_config->comment.n)
		zone->config->comment = in->hosted_zone_config->comment;
	zone->config->private_zone = OPT_BOOL(in->vpc != NULL);
	if (in->vpc)
		*LIST_ADD(c->arena, &r.vpcs) = *in->vpc;
	route53_zone_put(c, &r);
	record_put(call_txn(c), c->arena, reference_key(c, in->caller_reference), &name_row,
	           &(struct state_route53_name_record){id});
	put_first_sets(c, id, name, r.delegation_set);
	meter_zone(c, id, true);
	out->hosted_zone = zone;
	out->change_info = route53_changed(c, STR_NONE);
	if (in->vpc)
		out->vpc = in->vpc;
	else
		out->delegation_set = r.delegation_set;
	out->location = ARENA_CAT(c->arena, S("https://route53.amazonaws.com/2013-04-01/hostedzone/"), id);
	return CALL_OK;
}

int route53_get_hosted_zone(struct call *c, const struct route53_get_hosted_zone_request *in,
                            struct route53_get_hosted_zone_response *out)
{
	struct state_route53_zone_record r;
	if (route53_zone_get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	out->hosted_zone = r.zone;
	if (r.zone->config->private_zone.v)
		out->vpcs = r.vpcs;
	else
		out->delegation_set = r.delegation_set;
	return CALL_OK;
}

int route53_get_hosted_zone_count(struct call *c, const struct route53_get_hosted_zone_count_request *in,
                                  struct route53_get_hosted_zone_count_response *out)
{
	(void)in;
	out->hosted_zone_count = OPT_INT(route53_zone_count(c));
	return CALL_OK;
}

int route53_update_hosted_zone_comment(struct call *c, const struct route53_update_hosted_zone_comment_request *in,
                                       struct route53_update_hosted_zone_comment_response *out)
{
	struct state_route53_zone_record r;
	if (route53_zone_get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	r.zone->config->comment = in->comment.n ? in->comment : STR_NONE;
	route53_zone_put(c, &r);
	out->hosted_zone = r.zone;
	return CALL_OK;
}

int route53_delete_hosted_zone(struct call *c, const struct route53_delete_hosted_zone_request *in,
                               struct route53_delete_hosted_zone_response *out)
{
	struct state_route53_zone_record r;
	struct str key;
	struct store_value v;
	if (route53_zone_get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	if (r.zone->resource_record_set_count.v > 2)
		return call_fail(c, "HostedZoneNotEmpty", 400,
		                 "The specified hosted zone contains non-required resource record sets  and so cannot be deleted.");
	struct str under = route53_sets_under(c->arena, route53_zone_id(&r));
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct str_list gone = {0};
	while (store_next(iter, &key, &v))
		*LIST_ADD(c->arena, &gone) = arena_dup(c->arena, key);
	for (uint32_t i = 0; i < gone.n; i++)
		store_delete(call_txn(c), gone.v[i]);
	store_delete(call_txn(c), reference_key(c, r.zone->caller_reference));
	route53_zone_remove(c, &r);
	route53_logging_drop(c, route53_zone_id(&r));
	meter_zone(c, route53_zone_id(&r), false);
	out->change_info = route53_changed(c, STR_NONE);
	return CALL_OK;
}
