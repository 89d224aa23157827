/* Reusable delegation sets: CreateReusableDelegationSet, GetReusableDelegationSet, ListReusableDelegationSets,
 * DeleteReusableDelegationSet, GetReusableDelegationSetLimit. A zone that is made with one has its four name servers and, in its
 * own record, its id. GetDNSSEC: no zone is signed here. */
#include "rows.h"

enum { PAGE_MAX = 100, ZONES_MAX = 100 };

static const struct record_type row = {&state_route53_api, "DelegationRecord"};

static struct str under_all(struct call *c)
{
	return KEY_UNDER(c->arena, S("route53"), S("delegation"), c->account);
}

static struct str key_of(struct call *c, struct str id)
{
	return KEY(c->arena, S("route53"), S("delegation"), c->account, id);
}

int route53_delegation_get(struct call *c, struct str id, struct route53_delegation_set *ret)
{
	struct state_route53_delegation_record r;
	id = route53_id(id);
	if (!id.n || id.n > 32 || !record_get(call_txn(c), c->arena, key_of(c, id), &row, &r))
		return call_fail(c, "NoSuchDelegationSet", 400, "No delegation set found with ID: %.*s", STR_ARG(id));
	*ret = *r.set;
	return CALL_OK;
}

/* How many zones have a set. */
static uint32_t zones_of(struct call *c, struct str id)
{
	struct str under = route53_zones_under(c), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	uint32_t n = 0;
	while (store_next(iter, &key, &v)) {
		struct state_route53_zone_record zone;
		n += route53_zone_read(c->arena, v.value, &zone) && str_eq(zone.delegation_set->id, id);
	}
	return n;
}

int route53_delegation_room(struct call *c, struct str id)
{
	if (zones_of(c, id) < ZONES_MAX)
		return CALL_OK;
	return call_fail(c, "LimitsExceeded", 400, "Limits Exceeded: MAX_ZONES_BY_REUSABLE_DELEGATION_SET");
}

struct sets {
	struct route53_delegation_set *v;
	uint32_t n;
	bool set;
};

static struct sets all_sets(struct call *c)
{
	struct sets all = {0};
	struct str under = under_all(c), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_route53_delegation_record r;
		if (record_read(c->arena, v.value, &row, &r))
			*LIST_ADD(c->arena, &all) = *r.set;
	}
	return all;
}

int64_t route53_delegation_count(struct call *c)
{
	return all_sets(c).n;
}

int route53_create_reusable_delegation_set(struct call *c, const struct route53_create_reusable_delegation_set_request *in,
                                           struct route53_create_reusable_delegation_set_response *out)
{
	struct sets all = all_sets(c);
	struct state_route53_zone_record zone;
	for (uint32_t i = 0; i < all.n; i++)
		if (str_eq(all.v[i].caller_reference, in->caller_reference))
			return call_fail(
			        c, "DelegationSetAlreadyCreated", 400,
			        "A delegation set with the same owner and caller reference combination has already been created.");
	if (all.n >= ROUTE53_DELEGATIONS_MAX)
		return call_fail(c, "LimitsExceeded", 400, "Limits Exceeded: MAX_REUSABLE_DELEGATION_SETS_BY_OWNER");
	struct route53_delegation_set *made = route53_make_servers(c, false);
	if (str_set(in->hosted_zone_id)) {
		if (!route53_zone_find(c, in->hosted_zone_id, &zone))
			return call_fail(c, "HostedZoneNotFound", 400, "The specified HostedZone can't be found.");
		if (zone.zone->config->private_zone.v)
			return route53_invalid(c, "A private hosted zone has no delegation set that could be reused");
		if (str_set(zone.delegation_set->id))
			return call_fail(c, "DelegationSetAlreadyReusable", 400,
			                 "The specified delegation set has already been marked as reusable.");
		made->name_servers = zone.delegation_set->name_servers;
	}
	struct str id = route53_make_id(c, "N");
	made->id = ARENA_CAT(c->arena, S("/delegationset/"), id);
	made->caller_reference = in->caller_reference;
	record_put(call_txn(c), c->arena, key_of(c, id), &row, &(struct state_route53_delegation_record){made});
	if (str_set(in->hosted_zone_id)) {
		zone.delegation_set->id = made->id;
		zone.delegation_set->caller_reference = made->caller_reference;
		route53_zone_put(c, &zone);
	}
	out->delegation_set = made;
	out->location = ARENA_CAT(c->arena, S("https://route53.amazonaws.com/2013-04-01/delegationset/"), id);
	return CALL_OK;
}

int route53_get_reusable_delegation_set(struct call *c, const struct route53_get_reusable_delegation_set_request *in,
                                        struct route53_get_reusable_delegation_set_response *out)
{
	out->delegation_set = arena_new(c->arena, struct route53_delegation_set);
	return route53_delegation_get(c, in->id, out->delegation_set);
}

int route53_delete_reusable_delegation_set(struct call *c, const struct route53_delete_reusable_delegation_set_request *in,
                                           struct route53_delete_reusable_delegation_set_response *out)
{
	struct route53_delegation_set set;
	(void)out;
	if (route53_delegation_get(c, in->id, &set) != CALL_OK)
		return CALL_FAIL;
	if (zones_of(c, set.id))
		return call_fail(
		        c, "DelegationSetInUse", 400,
		        "The specified delegation contains associated hosted zones which must be deleted before the reusable "
		        "delegation set can be deleted.");
	store_delete(call_txn(c), key_of(c, route53_id(set.id)));
	return CALL_OK;
}

int route53_list_reusable_delegation_sets(struct call *c, const struct route53_list_reusable_delegation_sets_request *in,
                                          struct route53_list_reusable_delegation_sets_response *out)
{
	uint32_t most;
	struct sets all = all_sets(c);
	struct str from = route53_id(in->marker);
	if (!route53_page(c, in->max_items, PAGE_MAX, &most))
		return CALL_FAIL;
	out->delegation_sets.set = true;
	out->is_truncated = OPT_BOOL(false);
	out->max_items = arena_printf(c->arena, "%u", most);
	out->marker = in->marker.n ? in->marker : S("");
	for (uint32_t i = 0; i < all.n; i++) {
		if (from.n && str_cmp(route53_id(all.v[i].id), from) < 0)
			continue;
		if (out->delegation_sets.n == most) {
			out->is_truncated = OPT_BOOL(true);
			out->next_marker = route53_id(all.v[i].id);
			break;
		}
		*LIST_ADD(c->arena, &out->delegation_sets) = all.v[i];
	}
	return CALL_OK;
}

int route53_get_reusable_delegation_set_limit(struct call *c, const struct route53_get_reusable_delegation_set_limit_request *in,
                                              struct route53_get_reusable_delegation_set_limit_response *out)
{
	struct route53_delegation_set set;
	if (route53_delegation_get(c, in->delegation_set_id, &set) != CALL_OK)
		return CALL_FAIL;
	out->limit = arena_new(c->arena, struct route53_reusable_delegation_set_limit);
	*out->limit = (struct route53_reusable_delegation_set_limit){in->type, OPT_INT(ZONES_MAX)};
	out->count = OPT_INT(zones_of(c, set.id));
	return CALL_OK;
}

int route53_get_dnssec(struct call *c, const struct route53_get_dnssec_request *in, struct route53_get_dnssec_response *out)
{
	struct state_route53_zone_record zone;
	if (route53_zone_get(c, in->hosted_zone_id, &zone) != CALL_OK)
		return CALL_FAIL;
	out->status = arena_new(c->arena, struct route53_dnssec_status);
	out->status->serve_signature = S("NOT_SIGNING");
	out->key_signing_keys.set = true;
	return CALL_OK;
}
