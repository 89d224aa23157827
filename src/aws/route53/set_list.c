/* ListResourceRecordSets: by the name backwards, then by type, then by identifier. */
#include "rows.h"

#include "engine/dns/name.h"

enum { PAGE_MAX = 300 };

static int start_key(struct call *c, const struct route53_list_resource_record_sets_request *in, struct str zone, struct str *ret)
{
	uint8_t name[DNS_NAME_MAX];
	const char *why;
	*ret = route53_sets_under(c->arena, zone);
	if (!in->start_record_name.n)
		return !in->start_record_type.n && !in->start_record_identifier.n
		               ? CALL_OK
		               : route53_invalid(
		                         c, "The start record name must be specified when a start record type or identifier is");
	if (!in->start_record_type.n && in->start_record_identifier.n)
		return route53_invalid(c, "The start record type must be specified when a start record identifier is");
	if (!dns_name_parse(in->start_record_name, true, name, &why))
		return route53_invalid(c, "Invalid parameter: FATAL problem: %s encountered with '%.*s'", why,
		                       STR_ARG(in->start_record_name));
	*ret = in->start_record_type.n ? route53_set_key(c->arena, zone, name, in->start_record_type, in->start_record_identifier)
	                               : route53_sets_named(c->arena, zone, name, STR_NONE);
	return CALL_OK;
}

int route53_list_resource_record_sets(struct call *c, const struct route53_list_resource_record_sets_request *in,
                                      struct route53_list_resource_record_sets_response *out)
{
	struct state_route53_zone_record zone;
	struct str from, key;
	uint32_t most;
	struct store_value v;
	if (route53_zone_get(c, in->hosted_zone_id, &zone) != CALL_OK || !route53_page(c, in->max_items, PAGE_MAX, &most) ||
	    start_key(c, in, route53_zone_id(&zone), &from) != CALL_OK)
		return CALL_FAIL;
	out->resource_record_sets.set = true;
	out->is_truncated = OPT_BOOL(false);
	out->max_items = arena_printf(c->arena, "%u", most);
	struct str end = store_prefix_end(c->arena, route53_sets_under(c->arena, route53_zone_id(&zone)));
	struct store_iter *iter = store_scan(call_txn(c), from, end, false);
	while (store_next(iter, &key, &v)) {
		struct route53_resource_record_set set;
		if (!route53_set_read(c->arena, v.value, &set))
			continue;
		if (out->resource_record_sets.n == most) {
			out->is_truncated = OPT_BOOL(true);
			out->next_record_name = set.name;
			out->next_record_type = set.type;
			out->next_record_identifier = set.set_identifier;
			break;
		}
		*LIST_ADD(c->arena, &out->resource_record_sets) = set;
	}
	return CALL_OK;
}
