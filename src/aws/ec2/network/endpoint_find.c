#include "aws/ec2/network/endpoint.h"

#include "aws/ec2/instance/instances.h"
#include "aws/ec2/network/block.h"
#include "aws/ec2/network/sync.h"
#include "core/listen.h"

#include <stdlib.h>

struct door {
	struct ec2_doors *doors;
	struct listener *listener;
	struct arena arena;
	struct str key;
	const char *vpc;
	struct str account, region; /* of the VPC; absent: not looked for yet */
};
struct ec2_doors {
	struct desk *desk;
	struct map doors; /* VPC, and "/tls" behind it */
};

bool ec2_endpoint_of(const struct ec2_scope *s, struct str interface, struct ec2_vpc_endpoint *ret)
{
	struct state_vpc_interface_record eni;
	struct ec2_subnet subnet;
	struct ec2_route_table table;
	if (!ec2_find(s, &ec2_kind_interface, interface, &eni) ||
	    !ec2_find(s, &ec2_kind_subnet, eni.interface->subnet_id, &subnet) || !ec2_sync_table_of(s, &subnet, &table))
		return false;
	for (uint32_t i = 0; i < table.routes.n; i++)
		if (str_starts(table.routes.v[i].gateway_id, S("vpce-")) &&
		    ec2_find(s, &ec2_kind_endpoint, table.routes.v[i].gateway_id, ret))
			return true;
	return false;
}

/* The key of a record says whose it is; a VPC's never changes. */
static bool find_owner(struct door *door)
{
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(door->doors->desk->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("ec2")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (!str_set(door->account) && store_next(i, &key, &v)) {
		struct str_list parts = {0};
		if (str_find(key, str_from(door->vpc)) >= 0)
			parts = record_key_parts(&a, key);
		if (parts.n != 5 || !str_is(parts.v[3], ec2_kind_vpc.prefix) || !str_is(parts.v[4], door->vpc))
			continue;
		door->account = arena_dup(&door->arena, parts.v[1]);
		door->region = arena_dup(&door->arena, parts.v[2]);
	}
	store_abort(t);
	return str_set(door->account);
}

/* Whose interface has this address, and where that one's routes lead: as the records say now, whatever held when the connection was
 * made. */
static bool find(void *ctx, struct arena *a, uint32_t peer, struct call_endpoint *ret)
{
	struct door *door = ctx;
	struct desk *d = door->doors->desk;
	const char *port = network_port_at(d->ec2->networks, door->vpc, peer);
	struct ec2_vpc_endpoint e;
	if (!port || (!str_set(door->account) && !find_owner(door)))
		return false;
	struct ec2_scope s = {.txn = store_begin(d->cloud->store, a), .arena = a, .account = door->account, .region = door->region};
	bool there = ec2_endpoint_of(&s, str_from(port), &e);
	store_abort(s.txn);
	if (there)
		*ret = (struct call_endpoint){.id = e.vpc_endpoint_id,
		                              .vpc = e.vpc_id,
		                              .source = ec2_address_text(a, peer),
		                              .policy = e.policy_document,
		                              .api = "s3"};
	return there;
}

struct ec2_doors *ec2_doors_new(struct desk *desk)
{
	struct ec2_doors *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->desk = desk;
	return d;
}

static void door_free(struct door *door)
{
	if (!door)
		return;
	listener_close(door->listener);
	arena_done(&door->arena);
	free(door);
}

static struct str key_of(struct arena *a, struct str vpc, bool tls)
{
	return ARENA_CAT(a, vpc, tls ? S("/tls") : S(""));
}

void ec2_doors_close(struct ec2_doors *d, struct str vpc)
{
	struct arena CLEAN_ARENA a = {0};
	door_free(map_remove(&d->doors, key_of(&a, vpc, false)));
	door_free(map_remove(&d->doors, key_of(&a, vpc, true)));
}

void ec2_doors_open(struct ec2_doors *d, const char *vpc, bool tls, int fd)
{
	struct door *door = calloc(1, sizeof(*door));
	if (!door)
		abort();
	door->doors = d;
	door->vpc = arena_dupz(&door->arena, str_from(vpc));
	door->key = key_of(&door->arena, str_from(vpc), tls);
	door_free(map_remove(&d->doors, door->key));
	door->listener = listener_open_endpoint(d->desk->cloud, fd, tls, find, door);
	if (door->listener)
		map_put(&d->doors, door->key, door);
	else
		door_free(door);
}

void ec2_doors_free(struct ec2_doors *d)
{
	struct str key;
	void *value;
	if (!d)
		return;
	for (size_t at = 0; map_next(&d->doors, &at, &key, &value);)
		door_free(value);
	map_done(&d->doors);
	free(d);
}
