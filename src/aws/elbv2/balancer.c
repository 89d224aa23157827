/* Load balancers: CreateLoadBalancer, DescribeLoadBalancers, DeleteLoadBalancer. What becomes of them is the desk's work. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "base/id.h"

void elb_balancer_show(const struct elb_scope *s, const struct state_elbv2_balancer_record *r, struct elbv2_load_balancer *ret)
{
	(void)s;
	*ret = *r->balancer;
	if (elb_is_network(r)) {
		ret->enforce_security_group_inbound_rules_on_private_link_traffic = ret->security_groups.n ? S("on") : STR_NONE;
		ret->enable_prefix_for_ipv6_source_nat = S("off");
	}
}

/* --- making */

static bool same_texts(const struct str_list *a, const struct str_list *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (!elb_among(b, a->v[i]))
			return false;
	return a->n == b->n;
}

static bool same_tags(const struct elbv2_tag_list *a, const struct elbv2_tag_list *b)
{
	for (uint32_t i = 0; i < a->n; i++) {
		bool found = false;
		for (uint32_t k = 0; k < b->n; k++)
			found |= str_eq(a->v[i].key, b->v[k].key) && str_eq(a->v[i].value, b->v[k].value);
		if (!found)
			return false;
	}
	return a->n == b->n;
}

static bool same_places(const struct state_elbv2_balancer_record *r, const struct elb_places *places)
{
	for (uint32_t i = 0; i < places->n && places->n == r->nodes.n; i++)
		if (!str_eq(places->v[i].subnet, r->nodes.v[i].subnet) ||
		    !str_eq(places->v[i].allocation, r->nodes.v[i].allocation) ||
		    !str_eq(places->v[i].address, r->nodes.v[i].address) || !str_eq(places->v[i].address6, r->nodes.v[i].address6))
			return false;
	return places->n == r->nodes.n;
}

static uint32_t count_of(struct call *c, struct str type)
{
	struct elb_walk w;
	uint32_t n = 0;
	if (elb_walk_begin(c, &w, "balancer", STR_NONE, STR_NONE, (struct opt_int){0}) != CALL_OK)
		return 0;
	while (elb_walk_next(&w)) {
		struct state_elbv2_balancer_record r = {0};
		n += elb_read(c->arena, w.value, "BalancerRecord", &r) && str_eq(r.balancer->type, type);
	}
	return n;
}

static int check_words(struct call *c, const struct elbv2_create_load_balancer_input *in)
{
	if (elb_name_check(c, "The load balancer", in->name) != CALL_OK)
		return CALL_FAIL;
	if (str_starts(in->name, S("internal-")))
		return elb_invalid(c, "The load balancer name '%.*s' cannot begin with 'internal-'", STR_ARG(in->name));
	if (str_is(in->type, "gateway"))
		return elb_absent(c, "Load balancers of type 'gateway' are");
	if (str_set(in->customer_owned_ipv4_pool) || (in->ipam_pools && str_set(in->ipam_pools->ipv4_ipam_pool_id)))
		return elb_absent(c, "Customer-owned and IPAM pools are");
	if (str_is(in->enable_prefix_for_ipv6_source_nat, "on"))
		return elb_absent(c, "Prefixes for IPv6 source NAT are");
	return elb_tags_check(c, &in->tags);
}

int elbv2_create_load_balancer(struct call *c, const struct elbv2_create_load_balancer_input *in,
                               struct elbv2_create_load_balancer_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record r = {0};
	struct elb_places places;
	struct str_list groups;
	struct str address_type;
	bool network = str_is(in->type, "network"), internal = str_is(in->scheme, "internal");
	if (check_words(c, in) != CALL_OK ||
	    elb_address_type_check(c, network, internal, in->ip_address_type, &address_type) != CALL_OK ||
	    elb_places_check(c, network, internal, &in->subnets, &in->subnet_mappings, str_starts(address_type, S("dualstack")),
	                     &places) != CALL_OK ||
	    elb_security_groups_check(c, &in->security_groups, places.vpc, !network, &groups) != CALL_OK)
		return CALL_FAIL;
	out->load_balancers.set = true;
	if (elb_balancer_find(&s, in->name, &r)) {
		if (elb_is_network(&r) != network || str_is(r.balancer->scheme, "internal") != internal ||
		    !str_eq(r.balancer->ip_address_type, address_type) || !same_places(&r, &places) ||
		    !same_texts(&groups, &r.balancer->security_groups) || !same_tags(&in->tags, &r.tags))
			return call_fail(c, "DuplicateLoadBalancerName", 0,
			                 "A load balancer with the same name '%.*s' exists, but with different settings",
			                 STR_ARG(in->name));
		elb_balancer_show(&s, &r, LIST_ADD(c->arena, &out->load_balancers));
		return CALL_OK;
	}
	struct str type = network ? S("network") : S("application");
	if (count_of(c, type) >= ELB_BALANCERS_MAX)
		return call_fail(c, "TooManyLoadBalancers", 0,
		                 "The maximum number of load balancers of type '%.*s' has been reached", STR_ARG(type));
	struct elbv2_load_balancer *b = r.balancer = arena_new(c->arena, struct elbv2_load_balancer);
	struct elb_name name = {.kind = ELB_BALANCER, .network = network, .name = in->name, .id = id_hex(c->arena, 16)};
	b->load_balancer_arn = elb_arn(&s, &name);
	b->load_balancer_name = in->name;
	b->dns_name = elb_dns_name(c, in->name, network, internal);
	b->canonical_hosted_zone_id = elb_zone_id(c->arena, c->region, network);
	b->created_time = OPT_TIME(c->now_ms);
	b->scheme = internal ? S("internal") : S("internet-facing");
	b->vpc_id = places.vpc;
	b->state = arena_new(c->arena, struct elbv2_load_balancer_state);
	b->state->code = S("provisioning");
	b->type = type;
	b->security_groups = groups;
	b->ip_address_type = address_type;
	r.tags = in->tags;
	r.secret = id_hex(c->arena, 32);
	if (elb_places_take(c, &r, &places) != CALL_OK)
		return CALL_FAIL;
	elb_balancer_put(&s, &r);
	elb_balancer_show(&s, &r, LIST_ADD(c->arena, &out->load_balancers));
	return CALL_OK;
}

int elbv2_delete_load_balancer(struct call *c, const struct elbv2_delete_load_balancer_input *in,
                               struct elbv2_delete_load_balancer_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record r;
	(void)out;
	if (elb_balancer_get(c, in->load_balancer_arn, &r) != CALL_OK) {
		bool gone = str_is(c->error.code, "LoadBalancerNotFound");
		if (gone)
			c->error = (struct call_error){0};
		return gone ? CALL_OK : CALL_FAIL;
	}
	if (elb_on(elb_balancer_attribute(&r, "deletion_protection.enabled")))
		return call_fail(c, "OperationNotPermitted", 0,
		                 "Load balancer '%.*s' cannot be deleted because deletion protection is enabled",
		                 STR_ARG(in->load_balancer_arn));
	struct str by = elb_chained_to(c, in->load_balancer_arn);
	if (str_set(by))
		return call_fail(c, "ResourceInUse", 0, "Load balancer '%.*s' is currently a target of target group '%.*s'",
		                 STR_ARG(in->load_balancer_arn), STR_ARG(by));
	struct elb_listeners listeners = elb_listeners_of(&s, r.balancer->load_balancer_name);
	struct str_list certificates = elb_certificates_of(&s, r.balancer->load_balancer_name);
	struct elb_name at;
	for (uint32_t i = 0; i < listeners.n; i++) {
		if (elb_name_parse(&s, listeners.v[i].listener->listener_arn, &at))
			elb_listener_drop(&s, &at);
	}
	if (elb_name_parse(&s, in->load_balancer_arn, &at))
		elb_certificates_note(&s, &at, &certificates);
	for (uint32_t i = 0; i < r.nodes.n; i++)
		ec2_return_interface(s.txn, c->arena, c->account, c->region, r.nodes.v[i].interface);
	elb_balancer_drop(&s, &r);
	return CALL_OK;
}

/* Nothing is reserved: ModifyCapacityReservation is refused, since this machine is all the capacity that there is. */
int elbv2_describe_capacity_reservation(struct call *c, const struct elbv2_describe_capacity_reservation_input *in,
                                        struct elbv2_describe_capacity_reservation_output *out)
{
	struct state_elbv2_balancer_record r;
	out->capacity_reservation_state.set = true;
	return elb_balancer_get(c, in->load_balancer_arn, &r);
}

/* --- lists */

static int by_names(struct call *c, const struct elbv2_describe_load_balancers_input *in,
                    struct elbv2_describe_load_balancers_output *out)
{
	struct elb_scope s = elb_scope(c);
	for (uint32_t i = 0; i < in->names.n; i++) {
		struct state_elbv2_balancer_record r = {0};
		if (!elb_balancer_find(&s, in->names.v[i], &r))
			return call_fail(c, "LoadBalancerNotFound", 0, "Load balancers '[%.*s]' not found",
			                 STR_ARG(in->names.v[i]));
		elb_balancer_show(&s, &r, LIST_ADD(c->arena, &out->load_balancers));
	}
	for (uint32_t i = 0; i < in->load_balancer_arns.n; i++) {
		struct state_elbv2_balancer_record r;
		if (elb_balancer_get(c, in->load_balancer_arns.v[i], &r) != CALL_OK)
			return str_is(c->error.code, "LoadBalancerNotFound")
			               ? call_fail(c, "LoadBalancerNotFound", 0, "One or more load balancers not found")
			               : CALL_FAIL;
		elb_balancer_show(&s, &r, LIST_ADD(c->arena, &out->load_balancers));
	}
	return CALL_OK;
}

int elbv2_describe_load_balancers(struct call *c, const struct elbv2_describe_load_balancers_input *in,
                                  struct elbv2_describe_load_balancers_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct elb_walk w;
	out->load_balancers.set = true;
	if (in->names.n && in->load_balancer_arns.n)
		return elb_invalid(c, "Load balancer names and load balancer ARNs cannot be specified at the same time");
	if (in->names.n + in->load_balancer_arns.n > 20)
		return elb_invalid(c, "Up to '20' load balancers can be described at a time");
	if (in->names.n || in->load_balancer_arns.n)
		return by_names(c, in, out);
	if (elb_walk_begin(c, &w, "balancer", STR_NONE, in->marker, in->page_size) != CALL_OK)
		return CALL_FAIL;
	while (elb_walk_next(&w)) {
		struct state_elbv2_balancer_record r = {0};
		if (!elb_walk_take(&w))
			break;
		if (elb_read(c->arena, w.value, "BalancerRecord", &r))
			elb_balancer_show(&s, &r, LIST_ADD(c->arena, &out->load_balancers));
	}
	out->next_marker = elb_walk_marker(c, &w);
	return CALL_OK;
}
