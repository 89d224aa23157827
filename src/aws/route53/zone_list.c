/* ListHostedZones, ListHostedZonesByName, ListHostedZonesByVPC. */
#include "rows.h"

#include "engine/dns/name.h"

enum { PAGE_MAX = 100 };

struct zones {
	struct state_route53_zone_record *v;
	uint32_t n;
	bool set;
};

static struct zones all_zones(struct call *c)
{
	struct zones all = {0};
	struct str under = route53_zones_under(c), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_route53_zone_record r;
		if (route53_zone_read(c->arena, v.value, &r))
			*LIST_ADD(c->arena, &all) = r;
	}
	return all;
}

int route53_list_hosted_zones(struct call *c, const struct route53_list_hosted_zones_request *in,
                              struct route53_list_hosted_zones_response *out)
{
	uint32_t most;
	struct zones all = all_zones(c);
	struct str from = route53_id(in->marker);
	bool seen = !from.n;
	if (!route53_page(c, in->max_items, PAGE_MAX, &most))
		return CALL_FAIL;
	struct route53_delegation_set servers = {0};
	if (in->delegation_set_id.n && route53_delegation_get(c, in->delegation_set_id, &servers) != CALL_OK)
		return CALL_FAIL;
	out->hosted_zones.set = true;
	out->is_truncated = OPT_BOOL(false);
	out->max_items = arena_printf(c->arena, "%u", most);
	out->marker = in->marker.n ? in->marker : S("");
	for (uint32_t i = 0; i < all.n; i++) {
		struct str id = route53_zone_id(&all.v[i]);
		seen = seen || str_eq(id, from);
		if (!seen || (str_is(in->hosted_zone_type, "PrivateHostedZone") && !all.v[i].zone->config->private_zone.v) ||
		    (in->delegation_set_id.n && !str_eq(all.v[i].delegation_set->id, servers.id)))
			continue;
		if (out->hosted_zones.n == most) {
			out->is_truncated = OPT_BOOL(true);
			out->next_marker = id;
			break;
		}
		*LIST_ADD(c->arena, &out->hosted_zones) = *all.v[i].zone;
	}
	if (!seen)
		return call_fail(c, "NoSuchHostedZone", 404, "No hosted zone found with ID: %.*s", STR_ARG(from));
	return CALL_OK;
}

/* Names backwards decide, then ids. */
static int order(struct arena *a, const struct state_route53_zone_record *x, struct str reversed, struct str id)
{
	uint8_t name[DNS_NAME_MAX];
	const char *why;
	dns_name_parse(x->zone->name, true, name, &why);
	int by_name = str_cmp(dns_name_reversed(a, name), reversed);
	return by_name ? by_name : str_cmp(route53_zone_id(x), id);
}

static struct str reversed_of(struct arena *a, struct str name)
{
	uint8_t wire[DNS_NAME_MAX];
	const char *why;
	return dns_name_parse(name, true, wire, &why) ? dns_name_reversed(a, wire) : S("");
}

int route53_list_hosted_zones_by_name(struct call *c, const struct route53_list_hosted_zones_by_name_request *in,
                                      struct route53_list_hosted_zones_by_name_response *out)
{
	uint32_t most;
	uint8_t wire[DNS_NAME_MAX];
	const char *why;
	struct zones all = all_zones(c), sorted = {0};
	if (!route53_page(c, in->max_items, PAGE_MAX, &most))
		return CALL_FAIL;
	if (in->hosted_zone_id.n && !in->dns_name.n)
		return route53_invalid(c, "If a hosted zone ID is specified, a DNS name must be specified as well");
	if (in->dns_name.n && !dns_name_parse(in->dns_name, true, wire, &why))
		return call_fail(c, "InvalidDomainName", 400, "%.*s is not a valid domain name", STR_ARG(in->dns_name));
	struct str from = in->dns_name.n ? dns_name_reversed(c->arena, wire) : S(""), from_id = route53_id(in->hosted_zone_id);
	for (uint32_t i = 0; i < all.n; i++) {
		struct str reversed = reversed_of(c->arena, all.v[i].zone->name), id = route53_zone_id(&all.v[i]);
		uint32_t at = sorted.n;
		LIST_ADD(c->arena, &sorted);
		for (; at && order(c->arena, &sorted.v[at - 1], reversed, id) > 0; at--)
			sorted.v[at] = sorted.v[at - 1];
		sorted.v[at] = all.v[i];
	}
	out->hosted_zones.set = true;
	out->is_truncated = OPT_BOOL(false);
	out->max_items = arena_printf(c->arena, "%u", most);
	out->dns_name = in->dns_name.n ? in->dns_name : STR_NONE;
	out->hosted_zone_id = in->hosted_zone_id.n ? in->hosted_zone_id : STR_NONE;
	for (uint32_t i = 0; i < sorted.n; i++) {
		if (order(c->arena, &sorted.v[i], from, from_id) < 0)
			continue;
		if (out->hosted_zones.n == most) {
			out->is_truncated = OPT_BOOL(true);
			out->next_dns_name = sorted.v[i].zone->name;
			out->next_hosted_zone_id = route53_zone_id(&sorted.v[i]);
			break;
		}
		*LIST_ADD(c->arena, &out->hosted_zones) = *sorted.v[i].zone;
	}
	return CALL_OK;
}

int route53_list_hosted_zones_by_vpc(struct call *c, const struct route53_list_hosted_zones_by_vpc_request *in,
                                     struct route53_list_hosted_zones_by_vpc_response *out)
{
	uint32_t most;
	struct zones all = all_zones(c);
	bool seen = !in->next_token.n;
	if (!route53_page(c, in->max_items, PAGE_MAX, &most))
		return CALL_FAIL;
	out->hosted_zone_summaries.set = true;
	out->max_items = arena_printf(c->arena, "%u", most);
	for (uint32_t i = 0; i < all.n; i++) {
		struct str id = route53_zone_id(&all.v[i]);
		seen = seen || str_eq(id, in->next_token);
		if (!seen || !route53_vpc_in(&all.v[i].vpcs, in->vpc_id, in->vpc_region))
			continue;
		if (out->hosted_zone_summaries.n == most) {
			out->next_token = id;
			break;
		}
		struct route53_hosted_zone_owner *owner = arena_new(c->arena, struct route53_hosted_zone_owner);
		owner->owning_account = c->account;
		*LIST_ADD(c->arena, &out->hosted_zone_summaries) =
		        (struct route53_hosted_zone_summary){id, all.v[i].zone->name, owner};
	}
	return seen ? CALL_OK : call_fail(c, "InvalidPaginationToken", 400, "The value of NextToken is not valid");
}
