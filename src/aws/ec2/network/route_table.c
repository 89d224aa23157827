/* Route tables and their associations. Their routes are in route.c. */
#include "aws/ec2/network/ipv6.h"

static struct ec2_route_table_association_state *associated(struct arena *a)
{
	struct ec2_route_table_association_state *state = arena_new(a, struct ec2_route_table_association_state);
	state->state = S("associated");
	return state;
}

static struct ec2_route_table_association *add_association(struct arena *a, struct ec2_route_table *table, struct str subnet,
                                                           bool is_main)
{
	struct ec2_route_table_association *as = LIST_ADD(a, &table->associations);
	*as = (struct ec2_route_table_association){.main = OPT_BOOL(is_main),
	                                           .route_table_association_id = ec2_new_id(a, "rtbassoc"),
	                                           .route_table_id = table->route_table_id,
	                                           .subnet_id = subnet,
	                                           .association_state = associated(a)};
	return as;
}

static void drop_association(struct ec2_route_table *table, uint32_t at)
{
	struct ec2_route_table_association_list *l = &table->associations;
	memmove(&l->v[at], &l->v[at + 1], (l->n - at - 1) * sizeof(*l->v));
	l->n--;
}

static void put(const struct ec2_scope *s, const struct ec2_route_table *table)
{
	ec2_put(s, &ec2_kind_route_table, table->route_table_id, table);
}

static void add_local(struct arena *a, struct ec2_route_table *table, struct str block)
{
	struct ec2_route route = {.gateway_id = S("local"), .origin = S("CreateRouteTable"), .state = S("active")};
	*(ec2_is_ipv6(block) ? &route.destination_ipv6_cidr_block : &route.destination_cidr_block) = block;
	*LIST_ADD(a, &table->routes) = route;
}

void ec2_route_table_make(struct call *c, const struct state_vpc_vpc_record *vpc, bool is_main, struct ec2_tag_list tags,
                          struct ec2_route_table *ret)
{
	struct ec2_scope s = ec2_scope(c);
	*ret = (struct ec2_route_table){
	        .route_table_id = ec2_new_id(c->arena, "rtb"), .vpc_id = vpc->vpc->vpc_id, .owner_id = c->account, .tags = tags};
	ret->propagating_vgws.set = ret->associations.set = true;
	for (uint32_t i = 0; i < vpc->vpc->cidr_block_association_set.n; i++)
		add_local(c->arena, ret, vpc->vpc->cidr_block_association_set.v[i].cidr_block);
	for (uint32_t i = 0; i < vpc->vpc->ipv6_cidr_block_association_set.n; i++)
		add_local(c->arena, ret, vpc->vpc->ipv6_cidr_block_association_set.v[i].ipv6_cidr_block);
	if (is_main)
		add_association(c->arena, ret, STR_NONE, true);
	put(&s, ret);
}

void ec2_route_tables_set_block(struct call *c, struct str vpc, struct str block, bool there)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table table;
	struct ec2_all all = ec2_all(&s, &ec2_kind_route_table);
	while (ec2_next(&all, &table)) {
		if (!str_eq(table.vpc_id, vpc))
			continue;
		struct ec2_route_list left = {.set = true};
		for (uint32_t i = 0; i < table.routes.n; i++)
			if (there || !(str_eq(table.routes.v[i].destination_cidr_block, block) ||
			               str_eq(table.routes.v[i].destination_ipv6_cidr_block, block)))
				*LIST_ADD(c->arena, &left) = table.routes.v[i];
		table.routes = left;
		if (there)
			add_local(c->arena, &table, block);
		put(&s, &table);
	}
}

/* --- associations */

/* The table with the association that fits, and where it is. */
static bool find_association(const struct ec2_scope *s, struct str id, struct str subnet, struct ec2_route_table *ret,
                             uint32_t *ret_at)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_route_table);
	while (ec2_next(&all, ret))
		for (uint32_t i = 0; i < ret->associations.n; i++) {
			const struct ec2_route_table_association *as = &ret->associations.v[i];
			*ret_at = i;
			if (str_set(id) ? str_eq(as->route_table_association_id, id)
			                : str_set(as->subnet_id) && str_eq(as->subnet_id, subnet))
				return true;
		}
	return false;
}

void ec2_route_tables_drop_subnet(const struct ec2_scope *s, struct str subnet)
{
	struct ec2_route_table table;
	uint32_t at;
	if (!find_association(s, STR_NONE, subnet, &table, &at))
		return;
	drop_association(&table, at);
	put(s, &table);
}

int ec2_associate_route_table(struct call *c, const struct ec2_associate_route_table_request *in,
                              struct ec2_associate_route_table_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table table, other;
	struct ec2_subnet subnet;
	uint32_t at;
	if (str_set(in->gateway_id) || str_set(in->public_ipv4_pool))
		return ec2_unsupported(c, "The association of a route table with a gateway");
	if (!str_set(in->subnet_id))
		return ec2_missing(c, "subnetId");
	if (ec2_get(c, &ec2_kind_route_table, in->route_table_id, &table) != CALL_OK ||
	    ec2_get(c, &ec2_kind_subnet, in->subnet_id, &subnet) != CALL_OK)
		return CALL_FAIL;
	if (!str_eq(table.vpc_id, subnet.vpc_id))
		return ec2_invalid(c, "Route table %.*s and subnet %.*s belong to different networks", STR_ARG(in->route_table_id),
		                   STR_ARG(in->subnet_id));
	struct ec2_route_table_association *as;
	if (find_association(&s, STR_NONE, in->subnet_id, &other, &at)) {
		as = &other.associations.v[at];
		if (!str_eq(other.route_table_id, in->route_table_id))
			return call_fail(c, "Resource.AlreadyAssociated", 400,
			                 "the specified association for route table %.*s conflicts with an existing association",
			                 STR_ARG(in->route_table_id));
	} else {
		as = add_association(c->arena, &table, in->subnet_id, false);
		put(&s, &table);
	}
	out->association_id = as->route_table_association_id;
	out->association_state = as->association_state;
	return CALL_OK;
}

static int no_association(struct call *c, struct str id)
{
	return call_fail(c, "InvalidAssociationID.NotFound", 400, "The association ID '%.*s' does not exist", STR_ARG(id));
}

int ec2_disassociate_route_table(struct call *c, const struct ec2_disassociate_route_table_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table table;
	uint32_t at;
	if (!find_association(&s, in->association_id, STR_NONE, &table, &at))
		return no_association(c, in->association_id);
	if (table.associations.v[at].main.v)
		return ec2_invalid(c, "cannot disassociate the main route table association %.*s", STR_ARG(in->association_id));
	drop_association(&table, at);
	put(&s, &table);
	return CALL_OK;
}

int ec2_replace_route_table_association(struct call *c, const struct ec2_replace_route_table_association_request *in,
                                        struct ec2_replace_route_table_association_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table from, to;
	uint32_t at;
	if (ec2_get(c, &ec2_kind_route_table, in->route_table_id, &to) != CALL_OK)
		return CALL_FAIL;
	if (!find_association(&s, in->association_id, STR_NONE, &from, &at))
		return no_association(c, in->association_id);
	if (!str_eq(from.vpc_id, to.vpc_id))
		return ec2_invalid(c, "Route table %.*s and association %.*s belong to different networks",
		                   STR_ARG(in->route_table_id), STR_ARG(in->association_id));
	struct ec2_route_table_association old = from.associations.v[at];
	if (str_eq(from.route_table_id, to.route_table_id)) {
		out->new_association_id = old.route_table_association_id;
		out->association_state = associated(c->arena);
		return CALL_OK;
	}
	drop_association(&from, at);
	put(&s, &from);
	struct ec2_route_table_association *as = add_association(c->arena, &to, old.subnet_id, old.main.v);
	put(&s, &to);
	out->new_association_id = as->route_table_association_id;
	out->association_state = as->association_state;
	return CALL_OK;
}

/* --- the tables themselves */

int ec2_create_route_table(struct call *c, const struct ec2_create_route_table_request *in,
                           struct ec2_create_route_table_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	struct ec2_tag_list tags;
	struct ec2_route_table table;
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_route_table, &tags) != CALL_OK)
		return CALL_FAIL;
	uint32_t n = 0;
	struct ec2_all all = ec2_all(&s, &ec2_kind_route_table);
	while (ec2_next(&all, &table))
		n += str_eq(table.vpc_id, in->vpc_id);
	if (n >= EC2_ROUTE_TABLES_MAX)
		return call_fail(c, "RouteTableLimitExceeded", 400, "The maximum number of route tables has been reached.");
	out->route_table = arena_new(c->arena, struct ec2_route_table);
	ec2_route_table_make(c, &vpc, false, tags, out->route_table);
	out->client_token = in->client_token;
	return CALL_OK;
}

int ec2_delete_route_table(struct call *c, const struct ec2_delete_route_table_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table table;
	if (ec2_get(c, &ec2_kind_route_table, in->route_table_id, &table) != CALL_OK)
		return CALL_FAIL;
	if (table.associations.n)
		return ec2_depends(c, "The routeTable '%.*s' has dependencies and cannot be deleted.", STR_ARG(in->route_table_id));
	ec2_drop(&s, &ec2_kind_route_table, in->route_table_id);
	return CALL_OK;
}

static void mains(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_route_table *table = record;
	for (uint32_t i = 0; i < table->associations.n; i++)
		*LIST_ADD(c->arena, ret) = table->associations.v[i].main.v ? S("true") : S("false");
}

static void states(struct call *c, void *record, struct str_list *ret)
{
	struct ec2_scope s = ec2_scope(c);
	const struct ec2_route_table *table = record;
	for (uint32_t i = 0; i < table->routes.n; i++)
		*LIST_ADD(c->arena, ret) = ec2_route_works(&s, &table->routes.v[i], table->vpc_id) ? S("active") : S("blackhole");
}

/* The instance that has the interface now: no route names one. */
static const struct ec2_network_interface_attachment *attachment_of(const struct ec2_scope *s, const struct ec2_route *r)
{
	struct state_vpc_interface_record eni;
	bool found = str_set(r->network_interface_id) && ec2_find(s, &ec2_kind_interface, r->network_interface_id, &eni);
	return found ? eni.interface->attachment : NULL;
}

static void instances(struct call *c, void *record, struct str_list *ret)
{
	struct ec2_scope s = ec2_scope(c);
	const struct ec2_route_table *table = record;
	for (uint32_t i = 0; i < table->routes.n; i++) {
		const struct ec2_network_interface_attachment *a = attachment_of(&s, &table->routes.v[i]);
		if (a)
			*LIST_ADD(c->arena, ret) = a->instance_id;
	}
}

#define ASSOCIATION(name, member) FIELD_EACH(name, ec2_route_table, associations, ec2_route_table_association, member)
#define ROUTE(name, member) FIELD_EACH(name, ec2_route_table, routes, ec2_route, member)
static const struct ec2_field fields[] = {
        ASSOCIATION("association.route-table-association-id", route_table_association_id),
        ASSOCIATION("association.route-table-id", route_table_id),
        ASSOCIATION("association.subnet-id", subnet_id),
        ASSOCIATION("association.gateway-id", gateway_id),
        FIELD_ASK("association.main", mains),
        FIELD_TEXT("owner-id", ec2_route_table, owner_id),
        FIELD_TEXT("route-table-id", ec2_route_table, route_table_id),
        ROUTE("route.destination-cidr-block", destination_cidr_block),
        ROUTE("route.destination-ipv6-cidr-block", destination_ipv6_cidr_block),
        ROUTE("route.destination-prefix-list-id", destination_prefix_list_id),
        ROUTE("route.egress-only-internet-gateway-id", egress_only_internet_gateway_id),
        ROUTE("route.gateway-id", gateway_id),
        FIELD_ASK("route.instance-id", instances),
        ROUTE("route.nat-gateway-id", nat_gateway_id),
        ROUTE("route.origin", origin),
        FIELD_ASK("route.state", states),
        ROUTE("route.transit-gateway-id", transit_gateway_id),
        ROUTE("route.vpc-peering-connection-id", vpc_peering_connection_id),
        FIELD_TEXT("vpc-id", ec2_route_table, vpc_id),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table *table = record;
	for (uint32_t i = 0; i < table->routes.n; i++) {
		struct ec2_route *r = &table->routes.v[i];
		const struct ec2_network_interface_attachment *a = attachment_of(&s, r);
		r->state = ec2_route_works(&s, r, table->vpc_id) ? S("active") : S("blackhole");
		if (a) {
			r->instance_id = a->instance_id;
			r->instance_owner_id = a->instance_owner_id;
		}
	}
	*LIST_ADD(c->arena, &((struct ec2_describe_route_tables_result *)out)->route_tables) = *table;
}

int ec2_describe_route_tables(struct call *c, const struct ec2_describe_route_tables_request *in,
                              struct ec2_describe_route_tables_result *out)
{
	out->route_tables.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_route_table,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->route_table_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show,
	                                       .max = 100},
	                    out, &out->next_token);
}
