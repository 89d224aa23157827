/* Collections of CIDR blocks: CreateCidrCollection, ChangeCidrCollection, DeleteCidrCollection, ListCidrCollections,
 * ListCidrLocations, ListCidrBlocks. One record has a collection with all its blocks; its version counts changes. */
#include "rows.h"

#include "base/id.h"
#include "engine/dns/blocks.h"

#include <string.h>

enum {
	COLLECTIONS_MAX = 5,
	BLOCKS_MAX = 1000,
	LOCATIONS_MAX = 100,
	PAGE_MAX = 100,
	LENGTH4_MAX = 24,
	LENGTH6_MAX = 48,
	MAPPED = 96
};

static const struct record_type row = {&state_route53_api, "CidrRecord"};

static struct str under_all(struct call *c)
{
	return KEY_UNDER(c->arena, S("route53"), S("cidr"), c->account);
}

static struct str key_of(struct call *c, struct str id)
{
	return KEY(c->arena, S("route53"), S("cidr"), c->account, id);
}

bool route53_cidr_read(struct arena *a, struct str value, struct state_route53_cidr_record *ret)
{
	return record_read(a, value, &row, ret);
}

static int get(struct call *c, struct str id, struct state_route53_cidr_record *ret)
{
	return record_get(call_txn(c), c->arena, key_of(c, id), &row, ret)
	               ? CALL_OK
	               : call_fail(c, "NoSuchCidrCollectionException", 404, "The CIDR collection you specified, doesn't exist.");
}

static void put(struct call *c, const struct state_route53_cidr_record *r)
{
	record_put(call_txn(c), c->arena, key_of(c, r->collection->id), &row, r);
}

static bool has_location(const struct state_route53_cidr_record *r, struct str location)
{
	for (uint32_t i = 0; i < r->blocks.n; i++)
		if (str_eq(r->blocks.v[i].location_name, location))
			return true;
	return false;
}

bool route53_cidr_there(struct call *c, const struct route53_cidr_routing_config *config)
{
	struct state_route53_cidr_record r;
	return record_get(call_txn(c), c->arena, key_of(c, config->collection_id), &row, &r) &&
	       (str_is(config->location_name, "*") || has_location(&r, config->location_name));
}

/* Does a record set go by this collection, and (where one is given) by this location of it? */
static bool is_used(struct call *c, struct str collection, struct str location)
{
	struct str under = route53_zones_under(c), key, set_key;
	struct store_iter *zones = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v, set_value;
	while (store_next(zones, &key, &v)) {
		struct state_route53_zone_record zone;
		if (!route53_zone_read(c->arena, v.value, &zone))
			continue;
		struct str of_zone = route53_sets_under(c->arena, route53_zone_id(&zone));
		struct store_iter *sets = store_scan(call_txn(c), of_zone, store_prefix_end(c->arena, of_zone), false);
		while (store_next(sets, &set_key, &set_value)) {
			struct route53_resource_record_set set;
			if (route53_set_read(c->arena, set_value.value, &set) && set.cidr_routing_config &&
			    str_eq(set.cidr_routing_config->collection_id, collection) &&
			    (!str_set(location) || str_eq(set.cidr_routing_config->location_name, location)))
				return true;
		}
	}
	return false;
}

/* --- making and removing */

int route53_create_cidr_collection(struct call *c, const struct route53_create_cidr_collection_request *in,
                                   struct route53_create_cidr_collection_response *out)
{
	struct str under = under_all(c), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	unsigned count = 0;
	struct state_route53_cidr_record r;
	struct route53_cidr_collection *made = arena_new(c->arena, struct route53_cidr_collection);
	for (; store_next(iter, &key, &v); count++) {
		if (!route53_cidr_read(c->arena, v.value, &r) || !str_eq(r.collection->name, in->name))
			continue;
		return call_fail(
		        c, "CidrCollectionAlreadyExistsException", 400,
		        "A CIDR collection with this name and a different caller reference already exists in this account.");
	}
	if (count >= COLLECTIONS_MAX)
		return call_fail(c, "LimitsExceeded", 400, "Limits Exceeded: an account has at most %d CIDR collections.",
		                 COLLECTIONS_MAX);
	made->id = id_uuid(c->arena);
	made->arn = ARENA_CAT(c->arena, S("arn:aws:route53:::cidrcollection/"), made->id);
	made->name = in->name;
	made->version = OPT_INT(1);
	put(c, &(struct state_route53_cidr_record){.collection = made, .reference = in->caller_reference, .blocks = {.set = true}});
	out->collection = made;
	out->location = ARENA_CAT(c->arena, S("https://route53.amazonaws.com/2013-04-01/cidrcollection/"), made->id);
	return CALL_OK;
}

int route53_delete_cidr_collection(struct call *c, const struct route53_delete_cidr_collection_request *in,
                                   struct route53_delete_cidr_collection_response *out)
{
	struct state_route53_cidr_record r;
	(void)out;
	if (get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	if (r.blocks.n || is_used(c, in->id, STR_NONE))
		return call_fail(c, "CidrCollectionInUseException", 400, "This CIDR collection is in use, and isn't empty.");
	store_delete(call_txn(c), key_of(c, in->id));
	return CALL_OK;
}

/* --- changes */

static int parse(struct call *c, struct str text, struct dns_block *ret)
{
	if (!dns_block_parse(text, ret))
		return route53_invalid(c, "The CIDR block %.*s is not valid.", STR_ARG(text));
	bool is_6 = str_find_char(text, ':') >= 0;
	unsigned bits = is_6 ? ret->bits : ret->bits - MAPPED, most = is_6 ? LENGTH6_MAX : LENGTH4_MAX;
	if (!bits || bits > most)
		return route53_invalid(c, "The CIDR block %.*s is not valid: its length must be between /1 and /%u.", STR_ARG(text),
		                       most);
	return CALL_OK;
}

/* The block of these bits in the collection, however it is written; as many as there are: it is not there. */
static uint32_t find(const struct state_route53_cidr_record *r, const struct dns_block *b)
{
	struct dns_block other;
	uint32_t i = 0;
	while (i < r->blocks.n && (!dns_block_parse(r->blocks.v[i].cidr_block, &other) || other.bits != b->bits ||
	                           memcmp(other.base, b->base, sizeof(b->base)) != 0))
		i++;
	return i;
}

static int one_block(struct call *c, struct state_route53_cidr_record *r, struct str location, struct str text, bool add)
{
	struct dns_block b;
	if (parse(c, text, &b) != CALL_OK)
		return CALL_FAIL;
	uint32_t at = find(r, &b);
	bool there = at < r->blocks.n, here = there && str_eq(r->blocks.v[at].location_name, location);
	if (add && there && !here)
		return call_fail(c, "CidrBlockInUseException", 400, "This CIDR block is already in use.");
	if (add && !there)
		*LIST_ADD(c->arena, &r->blocks) = (struct route53_cidr_block_summary){text, location};
	if (!add && here)
		r->blocks.v[at] = r->blocks.v[--r->blocks.n];
	return CALL_OK;
}

static unsigned count_locations(const struct state_route53_cidr_record *r)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < r->blocks.n; i++) {
		uint32_t k = 0;
		while (!str_eq(r->blocks.v[k].location_name, r->blocks.v[i].location_name))
			k++;
		n += k == i;
	}
	return n;
}

int route53_change_cidr_collection(struct call *c, const struct route53_change_cidr_collection_request *in,
                                   struct route53_change_cidr_collection_response *out)
{
	struct state_route53_cidr_record r;
	if (get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	if (in->collection_version.set && in->collection_version.v != r.collection->version.v)
		return call_fail(c, "CidrCollectionVersionMismatchException", 409,
		                 "The CIDR collection version you provided, doesn't match the one in the CIDR collection.");
	for (uint32_t i = 0; i < in->changes.n; i++) {
		const struct route53_cidr_collection_change *change = &in->changes.v[i];
		for (uint32_t k = 0; k < change->cidr_list.n; k++)
			if (one_block(c, &r, change->location_name, change->cidr_list.v[k], str_is(change->action, "PUT")) !=
			    CALL_OK)
				return CALL_FAIL;
		if (r.blocks.n > BLOCKS_MAX)
			return call_fail(c, "LimitsExceeded", 400, "Limits Exceeded: a CIDR collection has at most %d CIDR blocks.",
			                 BLOCKS_MAX);
	}
	for (uint32_t i = 0; i < in->changes.n; i++)
		if (!has_location(&r, in->changes.v[i].location_name) && is_used(c, in->id, in->changes.v[i].location_name))
			return call_fail(c, "CidrBlockInUseException", 400, "The location %.*s is used by a resource record set.",
			                 STR_ARG(in->changes.v[i].location_name));
	if (count_locations(&r) > LOCATIONS_MAX)
		return call_fail(c, "LimitsExceeded", 400, "Limits Exceeded: a CIDR collection has at most %d locations.",
		                 LOCATIONS_MAX);
	r.collection->version.v++;
	put(c, &r);
	out->id = route53_id(route53_changed(c, STR_NONE)->id);
	return CALL_OK;
}

/* --- lists */

int route53_list_cidr_collections(struct call *c, const struct route53_list_cidr_collections_request *in,
                                  struct route53_list_cidr_collections_response *out)
{
	struct str under = under_all(c), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	uint32_t most;
	if (!route53_page(c, in->max_results, PAGE_MAX, &most))
		return CALL_FAIL;
	out->cidr_collections.set = true;
	while (store_next(iter, &key, &v)) {
		struct state_route53_cidr_record r;
		if (!route53_cidr_read(c->arena, v.value, &r) ||
		    (in->next_token.n && str_cmp(r.collection->id, in->next_token) < 0))
			continue;
		if (out->cidr_collections.n == most) {
			out->next_token = r.collection->id;
			break;
		}
		*LIST_ADD(c->arena, &out->cidr_collections) = (struct route53_collection_summary){
		        r.collection->arn, r.collection->id, r.collection->name, r.collection->version};
	}
	return CALL_OK;
}

/* A page begins at a position in the collection of one version: with another one the list may be another, too. */
static int read_position(struct call *c, const struct state_route53_cidr_record *r, struct str token, uint32_t *ret)
{
	struct str rest = token, version = str_cut(&rest, '-');
	uint64_t wanted, at;
	*ret = 0;
	if (!token.n)
		return CALL_OK;
	if (!str_to_u64(version, &wanted) || !str_to_u64(rest, &at) || wanted != (uint64_t)r->collection->version.v ||
	    at > r->blocks.n)
		return route53_invalid(c, "The value of NextToken is not valid");
	*ret = (uint32_t)at;
	return CALL_OK;
}

static struct str position(struct call *c, const struct state_route53_cidr_record *r, uint32_t at)
{
	return arena_printf(c->arena, "%lld-%u", (long long)r->collection->version.v, at);
}

int route53_list_cidr_locations(struct call *c, const struct route53_list_cidr_locations_request *in,
                                struct route53_list_cidr_locations_response *out)
{
	struct state_route53_cidr_record r;
	uint32_t most, from;
	if (get(c, in->collection_id, &r) != CALL_OK || !route53_page(c, in->max_results, PAGE_MAX, &most) ||
	    read_position(c, &r, in->next_token, &from) != CALL_OK)
		return CALL_FAIL;
	out->cidr_locations.set = true;
	for (uint32_t i = from; i < r.blocks.n; i++) {
		uint32_t k = 0;
		while (!str_eq(r.blocks.v[k].location_name, r.blocks.v[i].location_name))
			k++;
		if (k < i)
			continue;
		if (out->cidr_locations.n == most) {
			out->next_token = position(c, &r, i);
			break;
		}
		LIST_ADD(c->arena, &out->cidr_locations)->location_name = r.blocks.v[i].location_name;
	}
	return CALL_OK;
}

int route53_list_cidr_blocks(struct call *c, const struct route53_list_cidr_blocks_request *in,
                             struct route53_list_cidr_blocks_response *out)
{
	struct state_route53_cidr_record r;
	uint32_t most, from;
	if (get(c, in->collection_id, &r) != CALL_OK || !route53_page(c, in->max_results, PAGE_MAX, &most) ||
	    read_position(c, &r, in->next_token, &from) != CALL_OK)
		return CALL_FAIL;
	if (in->location_name.n && !has_location(&r, in->location_name))
		return call_fail(c, "NoSuchCidrLocationException", 404,
		                 "The CIDR collection location doesn't match any locations in your account.");
	out->cidr_blocks.set = true;
	for (uint32_t i = from; i < r.blocks.n; i++) {
		if (in->location_name.n && !str_eq(r.blocks.v[i].location_name, in->location_name))
			continue;
		if (out->cidr_blocks.n == most) {
			out->next_token = position(c, &r, i);
			break;
		}
		*LIST_ADD(c->arena, &out->cidr_blocks) = r.blocks.v[i];
	}
	return CALL_OK;
}
