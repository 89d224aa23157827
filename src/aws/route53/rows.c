#include "rows.h"

#include "base/hash.h"
#include "base/id.h"
#include "engine/dns/name.h"

enum { ID_CHARACTERS = 13, IDENTIFIER_BYTES_MAX = 100, IDENTIFIER_HEAD = 60 };

static const struct record_type zone_row = {&state_route53_api, "ZoneRecord"}, set_row = {&state_route53_api, "SetRecord"};

struct route53_state *route53_state(const struct cloud *cloud)
{
	return cloud_state(cloud, &route53_service);
}

int route53_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidInput", 400, "%.*s", STR_ARG(text));
}

struct str route53_id(struct str text)
{
	ptrdiff_t slash = str_rfind_char(text, '/');
	return slash < 0 ? text : str_from_at(text, (size_t)slash + 1);
}

struct str route53_make_id(struct call *c, const char *prefix)
{
	return id_base32(c->arena, str_from(prefix), ID_CHARACTERS);
}

bool route53_page(struct call *c, struct str max_items, uint32_t most, uint32_t *ret)
{
	int64_t n = most;
	if (max_items.n && (!str_to_i64(max_items, &n) || n < 1)) {
		route53_invalid(c, "Invalid value for MaxItems: '%.*s' must be an integer of at least 1", STR_ARG(max_items));
		return false;
	}
	*ret = n < most ? (uint32_t)n : most;
	return true;
}

struct str route53_normal_name(struct arena *a, struct str name)
{
	uint8_t wire[DNS_NAME_MAX];
	const char *why;
	if (!dns_name_parse(name, true, wire, &why))
		return name;
	struct str text = dns_name_text(a, wire);
	text.n -= text.n > 1;
	return text;
}

/* --- zones */

static struct str zone_key(struct call *c, struct str id)
{
	return KEY(c->arena, S("route53"), S("zone"), c->account, id);
}

struct str route53_zones_under(struct call *c)
{
	return KEY_UNDER(c->arena, S("route53"), S("zone"), c->account);
}

struct str route53_zone_id(const struct state_route53_zone_record *r)
{
	return route53_id(r->zone->id);
}

bool route53_zone_read(struct arena *a, struct str value, struct state_route53_zone_record *ret)
{
	return record_read(a, value, &zone_row, ret);
}

bool route53_zone_find(struct call *c, struct str id, struct state_route53_zone_record *ret)
{
	id = route53_id(id);
	return id.n && id.n <= 32 && record_get(call_txn(c), c->arena, zone_key(c, id), &zone_row, ret);
}

int route53_zone_get(struct call *c, struct str id, struct state_route53_zone_record *ret)
{
	if (route53_zone_find(c, id, ret))
		return CALL_OK;
	id = route53_id(id);
	return call_fail(c, "NoSuchHostedZone", 404, "No hosted zone found with ID: %.*s", STR_ARG(id));
}

void route53_zone_put(struct call *c, const struct state_route53_zone_record *r)
{
	record_put(call_txn(c), c->arena, zone_key(c, route53_zone_id(r)), &zone_row, r);
}

void route53_zone_remove(struct call *c, const struct state_route53_zone_record *r)
{
	store_delete(call_txn(c), zone_key(c, route53_zone_id(r)));
}

int64_t route53_zone_count(struct call *c)
{
	struct str under = route53_zones_under(c), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	int64_t n = 0;
	while (store_next(iter, &key, &v))
		n++;
	return n;
}

/* --- record sets */

struct str route53_identifier_part(struct arena *a, struct str identifier)
{
	if (!str_set(identifier))
		return S("");
	if (identifier.n <= IDENTIFIER_BYTES_MAX)
		return identifier;
	return ARENA_CAT(a, str_sub(identifier, 0, IDENTIFIER_HEAD), str_sub(hash_hex(a, HASH_SHA256, identifier), 0, 32));
}

struct str route53_set_key(struct arena *a, struct str zone, const uint8_t *name, struct str type, struct str identifier)
{
	return KEY(a, S("route53"), S("set"), zone, dns_name_reversed(a, name), type, route53_identifier_part(a, identifier));
}

struct str route53_sets_under(struct arena *a, struct str zone)
{
	return KEY_UNDER(a, S("route53"), S("set"), zone);
}

struct str route53_sets_named(struct arena *a, struct str zone, const uint8_t *name, struct str type)
{
	struct str reversed = dns_name_reversed(a, name);
	return str_set(type) ? KEY_UNDER(a, S("route53"), S("set"), zone, reversed, type)
	                     : KEY_UNDER(a, S("route53"), S("set"), zone, reversed);
}

bool route53_set_read(struct arena *a, struct str value, struct route53_resource_record_set *ret)
{
	struct state_route53_set_record r;
	if (!record_read(a, value, &set_row, &r))
		return false;
	*ret = *r.set;
	return true;
}

bool route53_set_get(struct call *c, struct str key, struct route53_resource_record_set *ret)
{
	struct state_route53_set_record r;
	if (!record_get(call_txn(c), c->arena, key, &set_row, &r))
		return false;
	*ret = *r.set;
	return true;
}

void route53_set_put(struct call *c, struct str key, const struct route53_resource_record_set *set)
{
	struct route53_resource_record_set *copy = arena_new(c->arena, struct route53_resource_record_set);
	*copy = *set;
	record_put(call_txn(c), c->arena, key, &set_row, &(struct state_route53_set_record){.set = copy});
}
