/* DHCP options: what the network tells instances when they ask for their address. */
#include "aws/ec2/network/vpc.h"

#include "engine/net/network.h"

static const char own_resolver[] = "AmazonProvidedDNS";

static bool is_word(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
			return false;
	return s.n > 0 && s.n < 64;
}

static unsigned node_type(struct str s)
{
	return s.n == 1 && (s.p[0] == '1' || s.p[0] == '2' || s.p[0] == '4' || s.p[0] == '8') ? (unsigned)(s.p[0] - '0') : 0;
}

static int check_servers(struct call *c, const struct ec2_new_dhcp_configuration *in)
{
	bool names = str_is(in->key, "domain-name-servers");
	uint32_t server;
	if (!in->values.n || in->values.n > NETWORK_DHCP_SERVERS)
		return ec2_invalid(c, "The option %.*s has from 1 to %d values.", STR_ARG(in->key), NETWORK_DHCP_SERVERS);
	for (uint32_t i = 0; i < in->values.n; i++) {
		struct str one = in->values.v[i];
		if (names && str_find_char(one, ':') >= 0)
			return ec2_unsupported(c, "A name server's address of IPv6");
		if (!(names && str_is(one, own_resolver)) && (!ec2_address_parse(one, &server) || server >> 24 == 0))
			return ec2_invalid(c, "Value (%.*s) for parameter %.*s is invalid.", STR_ARG(one), STR_ARG(in->key));
	}
	return CALL_OK;
}

static int add_configuration(struct call *c, const struct ec2_new_dhcp_configuration *in, struct ec2_dhcp_options *options)
{
	for (uint32_t i = 0; i < options->dhcp_configurations.n; i++)
		if (str_eq(options->dhcp_configurations.v[i].key, in->key))
			return ec2_invalid(c, "Value (%.*s) for parameter key is invalid. Duplicate option key.", STR_ARG(in->key));
	if (str_is(in->key, "domain-name-servers") || str_is(in->key, "ntp-servers") || str_is(in->key, "netbios-name-servers")) {
		if (check_servers(c, in) != CALL_OK)
			return CALL_FAIL;
	} else if (str_is(in->key, "domain-name")) {
		if (in->values.n != 1 || !is_word(in->values.v[0]))
			return ec2_invalid(c, "Value for parameter domain-name is invalid.");
	} else if (str_is(in->key, "netbios-node-type")) {
		if (in->values.n != 1 || !node_type(in->values.v[0]))
			return ec2_invalid(c, "Value for parameter netbios-node-type is invalid: it has to be 1, 2, 4 or 8.");
	} else if (str_is(in->key, "ipv6-address-preferred-lease-time")) {
		return ec2_unsupported(c, "This DHCP option");
	} else {
		return ec2_invalid(c, "Value (%.*s) for parameter key is invalid. Unknown DHCP option", STR_ARG(in->key));
	}
	struct ec2_dhcp_configuration *made = LIST_ADD(c->arena, &options->dhcp_configurations);
	made->key = in->key;
	for (uint32_t i = 0; i < in->values.n; i++)
		LIST_ADD(c->arena, &made->values)->value = in->values.v[i];
	return CALL_OK;
}

int ec2_create_dhcp_options(struct call *c, const struct ec2_create_dhcp_options_request *in,
                            struct ec2_create_dhcp_options_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_dhcp_options *options = arena_new(c->arena, struct ec2_dhcp_options);
	struct ec2_tag_list tags;
	if (!in->dhcp_configurations.n)
		return ec2_missing(c, "dhcpConfiguration");
	for (uint32_t i = 0; i < in->dhcp_configurations.n; i++)
		if (add_configuration(c, &in->dhcp_configurations.v[i], options) != CALL_OK)
			return CALL_FAIL;
	if (ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_dhcp, &tags) != CALL_OK)
		return CALL_FAIL;
	options->dhcp_options_id = ec2_new_id(c->arena, "dopt");
	options->owner_id = c->account;
	options->tags = tags;
	ec2_put(&s, &ec2_kind_dhcp, options->dhcp_options_id, options);
	out->dhcp_options = options;
	return CALL_OK;
}

int ec2_delete_dhcp_options(struct call *c, const struct ec2_delete_dhcp_options_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_dhcp_options options;
	struct state_vpc_vpc_record vpc;
	if (ec2_get(c, &ec2_kind_dhcp, in->dhcp_options_id, &options) != CALL_OK)
		return CALL_FAIL;
	struct ec2_all all = ec2_all(&s, &ec2_kind_vpc);
	while (ec2_next(&all, &vpc))
		if (str_eq(vpc.vpc->dhcp_options_id, in->dhcp_options_id))
			return ec2_depends(c, "The dhcpOptions '%.*s' has dependencies and cannot be deleted.",
			                   STR_ARG(in->dhcp_options_id));
	ec2_drop(&s, &ec2_kind_dhcp, in->dhcp_options_id);
	return CALL_OK;
}

/* "default" is no options at all: the VPC's instances get no domain name from it, as ours get the region's. */
int ec2_associate_dhcp_options(struct call *c, const struct ec2_associate_dhcp_options_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_dhcp_options options;
	struct state_vpc_vpc_record vpc;
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(in->dhcp_options_id, "default") && ec2_get(c, &ec2_kind_dhcp, in->dhcp_options_id, &options) != CALL_OK)
		return CALL_FAIL;
	vpc.vpc->dhcp_options_id = in->dhcp_options_id;
	ec2_put(&s, &ec2_kind_vpc, in->vpc_id, &vpc);
	return CALL_OK;
}

static void keys(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_dhcp_options *options = record;
	for (uint32_t i = 0; i < options->dhcp_configurations.n; i++)
		*LIST_ADD(c->arena, ret) = options->dhcp_configurations.v[i].key;
}

static void values(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_dhcp_options *options = record;
	for (uint32_t i = 0; i < options->dhcp_configurations.n; i++)
		for (uint32_t k = 0; k < options->dhcp_configurations.v[i].values.n; k++)
			*LIST_ADD(c->arena, ret) = options->dhcp_configurations.v[i].values.v[k].value;
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("dhcp-options-id", ec2_dhcp_options, dhcp_options_id),
        FIELD_ASK("key", keys),
        FIELD_TEXT("owner-id", ec2_dhcp_options, owner_id),
        FIELD_ASK("value", values),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_dhcp_options_result *)out)->dhcp_options) = *(struct ec2_dhcp_options *)record;
}

int ec2_describe_dhcp_options(struct call *c, const struct ec2_describe_dhcp_options_request *in,
                              struct ec2_describe_dhcp_options_result *out)
{
	out->dhcp_options.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_dhcp,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->dhcp_options_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}

static const struct ec2_dhcp_options *options_of(const struct ec2_scope *s, struct str vpc, struct ec2_dhcp_options *room)
{
	struct state_vpc_vpc_record record;
	return ec2_find(s, &ec2_kind_vpc, vpc, &record) && ec2_find(s, &ec2_kind_dhcp, record.vpc->dhcp_options_id, room) ? room
	                                                                                                                  : NULL;
}

struct str ec2_domain_name(const struct ec2_scope *s, struct str vpc)
{
	struct ec2_dhcp_options room;
	const struct ec2_dhcp_options *dhcp = options_of(s, vpc, &room);
	for (uint32_t i = 0; dhcp && i < dhcp->dhcp_configurations.n; i++)
		if (str_is(dhcp->dhcp_configurations.v[i].key, "domain-name") && dhcp->dhcp_configurations.v[i].values.n)
			return dhcp->dhcp_configurations.v[i].values.v[0].value;
	return str_is(s->region, "us-east-1") ? S("ec2.internal") : ARENA_CAT(s->arena, s->region, S(".compute.internal"));
}

struct network_dhcp ec2_dhcp_servers(const struct ec2_scope *s, struct str vpc)
{
	struct ec2_dhcp_options room;
	struct network_dhcp all = {0};
	const struct ec2_dhcp_options *dhcp = options_of(s, vpc, &room);
	for (uint32_t i = 0; dhcp && i < dhcp->dhcp_configurations.n; i++) {
		const struct ec2_dhcp_configuration *o = &dhcp->dhcp_configurations.v[i];
		uint32_t *list = str_is(o->key, "domain-name-servers")    ? all.dns
		                 : str_is(o->key, "ntp-servers")          ? all.ntp
		                 : str_is(o->key, "netbios-name-servers") ? all.netbios
		                                                          : NULL;
		if (str_is(o->key, "netbios-node-type") && o->values.n)
			all.netbios_node = node_type(o->values.v[0].value);
		for (uint32_t k = 0; list && k < o->values.n && k < NETWORK_DHCP_SERVERS; k++)
			if (!ec2_address_parse(o->values.v[k].value, &list[k]))
				list[k] = NETWORK_DHCP_OWN;
	}
	return all;
}
