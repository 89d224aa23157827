/* NAT gateways. One is pending until the network has its interface in place; then the record says available. A deleted one stays
 * listed for an hour. */
#include "aws/ec2/desk.h"
#include "aws/ec2/network/nat_usage.h"
#include "aws/ec2/network/vpc.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { LISTED_MS = 3600 * 1000 };

/* An address of the account that is nobody's yet. */
static int free_address(struct call *c, struct str allocation, struct ec2_address *ret)
{
	if (!str_set(allocation))
		return ec2_missing(c, "AllocationId");
	if (ec2_get(c, &ec2_kind_address, allocation, ret) != CALL_OK)
		return CALL_FAIL;
	if (str_set(ret->association_id))
		return call_fail(c, "Resource.AlreadyAssociated", 400, "Elastic IP address [%.*s] is already associated",
		                 STR_ARG(allocation));
	return CALL_OK;
}

static bool live(const struct ec2_nat_gateway *nat)
{
	return str_is(nat->state, "pending") || str_is(nat->state, "available");
}

static uint32_t live_in_zone(struct call *c, struct str zone)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_nat_gateway nat;
	struct ec2_subnet subnet;
	uint32_t n = 0;
	struct ec2_all all = ec2_all(&s, &ec2_kind_nat);
	while (ec2_next(&all, &nat))
		n += live(&nat) && ec2_find(&s, &ec2_kind_subnet, nat.subnet_id, &subnet) && str_eq(subnet.availability_zone, zone);
	return n;
}

int ec2_create_nat_gateway(struct call *c, const struct ec2_create_nat_gateway_request *in,
                           struct ec2_create_nat_gateway_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	struct ec2_address address;
	struct ec2_tag_list tags;
	struct state_vpc_interface_record record;
	if (str_is(in->connectivity_type, "private"))
		return ec2_unsupported(c, "A private NAT gateway");
	if (str_set(in->availability_mode) && !str_is(in->availability_mode, "zonal"))
		return ec2_unsupported(c, "A regional NAT gateway");
	if (in->secondary_allocation_ids.n || in->secondary_private_ip_addresses.n || in->secondary_private_ip_address_count.v ||
	    in->availability_zone_addresses.n)
		return ec2_unsupported(c, "A secondary address of a NAT gateway");
	if (!str_set(in->subnet_id))
		return ec2_missing(c, "SubnetId");
	if (ec2_get(c, &ec2_kind_subnet, in->subnet_id, &subnet) != CALL_OK ||
	    free_address(c, in->allocation_id, &address) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_nat, &tags) != CALL_OK)
		return CALL_FAIL;
	if (live_in_zone(c, subnet.availability_zone) >= EC2_NATS_MAX)
		return call_fail(c, "NatGatewayLimitExceeded", 400, "The maximum number of NAT gateways has been reached.");
	if (!ec2_vpc_has_gateway(c, subnet.vpc_id))
		return call_fail(c, "Gateway.NotAttached", 400, "Network %.*s has no Internet gateway attached",
		                 STR_ARG(subnet.vpc_id));
	struct ec2_nat_gateway *nat = out->nat_gateway = arena_new(c->arena, struct ec2_nat_gateway);
	nat->nat_gateway_id = ec2_new_id(c->arena, "nat");
	if (ec2_interface_create(c,
	                         &(struct ec2_interface_new){
	                                 .subnet = in->subnet_id,
	                                 .address = in->private_ip_address,
	                                 .description = ARENA_CAT(c->arena, S("Interface for NAT Gateway "), nat->nat_gateway_id),
	                                 .type = S("nat_gateway"),
	                                 .requester = c->account},
	                         &record) != CALL_OK)
		return CALL_FAIL;
	record.up = OPT_BOOL(true);
	record.interface->status = S("in-use");
	ec2_address_bind(c, &address, &record, 0);
	nat->state = S("pending");
	nat->create_time = OPT_TIME(c->now_ms);
	nat->subnet_id = subnet.subnet_id;
	nat->vpc_id = subnet.vpc_id;
	nat->connectivity_type = S("public");
	nat->tags = tags;
	*LIST_ADD(c->arena, &nat->nat_gateway_addresses) =
	        (struct ec2_nat_gateway_address){.allocation_id = address.allocation_id,
	                                         .association_id = address.association_id,
	                                         .network_interface_id = record.interface->network_interface_id,
	                                         .private_ip = record.interface->private_ip_address,
	                                         .public_ip = address.public_ip,
	                                         .is_primary = OPT_BOOL(true),
	                                         .status = S("associating")};
	ec2_put(&s, &ec2_kind_nat, nat->nat_gateway_id, nat);
	out->client_token = in->client_token;
	return CALL_OK;
}

int ec2_delete_nat_gateway(struct call *c, const struct ec2_delete_nat_gateway_request *in,
                           struct ec2_delete_nat_gateway_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_nat_gateway nat;
	struct state_vpc_interface_record record;
	if (ec2_get(c, &ec2_kind_nat, in->nat_gateway_id, &nat) != CALL_OK)
		return CALL_FAIL;
	out->nat_gateway_id = in->nat_gateway_id;
	if (str_is(nat.state, "deleted"))
		return CALL_OK;
	if (ec2_find(&s, &ec2_kind_interface, nat.nat_gateway_addresses.v[0].network_interface_id, &record))
		ec2_interface_remove(&s, &record);
	nat.state = S("deleted");
	nat.delete_time = OPT_TIME(c->now_ms);
	nat.nat_gateway_addresses.v[0].status = STR_NONE;
	ec2_put(&s, &ec2_kind_nat, in->nat_gateway_id, &nat);
	return CALL_OK;
}

/* --- pending -> available */

struct ready {
	struct ec2_state *state;
	struct arena arena;
	char *interface;
};

static void try_ready(struct ready *r);

static void ready_done(void *ctx, int result, uint64_t revision)
{
	struct ready *r = ctx;
	(void)revision;
	if (result == -EAGAIN) {
		arena_reset(&r->arena);
		try_ready(r);
		return;
	}
	if (result < 0)
		log_warn("the NAT gateway of %s cannot be made available: %s", r->interface, strerror(-result));
	arena_done(&r->arena);
	free(r->interface);
	free(r);
}

/* The interface's description does not name its gateway safely, the gateway names its interface: all gateways are asked. */
static void try_ready(struct ready *r)
{
	struct arena *a = &r->arena;
	struct store_txn *t = store_begin(r->state->cloud->store, a);
	struct str under = KEY_UNDER(a, S("ec2")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	struct str_list found = {0};
	while (store_next(i, &key, &v))
		if (str_find(key, S("\0nat\0")) >= 0)
			*LIST_ADD(a, &found) = arena_dup(a, key);
	for (uint32_t k = 0; k < found.n; k++) {
		struct ec2_nat_gateway nat;
		if (!record_get(t, a, found.v[k], &ec2_kind_nat.row, &nat) || str_is(nat.state, "deleted") ||
		    !nat.nat_gateway_addresses.n || !str_is(nat.nat_gateway_addresses.v[0].network_interface_id, r->interface))
			continue;
		bool pending = str_is(nat.state, "pending");
		struct str_list parts = record_key_parts(a, found.v[k]);
		struct ec2_scope s = {.txn = t, .arena = a, .account = parts.v[1], .region = parts.v[2]};
		if (r->state->desk)
			nat_usage_note(r->state->desk, &s, &nat, pending);
		if (!pending)
			continue;
		nat.state = S("available");
		nat.nat_gateway_addresses.v[0].status = S("succeeded");
		ec2_put(&s, &ec2_kind_nat, nat.nat_gateway_id, &nat);
	}
	store_commit(t, ready_done, r);
}

void ec2_nat_in_place(struct ec2_state *s, const char *interface)
{
	struct ready *r = calloc(1, sizeof(*r));
	if (!r || !(r->interface = strdup(interface)))
		die("out of memory (ec2)");
	r->state = s;
	arena_init(&r->arena, 0);
	try_ready(r);
}

/* --- lists */

static bool forgotten(struct call *c, void *record)
{
	const struct ec2_nat_gateway *nat = record;
	return str_is(nat->state, "deleted") && c->now_ms - nat->delete_time.ms > LISTED_MS;
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("nat-gateway-id", ec2_nat_gateway, nat_gateway_id),
        FIELD_TEXT("state", ec2_nat_gateway, state),
        FIELD_TEXT("subnet-id", ec2_nat_gateway, subnet_id),
        FIELD_TEXT("vpc-id", ec2_nat_gateway, vpc_id),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_nat_gateways_result *)out)->nat_gateways) = *(struct ec2_nat_gateway *)record;
}

int ec2_describe_nat_gateways(struct call *c, const struct ec2_describe_nat_gateways_request *in,
                              struct ec2_describe_nat_gateways_result *out)
{
	out->nat_gateways.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_nat,
	                                       .fields = fields,
	                                       .filters = &in->filter,
	                                       .ids = &in->nat_gateway_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show,
	                                       .hidden = forgotten},
	                    out, &out->next_token);
}
