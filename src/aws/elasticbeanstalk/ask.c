/* The questions that other services are asked about an environment, made of its record, and what is kept of their answers. */
#include "extra.h"

#include "core/cloud.h"
#include "gen/autoscaling.h"
#include "gen/ec2.h"
#include "gen/s3.h"
#include "gen/sqs.h"

static void ask_of(const struct question *q, const struct api *api, const char *operation, const void *in)
{
	call_op(q->cloud, q->owner, q->region, api, operation, in, q->done, q->ctx);
}

struct environment_tag *environment_tags(struct arena *a, const struct environment_record *r, uint32_t *ret_n)
{
	struct environment_tag *all = arena_alloc(a, (r->tags.n + 3) * sizeof(*all));
	uint32_t n = 0;
	for (; n < r->tags.n; n++)
		all[n] = (struct environment_tag){r->tags.v[n].key, r->tags.v[n].value};
	all[n++] = (struct environment_tag){S("elasticbeanstalk:environment-name"), r->environment->environment_name};
	all[n++] = (struct environment_tag){S("elasticbeanstalk:environment-id"), r->environment->environment_id};
	all[n++] = (struct environment_tag){S("Name"), r->environment->environment_name};
	*ret_n = n;
	return all;
}

static struct ec2_tag_specification_list tagged(struct arena *a, const struct environment_record *r, const char *type)
{
	struct ec2_tag_specification_list l = {.set = true};
	struct ec2_tag_specification *one = LIST_ADD(a, &l);
	uint32_t n;
	const struct environment_tag *tags = environment_tags(a, r, &n);
	*one = (struct ec2_tag_specification){.resource_type = str_from(type), .tags.set = true};
	for (uint32_t i = 0; i < n; i++)
		*LIST_ADD(a, &one->tags) = (struct ec2_tag){tags[i].key, tags[i].value};
	return l;
}

static struct ec2_filter_list filter(struct arena *a, const char *name, struct str value)
{
	struct ec2_filter_list l = {.set = true};
	struct ec2_filter *f = LIST_ADD(a, &l);
	f->name = str_from(name);
	*LIST_ADD(a, &f->values) = value;
	f->values.set = true;
	return l;
}

#define VPC "aws:ec2:vpc"

/* version: another one of the template that is there. */
static void make_template(const struct question *q, struct arena *a, const struct environment_record *r, bool version)
{
	struct ec2_request_launch_template_data data;
	launch_data(a, r, q->region, &data);
	if (version) {
		ask_of(q, &ec2_api, "CreateLaunchTemplateVersion",
		       &(struct ec2_create_launch_template_version_request){.launch_template_name = environment_template_name(a, r),
		                                                            .launch_template_data = &data});
		return;
	}
	const struct ec2_create_launch_template_request in = {.launch_template_name = environment_template_name(a, r),
	                                                      .launch_template_data = &data,
	                                                      .tag_specifications = tagged(a, r, "launch-template")};
	ask_of(q, &ec2_api, "CreateLaunchTemplate", &in);
}

/* One instance, or as many as the options say, and those of an additional batch. */
static void sizes(const struct environment_record *r, struct opt_int *ret_least, struct opt_int *ret_most)
{
	bool many = environment_many(r);
	*ret_least = OPT_INT(many ? option_number(r, "aws:autoscaling:asg", "MinSize") : 1);
	*ret_most = OPT_INT(many ? option_number(r, "aws:autoscaling:asg", "MaxSize") : 1);
}

static struct opt_bool rebalances(const struct environment_record *r)
{
	return OPT_BOOL(str_is(option_value(r, "aws:autoscaling:asg", "EnableCapacityRebalancing"), "true"));
}

/* other: a deployment's own, of as many instances as it begins with. */
static void make_scaling(const struct question *q, struct arena *a, const struct environment_record *r, bool other)
{
	struct autoscaling_create_auto_scaling_group_type in = {
	        .auto_scaling_group_name = other ? environment_other_scaling_name(a, r) : environment_scaling_name(a, r),
	        .capacity_rebalance = rebalances(r),
	        .vpc_zone_identifier = S("")};
	uint32_t n;
	const struct environment_tag *tags = environment_tags(a, r, &n);
	launch_policy(a, r, &in.launch_template, &in.mixed_instances_policy);
	sizes(r, &in.min_size, &in.max_size);
	if (environment_many(r))
		in.default_cooldown = OPT_INT(option_number(r, "aws:autoscaling:asg", "Cooldown"));
	if (other) {
		in.min_size = OPT_INT(0);
		in.max_size = r->batch;
		in.desired_capacity = r->extra;
	}
	struct str subnets = option_value(r, VPC, "Subnets");
	for (uint32_t i = 0; i < r->subnets.n && !subnets.n; i++)
		in.vpc_zone_identifier = ARENA_CAT(a, in.vpc_zone_identifier, i ? S(",") : S(""), r->subnets.v[i]);
	if (subnets.n)
		in.vpc_zone_identifier = subnets;
	for (uint32_t i = 0; i < n; i++)
		*LIST_ADD(a, &in.tags) = (struct autoscaling_tag){.resource_id = in.auto_scaling_group_name,
		                                                  .resource_type = S("auto-scaling-group"),
		                                                  .key = tags[i].key,
		                                                  .value = tags[i].value,
		                                                  .propagate_at_launch = OPT_BOOL(true)};
	in.tags.set = true;
	ask_of(q, &autoscaling_api, "CreateAutoScalingGroup", &in);
}

/* What it launches, and how many. With an additional batch the group may be larger for a while, and has that many more. */
static void change_sizes(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct autoscaling_update_auto_scaling_group_type in = {
	        .auto_scaling_group_name = environment_scaling_name(a, r),
	        .default_cooldown = OPT_INT(option_number(r, "aws:autoscaling:asg", "Cooldown")),
	        .capacity_rebalance = rebalances(r)};
	launch_policy(a, r, &in.launch_template, &in.mixed_instances_policy);
	sizes(r, &in.min_size, &in.max_size);
	if (r->batch.set) {
		int64_t wanted = r->batch.v + r->extra.v;
		in.desired_capacity = OPT_INT(wanted);
		in.max_size = OPT_INT(wanted > in.max_size.v ? wanted : in.max_size.v);
	}
	ask_of(q, &autoscaling_api, "UpdateAutoScalingGroup", &in);
}

/* What comes in by the load balancer, where there is one. */
static void open_port(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct ec2_authorize_security_group_ingress_request in = {.group_id = r->group};
	struct ec2_ip_permission *p = LIST_ADD(a, &in.ip_permissions);
	*p = (struct ec2_ip_permission){.ip_protocol = S("tcp"), .from_port = OPT_INT(80), .to_port = OPT_INT(80)};
	in.ip_permissions.set = true;
	if (environment_balanced(r)) {
		LIST_ADD(a, &p->user_id_group_pairs)->group_id = r->balancer_group;
		p->user_id_group_pairs.set = true;
	} else {
		LIST_ADD(a, &p->ip_ranges)->cidr_ip = S("0.0.0.0/0");
		p->ip_ranges.set = true;
	}
	ask_of(q, &ec2_api, "AuthorizeSecurityGroupIngress", &in);
}

struct str environment_bucket(struct arena *a, const struct environment_record *r, struct str region)
{
	struct str rest = r->environment->environment_arn, account = STR_NONE; /* arn:aws:elasticbeanstalk:REGION:ACCOUNT:... */
	for (int i = 0; i < 5; i++)
		account = str_cut(&rest, ':');
	return ARENA_CAT(a, S("elasticbeanstalk-"), region, S("-"), account);
}

void environment_ask(const struct question *q, struct arena *a, const struct environment_record *r, enum ask_kind kind)
{
	struct str group = environment_group_name(a, r);
	if (beside_is(kind)) {
		const char *operation;
		const void *in;
		const struct api *api = beside_question(a, r, kind, &operation, &in);
		ask_of(q, api, operation, in);
		return;
	}
	switch (kind) {
	case ASK_NOTHING:
		break;
	case ASK_EXTRA:
		extra_ask(q, a, r);
		break;
	case ASK_EXTRA_DROP:
		routes_ask(q, a, r,
		           &(struct extra){true, false, EXTRA_TARGETS, S(""), S(""),
		                           r->extras.n ? r->extras.v[r->extras.n - 1].arn : S("")});
		break;
	case ASK_BUCKET:
		ask_of(q, &elasticbeanstalk_api, "CreateStorageLocation", &(struct model_none){0});
		break;
	case ASK_SAMPLE: {
		struct str place = environment_bucket(a, r, q->region);
		const struct platform *p = platform_of(r->environment->solution_stack_name);
		struct str name = p ? str_from(p->name) : S("");
		const struct s3_put_object_request in = {.bucket = place, .key = sample_key(a, name)};
		call_op_body(q->cloud, q->owner, q->region, &s3_api, "PutObject", &in, sample_bundle(a, name), q->done, q->ctx);
		break;
	}
	case ASK_SUBNETS: {
		struct str vpc = option_value(r, VPC, "VPCId");
		ask_of(q, &ec2_api, "DescribeSubnets",
		       &(struct ec2_describe_subnets_request){.filters = vpc.n ? filter(a, "vpc-id", vpc)
		                                                               : filter(a, "default-for-az", S("true"))});
		break;
	}
	case ASK_GROUP:
		ask_of(q, &ec2_api, "CreateSecurityGroup",
		       &(struct ec2_create_security_group_request){.description =
		                                                           S("SecurityGroup for ElasticBeanstalk environment."),
		                                                   .group_name = group,
		                                                   .vpc_id = r->vpc,
		                                                   .tag_specifications = tagged(a, r, "security-group")});
		break;
	case ASK_GROUP_THERE:
		ask_of(q, &ec2_api, "DescribeSecurityGroups",
		       &(struct ec2_describe_security_groups_request){.filters = filter(a, "group-name", group)});
		break;
	case ASK_OPEN:
		open_port(q, a, r);
		break;
	case ASK_ADDRESS_THERE:
		ask_of(q, &ec2_api, "DescribeAddresses",
		       &(struct ec2_describe_addresses_request){
		               .filters = filter(a, "tag:elasticbeanstalk:environment-id", r->environment->environment_id)});
		break;
	case ASK_ADDRESS:
		ask_of(q, &ec2_api, "AllocateAddress",
		       &(struct ec2_allocate_address_request){.domain = S("vpc"),
		                                              .tag_specifications = tagged(a, r, "elastic-ip")});
		break;
	case ASK_TEMPLATE:
		make_template(q, a, r, false);
		break;
	case ASK_SCALING:
	case ASK_OTHER_SCALING:
		make_scaling(q, a, r, kind == ASK_OTHER_SCALING);
		break;
	case ASK_MEMBER: {
		struct autoscaling_auto_scaling_group_names_type in = {0};
		*LIST_ADD(a, &in.auto_scaling_group_names) = environment_scaling_name(a, r);
		if (r->temporary.v)
			*LIST_ADD(a, &in.auto_scaling_group_names) = environment_other_scaling_name(a, r);
		in.auto_scaling_group_names.set = true;
		ask_of(q, &autoscaling_api, "DescribeAutoScalingGroups", &in);
		break;
	}
	case ASK_SIZES:
		change_sizes(q, a, r);
		break;
	case ASK_ASSOCIATE:
		ask_of(q, &ec2_api, "AssociateAddress",
		       &(struct ec2_associate_address_request){
		               .allocation_id = r->allocation, .instance_id = r->instance, .allow_reassociation = OPT_BOOL(true)});
		break;
	case ASK_DEAD_QUEUE:
	case ASK_QUEUE:
	case ASK_DROP_QUEUE:
	case ASK_DROP_DEAD_QUEUE:
	case ASK_QUEUE_SET:
	case ASK_DEAD_QUEUE_SET: {
		const void *in;
		const char *operation = worker_question(a, r, q->region, kind, &in);
		ask_of(q, &sqs_api, operation, in);
		break;
	}
	case ASK_VERSION:
		make_template(q, a, r, true);
		break;
	case ASK_DROP_MEMBER:
		ask_of(q, &autoscaling_api, "TerminateInstanceInAutoScalingGroup",
		       &(struct autoscaling_terminate_instance_in_auto_scaling_group_type){
		               .instance_id = r->instance, .should_decrement_desired_capacity = OPT_BOOL(false)});
		break;
	case ASK_DROP_SCALING:
		ask_of(q, &autoscaling_api, "DeleteAutoScalingGroup",
		       &(struct autoscaling_delete_auto_scaling_group_type){
		               .auto_scaling_group_name = environment_scaling_name(a, r), .force_delete = OPT_BOOL(true)});
		break;
	case ASK_DROP_TEMPLATE:
		ask_of(q, &ec2_api, "DeleteLaunchTemplate",
		       &(struct ec2_delete_launch_template_request){.launch_template_name = environment_template_name(a, r)});
		break;
	case ASK_DROP_ADDRESS:
		ask_of(q, &ec2_api, "ReleaseAddress", &(struct ec2_release_address_request){.allocation_id = r->allocation});
		break;
	case ASK_DROP_GROUP:
		ask_of(q, &ec2_api, "DeleteSecurityGroup", &(struct ec2_delete_security_group_request){.group_name = group});
		break;
	default:
		environment_ask_balance(q, a, r, kind);
		break;
	}
}

/* --- answers */

static void take_group(struct arena *a, struct answer *to, const struct autoscaling_auto_scaling_group *g)
{
	bool other = str_find(g->auto_scaling_group_name, S("-immutable-stack-")) >= 0;
	struct str_list *in = other ? &to->other : &to->all;
	to->second = S("there");
	for (uint32_t i = 0; i < g->instances.n; i++)
		if (str_is(g->instances.v[i].lifecycle_state, "InService"))
			*LIST_ADD(a, in) = arena_dup(a, g->instances.v[i].instance_id);
	to->unsettled |= in->n != g->instances.n || in->n != (uint32_t)g->desired_capacity.v;
}

void environment_take(struct arena *a, struct answer *to, const struct call *sub)
{
	switch (to->kind) {
	case ASK_BUCKET:
		to->first =
		        arena_dup(a, ((const struct elasticbeanstalk_create_storage_location_result_message *)sub->out)->s3_bucket);
		break;
	case ASK_SUBNETS: {
		const struct ec2_describe_subnets_result *out = sub->out;
		for (uint32_t i = 0; i < out->subnets.n; i++)
			*LIST_ADD(a, &to->all) = arena_dup(a, out->subnets.v[i].subnet_id);
		to->first = out->subnets.n ? arena_dup(a, out->subnets.v[0].vpc_id) : STR_NONE;
		break;
	}
	case ASK_GROUP:
		to->first = arena_dup(a, ((const struct ec2_create_security_group_result *)sub->out)->group_id);
		break;
	case ASK_GROUP_THERE: {
		const struct ec2_describe_security_groups_result *out = sub->out;
		to->first = out->security_groups.n ? arena_dup(a, out->security_groups.v[0].group_id) : STR_NONE;
		break;
	}
	case ASK_ADDRESS_THERE: {
		const struct ec2_describe_addresses_result *out = sub->out;
		if (out->addresses.n) {
			to->first = arena_dup(a, out->addresses.v[0].allocation_id);
			to->second = arena_dup(a, out->addresses.v[0].public_ip);
		}
		break;
	}
	case ASK_ADDRESS: {
		const struct ec2_allocate_address_result *out = sub->out;
		to->first = arena_dup(a, out->allocation_id);
		to->second = arena_dup(a, out->public_ip);
		break;
	}
	case ASK_EXTRA:
		to->first = routes_answer(a, sub);
		break;
	case ASK_TOPIC:
		to->first = beside_answer(a, sub->out);
		break;
	case ASK_DEAD_QUEUE:
	case ASK_QUEUE:
		to->first = worker_answer(a, sub->out);
		break;
	case ASK_MEMBER: {
		const struct autoscaling_auto_scaling_groups_type *out = sub->out;
		for (uint32_t k = 0; k < out->auto_scaling_groups.n; k++)
			take_group(a, to, &out->auto_scaling_groups.v[k]);
		to->first = to->all.n ? to->all.v[0] : STR_NONE;
		break;
	}
	default:
		environment_take_balance(a, to, sub);
		break;
	}
}
