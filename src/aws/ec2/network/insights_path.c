/* Network insights paths: what is asked. insights.c answers. */
#include "aws/ec2/network/block6.h"
#include "aws/ec2/network/vpc.h"

enum { PATHS_MAX = 100 };

/* An end that is no address: there, and of a kind that can be asked about. */
static int check_end(struct call *c, struct str id, bool *ret_internet)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record eni;
	struct ec2_internet_gateway gateway;
	struct ec2_interfaces of = {0};
	if (str_starts(id, S("eni-")))
		return ec2_get(c, &ec2_kind_interface, id, &eni);
	if (str_starts(id, S("igw-"))) {
		*ret_internet = true;
		return ec2_get(c, &ec2_kind_gateway, id, &gateway);
	}
	if (!str_starts(id, S("i-")))
		return ec2_unsupported(c, "A path from or to a resource of this kind");
	if (!ec2_id_well_formed(id, "i"))
		return call_fail(c, "InvalidInstanceID.Malformed", 400, "Invalid id: \"%.*s\"", STR_ARG(id));
	ec2_interfaces_of(&s, id, &of);
	if (!of.n)
		return call_fail(c, "InvalidInstanceID.NotFound", 400, "The instance ID '%.*s' does not exist", STR_ARG(id));
	return CALL_OK;
}

static struct str arn(struct call *c, struct str id)
{
	const struct ec2_kind *kind = ec2_kind_of_id(id);
	return kind ? ec2_arn(c, kind, id) : STR_NONE;
}

static int check_address(struct call *c, struct str address, const char *name)
{
	struct network_ip parsed;
	if (!str_set(address) || ec2_ip_parse(address, &parsed))
		return CALL_OK;
	return ec2_invalid(c, "Value (%.*s) for parameter %s is invalid. Invalid IP address.", STR_ARG(address), name);
}

static uint32_t count(const struct ec2_scope *s)
{
	struct ec2_network_insights_path path;
	struct ec2_all all = ec2_all(s, &ec2_kind_path);
	uint32_t n = 0;
	while (ec2_next(&all, &path))
		n++;
	return n;
}

int ec2_create_network_insights_path(struct call *c, const struct ec2_create_network_insights_path_request *in,
                                     struct ec2_create_network_insights_path_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_tag_list tags;
	bool from_internet = false, to_internet = false;
	if (in->filter_at_source || in->filter_at_destination)
		return ec2_unsupported(c, "A filter of packets");
	if (!str_set(in->source))
		return ec2_missing(c, "Source");
	if (!str_set(in->destination) && !str_set(in->destination_ip))
		return ec2_missing(c, "Destination");
	if (!str_is(in->protocol, "tcp") && !str_is(in->protocol, "udp"))
		return ec2_invalid(c, "Value (%.*s) for parameter protocol is invalid.", STR_ARG(in->protocol));
	if (!in->destination_port.set)
		return ec2_unsupported(c, "A path to every port");
	if (check_end(c, in->source, &from_internet) != CALL_OK ||
	    (str_set(in->destination) && check_end(c, in->destination, &to_internet) != CALL_OK) ||
	    check_address(c, in->source_ip, "sourceIp") != CALL_OK ||
	    check_address(c, in->destination_ip, "destinationIp") != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_path, &tags) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->source_ip) && str_set(in->destination_ip) && ec2_is_ipv6(in->source_ip) != ec2_is_ipv6(in->destination_ip))
		return ec2_combination(c, "The source and the destination have to be of the same IP address family");
	if (from_internet && (to_internet || !str_set(in->destination)))
		return ec2_combination(c, "A path from an internet gateway leads to an instance or a network interface");
	if (count(&s) >= PATHS_MAX)
		return call_fail(c, "NetworkInsightsPathLimitExceeded", 400, "The maximum number of paths has been reached.");
	struct ec2_network_insights_path *path = out->network_insights_path = arena_new(c->arena, struct ec2_network_insights_path);
	path->network_insights_path_id = ec2_new_id(c->arena, "nip");
	path->network_insights_path_arn = ec2_arn(c, &ec2_kind_path, path->network_insights_path_id);
	path->created_date = OPT_TIME(c->now_ms);
	path->source = in->source;
	path->source_arn = arn(c, in->source);
	path->destination = in->destination;
	path->destination_arn = str_set(in->destination) ? arn(c, in->destination) : STR_NONE;
	path->source_ip = in->source_ip;
	path->destination_ip = in->destination_ip;
	path->protocol = in->protocol;
	path->destination_port = in->destination_port;
	path->tags = tags;
	ec2_put(&s, &ec2_kind_path, path->network_insights_path_id, path);
	return CALL_OK;
}

int ec2_delete_network_insights_path(struct call *c, const struct ec2_delete_network_insights_path_request *in,
                                     struct ec2_delete_network_insights_path_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_network_insights_path path;
	struct ec2_network_insights_analysis analysis;
	if (ec2_get(c, &ec2_kind_path, in->network_insights_path_id, &path) != CALL_OK)
		return CALL_FAIL;
	struct ec2_all all = ec2_all(&s, &ec2_kind_analysis);
	while (ec2_next(&all, &analysis))
		if (str_eq(analysis.network_insights_path_id, in->network_insights_path_id))
			return call_fail(c, "AnalysisExistsForNetworkInsightsPath", 400,
			                 "The path '%.*s' has analyses and cannot be deleted.",
			                 STR_ARG(in->network_insights_path_id));
	ec2_drop(&s, &ec2_kind_path, in->network_insights_path_id);
	out->network_insights_path_id = in->network_insights_path_id;
	return CALL_OK;
}

static void port_of(struct call *c, void *record, struct str_list *ret)
{
	*LIST_ADD(c->arena, ret) =
	        arena_printf(c->arena, "%ld", (long)((struct ec2_network_insights_path *)record)->destination_port.v);
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("destination", ec2_network_insights_path, destination),
        FIELD_ASK("destination-port", port_of),
        FIELD_NEVER("filter-at-destination.destination-address"),
        FIELD_NEVER("filter-at-destination.destination-port-range"),
        FIELD_NEVER("filter-at-destination.source-address"),
        FIELD_NEVER("filter-at-destination.source-port-range"),
        FIELD_NEVER("filter-at-source.destination-address"),
        FIELD_NEVER("filter-at-source.destination-port-range"),
        FIELD_NEVER("filter-at-source.source-address"),
        FIELD_NEVER("filter-at-source.source-port-range"),
        FIELD_TEXT("protocol", ec2_network_insights_path, protocol),
        FIELD_TEXT("source", ec2_network_insights_path, source),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_network_insights_paths_result *)out)->network_insights_paths) =
	        *(struct ec2_network_insights_path *)record;
}

int ec2_describe_network_insights_paths(struct call *c, const struct ec2_describe_network_insights_paths_request *in,
                                        struct ec2_describe_network_insights_paths_result *out)
{
	out->network_insights_paths.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_path,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->network_insights_path_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show,
	                                       .min = 1,
	                                       .max = 100},
	                    out, &out->next_token);
}
