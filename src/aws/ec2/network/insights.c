/* Network insights analyses: which rule, route or state stops a connection. The VPC's records are carried into networks that only
 * hold them, by the same code that carries them to the kernel, and network_explain() is asked there. */
#include "aws/ec2/network/block6.h"
#include "aws/ec2/network/sync.h"
#include "aws/ec2/network/vpc.h"
#include "engine/net/explain.h"
#include "engine/net/network_proto.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of the documentation's range: what stands for any address of the internet. */
#define SOMEWHERE 0xc6336401 /* 198.51.100.1 */

struct answer {
	struct call *c;
	struct ec2_scope s;
	const struct ec2_network_insights_path *path;
	struct ec2_network_insights_analysis *analysis;
	struct state_vpc_interface_record from, to;
	bool has_from, has_to;
};

/* The interface that an end of a path means; false: it is the internet, or it is gone. */
static bool interface_of(struct answer *a, struct str id, struct state_vpc_interface_record *ret)
{
	struct ec2_interfaces of = {0};
	if (!str_set(id) || str_starts(id, S("igw-")))
		return false;
	if (str_starts(id, S("eni-")))
		return ec2_find(&a->s, &ec2_kind_interface, id, ret);
	ec2_interfaces_of(&a->s, id, &of);
	if (of.n)
		*ret = of.v[0];
	return of.n > 0;
}

static struct ec2_analysis_component *component(struct answer *a, struct str id)
{
	struct ec2_analysis_component *ret = arena_new(a->c->arena, struct ec2_analysis_component);
	const struct ec2_kind *kind = ec2_kind_of_id(id);
	ret->id = id;
	if (kind)
		ret->arn = ec2_arn(a->c, kind, id);
	return ret;
}

static struct ec2_explanation *explain(struct answer *a, const char *code)
{
	struct ec2_explanation *e = LIST_ADD(a->c->arena, &a->analysis->explanations);
	*e = (struct ec2_explanation){.explanation_code = str_from(code)};
	a->analysis->network_path_found = OPT_BOOL(false);
	return e;
}

static struct str keep(struct answer *a, const char *id)
{
	return arena_dup(a->c->arena, str_from(id));
}

/* The route that was found, as its table has it. */
static void add_route(struct answer *a, struct ec2_explanation *e, const struct network_verdict *v, bool with_route)
{
	struct ec2_subnet subnet;
	struct ec2_route_table table;
	if (!ec2_find(&a->s, &ec2_kind_subnet, str_from(v->subnet), &subnet) || !ec2_sync_table_of(&a->s, &subnet, &table))
		return;
	e->subnet = component(a, subnet.subnet_id);
	e->vpc = component(a, subnet.vpc_id);
	e->route_table = component(a, table.route_table_id);
	struct str to = ec2_ip_block_text(a->c->arena, v->route);
	for (uint32_t i = 0; with_route && i < table.routes.n; i++) {
		const struct ec2_route *r = &table.routes.v[i];
		bool same = str_eq(r->destination_cidr_block, to) || str_eq(r->destination_ipv6_cidr_block, to);
		if (!same && !str_set(r->destination_prefix_list_id))
			continue;
		e->route_table_route = arena_new(a->c->arena, struct ec2_analysis_route_table_route);
		*e->route_table_route = (struct ec2_analysis_route_table_route){
		        .destination_cidr = to,
		        .destination_prefix_list_id = r->destination_prefix_list_id,
		        .gateway_id = r->gateway_id,
		        .nat_gateway_id = r->nat_gateway_id,
		        .network_interface_id = r->network_interface_id,
		        .vpc_peering_connection_id = r->vpc_peering_connection_id,
		        .origin = r->origin,
		        .state = ec2_route_works(&a->s, r, table.vpc_id) ? S("active") : S("blackhole")};
		if (same)
			return;
	}
}

static void add_groups(struct answer *a, struct ec2_explanation *e, const struct network_verdict *v)
{
	struct state_vpc_interface_record eni;
	e->direction = v->egress ? S("egress") : S("ingress");
	e->network_interface = component(a, keep(a, v->port));
	*LIST_ADD(a->c->arena, &e->protocols) = a->path->protocol;
	e->port = a->path->destination_port;
	if (!ec2_find(&a->s, &ec2_kind_interface, str_from(v->port), &eni))
		return;
	for (uint32_t i = 0; i < eni.interface->groups.n; i++)
		*LIST_ADD(a->c->arena, &e->security_groups) = *component(a, eni.interface->groups.v[i].group_id);
}

static void add_acl(struct answer *a, struct ec2_explanation *e, const struct network_verdict *v)
{
	struct ec2_network_acl acl;
	e->direction = v->egress ? S("egress") : S("ingress");
	e->acl = component(a, keep(a, v->acl));
	e->subnet = component(a, keep(a, v->subnet));
	if (v->reply)
		*LIST_ADD(a->c->arena, &e->port_ranges) = (struct ec2_port_range){OPT_INT(v->client_port), OPT_INT(v->client_port)};
	else
		e->port = a->path->destination_port;
	int64_t number = v->rule ? v->rule : 32767;
	for (uint32_t i = 0; ec2_find(&a->s, &ec2_kind_acl, str_from(v->acl), &acl) && i < acl.entries.n; i++) {
		const struct ec2_network_acl_entry *entry = &acl.entries.v[i];
		if (entry->rule_number.v != number || entry->egress.v != v->egress)
			continue;
		e->acl_rule = arena_new(a->c->arena, struct ec2_analysis_acl_rule);
		*e->acl_rule = (struct ec2_analysis_acl_rule){.cidr = str_set(entry->cidr_block) ? entry->cidr_block
		                                                                                 : entry->ipv6_cidr_block,
		                                              .egress = entry->egress,
		                                              .port_range = entry->port_range,
		                                              .protocol = entry->protocol,
		                                              .rule_action = entry->rule_action,
		                                              .rule_number = entry->rule_number};
		return;
	}
}

static void add_verdict(struct answer *a, const struct network_question *q, const struct network_verdict *v)
{
	struct arena *arena = a->c->arena;
	struct ec2_explanation *e;
	switch (v->stop) {
	case NETWORK_STOP_NONE:
		return;
	case NETWORK_STOP_UNKNOWN:
		explain(a, "BAD_STATE")->component = component(a, keep(a, v->port));
		return;
	case NETWORK_STOP_NOBODY:
	case NETWORK_STOP_MACHINE:
	case NETWORK_STOP_LISTENER:
		e = explain(a, v->stop == NETWORK_STOP_LISTENER ? "NO_LISTENER" : "NO_POSSIBLE_DESTINATION");
		e->port = a->path->destination_port;
		break;
	case NETWORK_STOP_NO_ROUTE:
	case NETWORK_STOP_ROUTE:
		e = explain(a, v->stop == NETWORK_STOP_ROUTE ? "BAD_STATE_ROUTE" : "NO_ROUTE_TO_DESTINATION");
		add_route(a, e, v, v->stop == NETWORK_STOP_ROUTE);
		break;
	case NETWORK_STOP_NO_PUBLIC:
		e = explain(a, q->from ? "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS" : "IGW_PUBLIC_IP_ASSOCIATION_FOR_INGRESS");
		e->network_interface = component(a, keep(a, v->port));
		break;
	case NETWORK_STOP_EGRESS_ONLY:
		add_route(a, explain(a, "EGRESS_ONLY_GATEWAY"), v, true);
		return;
	case NETWORK_STOP_NO_ADDRESS:
		explain(a, "NO_IPV6_ADDRESS")->network_interface = component(a, keep(a, v->port));
		return;
	case NETWORK_STOP_SOURCE_CHECK:
		e = explain(a, "ENI_SOURCE_DEST_CHECK_RESTRICTION");
		e->network_interface = component(a, keep(a, v->port));
		break;
	case NETWORK_STOP_GROUPS:
		add_groups(a, e = explain(a, "ENI_SG_RULES_MISMATCH"), v);
		break;
	default:
		add_acl(a, e = explain(a, "SUBNET_ACL_RESTRICTION"), v);
		break;
	}
	/* whom the packet that is stopped is for, or, where rules for what comes in say so, from */
	bool comes_in = (v->stop == NETWORK_STOP_GROUPS || v->stop == NETWORK_STOP_ACL) && !v->egress;
	e->address = ec2_ip_text(arena, comes_in != v->reply ? q->from_address : q->to_address);
}

static void add_machine_state(struct answer *a, const struct state_vpc_interface_record *r, bool has)
{
	if (!has || r->up.v)
		return;
	struct ec2_explanation *e = explain(a, "BAD_STATE");
	e->component = component(a, r->interface->network_interface_id);
	e->state = r->interface->status;
	if (r->interface->attachment && str_set(r->interface->attachment->instance_id))
		e->attached_to = component(a, r->interface->attachment->instance_id);
}

/* What the kernel has counted at the ends; it is asked for now and known about a second later. */
static struct str drops_text(struct call *c, struct str interface, struct str before)
{
	struct network_port_stats stats;
	if (!network_port_stats(ec2_state(c)->networks, arena_dupz(c->arena, interface), &stats) || !stats.drops)
		return before;
	struct str one =
	        arena_printf(c->arena, "%lu packets from or to %.*s have been dropped by its security groups or its source check.",
	                     (unsigned long)stats.drops, STR_ARG(interface));
	return str_set(before) ? ARENA_CAT(c->arena, before, S(" "), one) : one;
}

/* The address of an end of the path: the one that is named, or its interface's first of the family. None: outside, or it has none.
 */
static struct network_ip end_address(struct str given, const struct ec2_network_interface *eni, bool ipv6)
{
	struct network_ip ret = {{0}};
	if (str_set(given))
		ec2_ip_parse(given, &ret);
	else if (eni && !ipv6)
		ec2_ip_parse(eni->private_ip_address, &ret);
	else if (eni && eni->ipv6_addresses.n)
		ec2_ip_parse(eni->ipv6_addresses.v[0].ipv6_address, &ret);
	return ret;
}

/* Any address of the internet, for a way out; for a way in what packets from there have. */
static struct network_ip somewhere(struct networks *real, const char *vpc, bool ipv6, bool out)
{
	static const struct network_ip somewhere6 = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	uint32_t link = network_outside_address(real, vpc);
	struct network_ip from = network_ip4(link);
	if (ipv6)
		network_outside6(link, from.b);
	return !out ? from : ipv6 ? somewhere6 : network_ip4(SOMEWHERE);
}

/* Only an address of one's own can be bound to. The machine lets nothing in that comes out of a VPC. */
static bool is_this_machine(struct network_ip address)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(network_ip_to4(address))}};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
	bool ipv6 = !network_ip_is4(address);
	memcpy(&to6.sin6_addr, address.b, sizeof(address.b));
	const void *p = ipv6 ? (const void *)&to6 : &to;
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own = fd >= 0 && bind(fd, p, ipv6 ? sizeof(to6) : sizeof(to)) == 0;
	if (fd >= 0)
		close(fd);
	return own;
}

static void analyse(struct answer *a)
{
	struct arena *arena = a->c->arena;
	const struct ec2_network_insights_path *p = a->path;
	struct networks *real = ec2_state(a->c)->networks;
	struct str_list vpcs = {0};
	const struct ec2_network_interface *one = a->has_from ? a->from.interface : a->has_to ? a->to.interface : NULL;
	if (!one) {
		explain(a, "BAD_STATE")->component = component(a, str_starts(p->source, S("igw-")) ? p->destination : p->source);
		return;
	}
	*LIST_ADD(arena, &vpcs) = one->vpc_id;
	if (a->has_to && !str_eq(a->to.interface->vpc_id, one->vpc_id))
		*LIST_ADD(arena, &vpcs) = a->to.interface->vpc_id;
	const char *vpc = arena_dupz(arena, one->vpc_id);
	bool ipv6 = ec2_is_ipv6(p->source_ip) || ec2_is_ipv6(p->destination_ip);
	struct network_question q = {.from = a->has_from ? arena_dupz(arena, a->from.interface->network_interface_id) : NULL,
	                             .to = a->has_to ? arena_dupz(arena, a->to.interface->network_interface_id) : NULL,
	                             .from_address = end_address(p->source_ip, a->has_from ? a->from.interface : NULL, ipv6),
	                             .to_address = end_address(p->destination_ip, a->has_to ? a->to.interface : NULL, ipv6),
	                             .protocol = str_is(p->protocol, "udp") ? 17 : 6,
	                             .to_port = (uint16_t)p->destination_port.v};
	if (!a->has_from && !str_set(p->source_ip))
		q.from_address = somewhere(real, vpc, ipv6, false);
	if (!a->has_to && !str_set(p->destination_ip))
		q.to_address = somewhere(real, vpc, ipv6, true);
	struct networks *copy = networks_new(a->c->cloud->loop, NULL, "", NULL, NULL);
	ec2_sync_copy(&a->s, &vpcs, copy);
	struct network_verdict v = network_explain(copy, &q);
	networks_free(copy);
	if (v.stop == NETWORK_STOP_NONE && !v.through[0] && a->has_from && !a->has_to && is_this_machine(q.to_address))
		v.stop = NETWORK_STOP_MACHINE;
	add_verdict(a, &q, &v);
	add_machine_state(a, &a->from, a->has_from);
	add_machine_state(a, &a->to, a->has_to);
	if (v.through[0])
		a->analysis->warning_message = arena_printf(
		        arena, "The way leads through %s, which has to pass packets on; what is behind it was not looked at.",
		        v.through);
	if (!a->analysis->explanations.n && (!a->has_from || (!a->has_to && v.stop == NETWORK_STOP_NONE)) &&
	    networks_facts(real)->known && !(ipv6 && a->has_from ? networks_facts(real)->outside6 : networks_facts(real)->outside))
		a->analysis->warning_message =
		        arena_printf(arena, "This machine gives VPCs no way out%s: %s", ipv6 ? " over IPv6" : "",
		                     ipv6 ? networks_facts(real)->why_not6 : networks_facts(real)->why_not);
}

int ec2_start_network_insights_analysis(struct call *c, const struct ec2_start_network_insights_analysis_request *in,
                                        struct ec2_start_network_insights_analysis_result *out)
{
	struct ec2_network_insights_path path;
	struct ec2_tag_list tags;
	if (in->additional_accounts.n)
		return ec2_unsupported(c, "An analysis of several accounts");
	if (in->filter_in_arns.n || in->filter_out_arns.n)
		return ec2_unsupported(c, "A filter of components");
	if (ec2_get(c, &ec2_kind_path, in->network_insights_path_id, &path) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_analysis, &tags) != CALL_OK)
		return CALL_FAIL;
	struct ec2_network_insights_analysis *analysis = arena_new(c->arena, struct ec2_network_insights_analysis);
	struct answer a = {.c = c, .s = ec2_scope(c), .path = &path, .analysis = analysis};
	analysis->network_insights_analysis_id = ec2_new_id(c->arena, "nia");
	analysis->network_insights_analysis_arn = ec2_arn(c, &ec2_kind_analysis, analysis->network_insights_analysis_id);
	analysis->network_insights_path_id = path.network_insights_path_id;
	analysis->start_date = OPT_TIME(c->now_ms);
	analysis->status = S("succeeded");
	analysis->network_path_found = OPT_BOOL(true);
	analysis->explanations.set = true;
	analysis->tags = tags;
	a.has_from = interface_of(&a, path.source, &a.from);
	a.has_to = interface_of(&a, path.destination, &a.to);
	analyse(&a);
	ec2_put(&a.s, &ec2_kind_analysis, analysis->network_insights_analysis_id, analysis);
	out->network_insights_analysis = analysis;
	return CALL_OK;
}

int ec2_delete_network_insights_analysis(struct call *c, const struct ec2_delete_network_insights_analysis_request *in,
                                         struct ec2_delete_network_insights_analysis_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_network_insights_analysis analysis;
	if (ec2_get(c, &ec2_kind_analysis, in->network_insights_analysis_id, &analysis) != CALL_OK)
		return CALL_FAIL;
	ec2_drop(&s, &ec2_kind_analysis, in->network_insights_analysis_id);
	out->network_insights_analysis_id = in->network_insights_analysis_id;
	return CALL_OK;
}

static const struct ec2_field fields[] = {
        FIELD_FLAG("path-found", ec2_network_insights_analysis, network_path_found),
        FIELD_TEXT("status", ec2_network_insights_analysis, status),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	struct ec2_network_insights_analysis *analysis = record;
	struct answer a = {.c = c, .s = ec2_scope(c)};
	struct ec2_network_insights_path path;
	if (ec2_find(&a.s, &ec2_kind_path, analysis->network_insights_path_id, &path)) {
		struct str ends[] = {path.source, path.destination};
		for (int i = 0; i < 2; i++)
			if (interface_of(&a, ends[i], &a.from))
				analysis->warning_message =
				        drops_text(c, a.from.interface->network_interface_id, analysis->warning_message);
	}
	*LIST_ADD(c->arena, &((struct ec2_describe_network_insights_analyses_result *)out)->network_insights_analyses) = *analysis;
}

static bool of_other_path(struct call *c, void *record)
{
	const struct ec2_describe_network_insights_analyses_request *in = c->in;
	const struct ec2_network_insights_analysis *a = record;
	return (str_set(in->network_insights_path_id) && !str_eq(in->network_insights_path_id, a->network_insights_path_id)) ||
	       (in->analysis_start_time.set && a->start_date.ms < in->analysis_start_time.ms) ||
	       (in->analysis_end_time.set && a->start_date.ms > in->analysis_end_time.ms);
}

int ec2_describe_network_insights_analyses(struct call *c, const struct ec2_describe_network_insights_analyses_request *in,
                                           struct ec2_describe_network_insights_analyses_result *out)
{
	out->network_insights_analyses.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_analysis,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->network_insights_analysis_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show,
	                                       .hidden = of_other_path,
	                                       .min = 1,
	                                       .max = 100},
	                    out, &out->next_token);
}
