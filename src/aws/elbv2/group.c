/* Target groups: CreateTargetGroup, ModifyTargetGroup, DeleteTargetGroup, DescribeTargetGroups. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "base/id.h"

static int check_function(struct call *c, const struct elbv2_create_target_group_input *in)
{
	const char *what = str_set(in->protocol)                ? "Protocol"
	                   : str_set(in->protocol_version)      ? "Protocol version"
	                   : in->port.set                       ? "Port"
	                   : str_set(in->vpc_id)                ? "VPC ID"
	                   : str_set(in->health_check_protocol) ? "Health check protocol"
	                   : str_set(in->health_check_port)     ? "Health check port"
	                                                        : NULL;
	if (what)
		return elb_invalid(c, "%s cannot be specified for target groups with target type 'lambda'", what);
	return elb_tags_check(c, &in->tags);
}

static int check_words(struct call *c, const struct elbv2_create_target_group_input *in)
{
	if (elb_name_check(c, "Target group", in->name) != CALL_OK)
		return CALL_FAIL;
	if (str_is(in->target_type, "lambda"))
		return check_function(c, in);
	if (str_is(in->ip_address_type, "ipv6"))
		return elb_absent(c, "Targets with IPv6 addresses are");
	if (in->target_control_port.set)
		return elb_absent(c, "Target control ports are");
	if (!str_set(in->protocol))
		return elb_invalid(c, "A protocol must be specified");
	if (str_is(in->protocol, "GENEVE") || str_is(in->protocol, "QUIC") || str_is(in->protocol, "TCP_QUIC"))
		return elb_absent(c, "The protocols GENEVE, QUIC and TCP_QUIC are");
	if (str_is(in->target_type, "alb") && !str_is(in->protocol, "TCP"))
		return elb_invalid(c, "Target group protocol '%.*s' must be one of 'TCP' for target groups with target type 'alb'",
		                   STR_ARG(in->protocol));
	if (!in->port.set)
		return elb_invalid(c, "A port must be specified");
	if (!str_set(in->vpc_id))
		return elb_invalid(c, "A VPC ID must be specified");
	if (!ec2_vpc_there(c, in->vpc_id))
		return elb_invalid(c, "The VPC ID '%.*s' is not found", STR_ARG(in->vpc_id));
	if (str_set(in->protocol_version) && !elb_protocol_http(in->protocol))
		return elb_invalid(c, "A protocol version cannot be specified for target groups with protocol '%.*s'",
		                   STR_ARG(in->protocol));
	if (str_set(in->protocol_version) && !str_is(in->protocol_version, "HTTP1") && !str_is(in->protocol_version, "HTTP2") &&
	    !str_is(in->protocol_version, "GRPC"))
		return elb_invalid(c, "Protocol version '%.*s' must be one of 'GRPC, HTTP1, HTTP2'", STR_ARG(in->protocol_version));
	return elb_tags_check(c, &in->tags);
}

static bool same_int(struct opt_int a, struct opt_int b)
{
	return a.v == b.v;
}

static bool same(const struct elbv2_target_group *a, const struct elbv2_target_group *b)
{
	const struct elbv2_matcher none = {0}, *x = a->matcher ? a->matcher : &none, *y = b->matcher ? b->matcher : &none;
	return str_eq(a->protocol, b->protocol) && same_int(a->port, b->port) && str_eq(a->vpc_id, b->vpc_id) &&
	       str_eq(a->target_type, b->target_type) && str_eq(a->protocol_version, b->protocol_version) &&
	       str_eq(a->health_check_protocol, b->health_check_protocol) && str_eq(a->health_check_port, b->health_check_port) &&
	       str_eq(a->health_check_path, b->health_check_path) &&
	       same_int(a->health_check_interval_seconds, b->health_check_interval_seconds) &&
	       same_int(a->health_check_timeout_seconds, b->health_check_timeout_seconds) &&
	       same_int(a->healthy_threshold_count, b->healthy_threshold_count) &&
	       same_int(a->unhealthy_threshold_count, b->unhealthy_threshold_count) && str_eq(x->http_code, y->http_code) &&
	       str_eq(x->grpc_code, y->grpc_code);
}

static void show(const struct elb_scope *s, const struct state_elbv2_group_record *r, struct elbv2_target_group *ret)
{
	struct str_list users = elb_group_users(s, r->group->target_group_name);
	*ret = *r->group;
	ret->load_balancer_arns = (struct str_list){.set = true};
	for (uint32_t i = 0; i < users.n; i++) {
		struct state_elbv2_balancer_record b = {0};
		if (elb_balancer_find(s, users.v[i], &b))
			*LIST_ADD(s->arena, &ret->load_balancer_arns) = b.balancer->load_balancer_arn;
	}
}

static uint32_t count(struct call *c)
{
	struct elb_walk w;
	uint32_t n = 0;
	if (elb_walk_begin(c, &w, "group", STR_NONE, STR_NONE, (struct opt_int){0}) != CALL_OK)
		return 0;
	while (elb_walk_next(&w))
		n++;
	return n;
}

int elbv2_create_target_group(struct call *c, const struct elbv2_create_target_group_input *in,
                              struct elbv2_create_target_group_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_group_record r = {0}, old = {0};
	if (check_words(c, in) != CALL_OK)
		return CALL_FAIL;
	struct elbv2_target_group *g = r.group = arena_new(c->arena, struct elbv2_target_group);
	*g = (struct elbv2_target_group){
	        .target_group_name = in->name,
	        .protocol = in->protocol,
	        .port = in->port,
	        .vpc_id = in->vpc_id,
	        .health_check_protocol = in->health_check_protocol,
	        .health_check_port = in->health_check_port,
	        .health_check_enabled = in->health_check_enabled,
	        .health_check_interval_seconds = in->health_check_interval_seconds,
	        .health_check_timeout_seconds = in->health_check_timeout_seconds,
	        .healthy_threshold_count = in->healthy_threshold_count,
	        .unhealthy_threshold_count = in->unhealthy_threshold_count,
	        .health_check_path = in->health_check_path,
	        .matcher = in->matcher,
	        .target_type = str_set(in->target_type) ? in->target_type : S("instance"),
	        .ip_address_type = S("ipv4"),
	};
	if (elb_group_is_http(g))
		g->protocol_version = str_set(in->protocol_version) ? in->protocol_version : S("HTTP1");
	if (elb_health_check(c, g) != CALL_OK)
		return CALL_FAIL;
	out->target_groups.set = true;
	if (elb_group_find(&s, in->name, &old)) {
		if (!same(g, old.group))
			return call_fail(c, "DuplicateTargetGroupName", 0,
			                 "A target group with the same name '%.*s' exists, but with different settings",
			                 STR_ARG(in->name));
		show(&s, &old, LIST_ADD(c->arena, &out->target_groups));
		return CALL_OK;
	}
	if (count(c) >= ELB_GROUPS_MAX)
		return call_fail(c, "TooManyTargetGroups", 0, "The maximum number of target groups has been reached");
	g->target_group_arn = elb_arn(&s, &(struct elb_name){.kind = ELB_GROUP, .name = in->name, .id = id_hex(c->arena, 16)});
	r.tags = in->tags;
	elb_group_put(&s, &r);
	show(&s, &r, LIST_ADD(c->arena, &out->target_groups));
	return CALL_OK;
}

int elbv2_modify_target_group(struct call *c, const struct elbv2_modify_target_group_input *in,
                              struct elbv2_modify_target_group_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_group_record r;
	if (elb_group_get(c, in->target_group_arn, &r) != CALL_OK)
		return CALL_FAIL;
	struct elbv2_target_group *g = r.group;
	/* another protocol leaves behind what is the old one's alone */
	if (str_set(in->health_check_protocol) && !str_eq(in->health_check_protocol, g->health_check_protocol)) {
		g->health_check_protocol = in->health_check_protocol;
		if (!elb_protocol_http(in->health_check_protocol)) {
			g->matcher = NULL;
			g->health_check_path = STR_NONE;
		}
	}
	if (str_set(in->health_check_port))
		g->health_check_port = in->health_check_port;
	if (str_set(in->health_check_path))
		g->health_check_path = in->health_check_path;
	if (in->health_check_enabled.set)
		g->health_check_enabled = in->health_check_enabled;
	if (in->health_check_interval_seconds.set)
		g->health_check_interval_seconds = in->health_check_interval_seconds;
	if (in->health_check_timeout_seconds.set)
		g->health_check_timeout_seconds = in->health_check_timeout_seconds;
	if (in->healthy_threshold_count.set)
		g->healthy_threshold_count = in->healthy_threshold_count;
	if (in->unhealthy_threshold_count.set)
		g->unhealthy_threshold_count = in->unhealthy_threshold_count;
	if (in->matcher)
		g->matcher = in->matcher;
	if (elb_health_check(c, g) != CALL_OK)
		return CALL_FAIL;
	elb_group_put(&s, &r);
	out->target_groups.set = true;
	show(&s, &r, LIST_ADD(c->arena, &out->target_groups));
	return CALL_OK;
}

int elbv2_delete_target_group(struct call *c, const struct elbv2_delete_target_group_input *in,
                              struct elbv2_delete_target_group_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_group_record r;
	(void)out;
	if (elb_group_get(c, in->target_group_arn, &r) != CALL_OK) {
		bool gone = str_is(c->error.code, "TargetGroupNotFound");
		if (gone)
			c->error = (struct call_error){0};
		return gone ? CALL_OK : CALL_FAIL;
	}
	if (elb_group_users(&s, r.group->target_group_name).n)
		return call_fail(c, "ResourceInUse", 0, "Target group '%.*s' is currently in use by a listener or a rule",
		                 STR_ARG(in->target_group_arn));
	elb_group_drop(&s, r.group->target_group_name);
	return CALL_OK;
}

/* --- lists */

static int not_found(struct call *c)
{
	return call_fail(c, "TargetGroupNotFound", 0, "One or more target groups not found");
}

static int of_balancer(struct call *c, const struct elbv2_describe_target_groups_input *in,
                       struct elbv2_describe_target_groups_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record b;
	struct str_list arns = {0};
	uint32_t from, to;
	if (elb_balancer_get(c, in->load_balancer_arn, &b) != CALL_OK)
		return CALL_FAIL;
	struct elb_rules rules = elb_rules_of(&s, b.balancer->load_balancer_name, STR_NONE);
	for (uint32_t i = 0; i < rules.n; i++)
		elb_actions_groups(c->arena, &rules.v[i].rule->actions, &arns);
	if (elb_page_of(c, in->marker, in->page_size, arns.n, &from, &to, &out->next_marker) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = from; i < to; i++) {
		struct state_elbv2_group_record r;
		if (elb_group_get(c, arns.v[i], &r) != CALL_OK)
			return CALL_FAIL;
		show(&s, &r, LIST_ADD(c->arena, &out->target_groups));
	}
	return CALL_OK;
}

int elbv2_describe_target_groups(struct call *c, const struct elbv2_describe_target_groups_input *in,
                                 struct elbv2_describe_target_groups_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_group_record r;
	struct elb_walk w;
	out->target_groups.set = true;
	if ((str_set(in->load_balancer_arn) ? 1 : 0) + (in->names.n ? 1 : 0) + (in->target_group_arns.n ? 1 : 0) > 1)
		return elb_invalid(
		        c, "Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time");
	if (str_set(in->load_balancer_arn))
		return of_balancer(c, in, out);
	for (uint32_t i = 0; i < in->names.n; i++) {
		r = (struct state_elbv2_group_record){0};
		if (!elb_group_find(&s, in->names.v[i], &r))
			return not_found(c);
		show(&s, &r, LIST_ADD(c->arena, &out->target_groups));
	}
	for (uint32_t i = 0; i < in->target_group_arns.n; i++) {
		if (elb_group_get(c, in->target_group_arns.v[i], &r) != CALL_OK)
			return str_is(c->error.code, "TargetGroupNotFound") ? not_found(c) : CALL_FAIL;
		show(&s, &r, LIST_ADD(c->arena, &out->target_groups));
	}
	if (in->names.n || in->target_group_arns.n)
		return CALL_OK;
	if (elb_walk_begin(c, &w, "group", STR_NONE, in->marker, in->page_size) != CALL_OK)
		return CALL_FAIL;
	while (elb_walk_next(&w)) {
		if (!elb_walk_take(&w))
			break;
		r = (struct state_elbv2_group_record){0};
		if (elb_read(c->arena, w.value, "GroupRecord", &r))
			show(&s, &r, LIST_ADD(c->arena, &out->target_groups));
	}
	out->next_marker = elb_walk_marker(c, &w);
	return CALL_OK;
}
