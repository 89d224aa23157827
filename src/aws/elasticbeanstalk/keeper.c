/* Looks after environments: one step at a time towards what their records say, by other services' operations. Nothing but the
 * record says how far it has come, so a new api asks for the same step again. */
#include "health.h"

#include "aws/ec2/ec2.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "core/rounds.h"
#include "elasticbeanstalk.h"
#include "gen/autoscaling.h"
#include "gen/ec2.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

enum { EDIT_AGAIN_US = 1000000 };

struct environment_keeper {
	struct round_item round; /* first: rounds.h */
	struct environment_keepers *all;
	struct str account, region, id;
	struct arena arena, scratch; /* scratch: of the step under way, and of its question */
	const struct principal *owner;
	struct loop_timer *timer;
	struct environment_record record;
	struct scope scope;
	struct next next;
	enum ask_kind later; /* is asked when the timer is over */
	bool asking, checks, gone;
	struct arena answers;
	struct answer answer;
	struct str cname; /* as it is in the map of names */
	uint32_t address;
	struct health_sample sample;
};

struct environment_keepers {
	struct cloud *cloud;
	struct events *events;
	struct map environments; /* by key */
	struct map cnames;
	struct store_watch *watch;
	struct ec2_instances_watch *instances;
	struct rounds rounds;
};

static void mark(struct environment_keeper *k)
{
	rounds_mark(&k->all->rounds, &k->round);
}

/* --- asking */

static void take_answer(struct environment_keeper *k, const struct call *sub)
{
	struct arena *a = &k->answers;
	struct answer *to = &k->answer;
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
	case ASK_MEMBER: {
		const struct autoscaling_auto_scaling_groups_type *out = sub->out;
		if (!out->auto_scaling_groups.n)
			break;
		to->second = S("there");
		const struct autoscaling_instances *all = &out->auto_scaling_groups.v[0].instances;
		for (uint32_t i = 0; i < all->n && !str_set(to->first); i++)
			if (str_is(all->v[i].lifecycle_state, "InService"))
				to->first = arena_dup(a, all->v[i].instance_id);
		break;
	}
	default:
		break;
	}
}

static void answered(void *ctx, struct call *sub)
{
	struct environment_keeper *k = ctx;
	arena_reset(&k->answers); /* not before: the record that the question is about has words of the last answer */
	k->asking = false;
	if (str_set(sub->error.code)) {
		k->answer.code = arena_dup(&k->answers, sub->error.code);
		k->answer.message = arena_dup(&k->answers, str_set(sub->error.message) ? sub->error.message : S(""));
		k->answer.ours = sub->error.receiver || str_is(sub->error.code, "RequestLimitExceeded") ||
		                 str_is(sub->error.code, "Throttling");
		if (k->answer.ours)
			log_warn("elasticbeanstalk: %.*s: %.*s", STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	} else {
		take_answer(k, sub);
	}
	mark(k);
}

static void ask_of(struct environment_keeper *k, const struct api *api, const char *operation, const void *in)
{
	call_op(k->all->cloud, k->owner, k->region, api, operation, in, answered, k);
}

static struct ec2_tag_list tags_of(struct arena *a, const struct environment_record *r)
{
	struct ec2_tag_list l = {.set = true};
	for (uint32_t i = 0; i < r->tags.n; i++)
		*LIST_ADD(a, &l) = (struct ec2_tag){r->tags.v[i].key, r->tags.v[i].value};
	*LIST_ADD(a, &l) = (struct ec2_tag){S("elasticbeanstalk:environment-name"), r->environment->environment_name};
	*LIST_ADD(a, &l) = (struct ec2_tag){S("elasticbeanstalk:environment-id"), r->environment->environment_id};
	*LIST_ADD(a, &l) = (struct ec2_tag){S("Name"), r->environment->environment_name};
	return l;
}

static struct ec2_tag_specification_list tagged(struct arena *a, const struct environment_record *r, const char *type)
{
	struct ec2_tag_specification_list l = {.set = true};
	*LIST_ADD(a, &l) = (struct ec2_tag_specification){.resource_type = str_from(type), .tags = tags_of(a, r)};
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

/* version: another one of the template that is there. */
static void make_template(struct environment_keeper *k, struct arena *a, const struct environment_record *r, bool version)
{
	struct str types = option_value(r, "aws:ec2:instances", "InstanceTypes");
	struct str profile = option_value(r, "aws:autoscaling:launchconfiguration", "IamInstanceProfile");
	bool arn = str_starts(profile, S("arn:"));
	struct ec2_launch_template_iam_instance_profile_specification_request p = {.arn = arn ? profile : STR_NONE,
	                                                                           .name = arn ? STR_NONE : profile};
	struct str script =
	        arena_printf(a,
	                     "#!/bin/sh\nmkdir -p /etc/elasticbeanstalk\necho '{\"environment\": \"%.*s\", \"region\": \"%.*s\"}' "
	                     "> /etc/elasticbeanstalk/environment.json\n",
	                     STR_ARG(k->id), STR_ARG(k->region));
	struct ec2_request_launch_template_data data = {
	        .iam_instance_profile = &p,
	        .image_id = r->image,
	        .instance_type = types.n ? types : option_value(r, "aws:autoscaling:launchconfiguration", "InstanceType"),
	        .key_name = option_value(r, "aws:autoscaling:launchconfiguration", "EC2KeyName"),
	        .user_data = base64_encode(a, script)};
	*LIST_ADD(a, &data.security_group_ids) = r->group;
	data.security_group_ids.set = true;
	if (version) {
		ask_of(k, &ec2_api, "CreateLaunchTemplateVersion",
		       &(struct ec2_create_launch_template_version_request){.launch_template_name = environment_template_name(a, r),
		                                                            .launch_template_data = &data});
		return;
	}
	const struct ec2_create_launch_template_request in = {.launch_template_name = environment_template_name(a, r),
	                                                      .launch_template_data = &data,
	                                                      .tag_specifications = tagged(a, r, "launch-template")};
	ask_of(k, &ec2_api, "CreateLaunchTemplate", &in);
}

static void make_scaling(struct environment_keeper *k, struct arena *a, const struct environment_record *r)
{
	struct autoscaling_launch_template_specification template = {.launch_template_name = environment_template_name(a, r),
	                                                             .version = S("$Latest")};
	struct autoscaling_create_auto_scaling_group_type in = {.auto_scaling_group_name = environment_scaling_name(a, r),
	                                                        .launch_template = &template,
	                                                        .min_size = OPT_INT(1),
	                                                        .max_size = OPT_INT(1),
	                                                        .vpc_zone_identifier = S("")};
	struct ec2_tag_list tags = tags_of(a, r);
	for (uint32_t i = 0; i < r->subnets.n; i++)
		in.vpc_zone_identifier = ARENA_CAT(a, in.vpc_zone_identifier, i ? S(",") : S(""), r->subnets.v[i]);
	for (uint32_t i = 0; i < tags.n; i++)
		*LIST_ADD(a, &in.tags) = (struct autoscaling_tag){.resource_id = in.auto_scaling_group_name,
		                                                  .resource_type = S("auto-scaling-group"),
		                                                  .key = tags.v[i].key,
		                                                  .value = tags.v[i].value,
		                                                  .propagate_at_launch = OPT_BOOL(true)};
	in.tags.set = true;
	ask_of(k, &autoscaling_api, "CreateAutoScalingGroup", &in);
}

static void open_port(struct environment_keeper *k, struct arena *a, const struct environment_record *r)
{
	struct ec2_authorize_security_group_ingress_request in = {.group_id = r->group};
	struct ec2_ip_permission *p = LIST_ADD(a, &in.ip_permissions);
	*p = (struct ec2_ip_permission){.ip_protocol = S("tcp"), .from_port = OPT_INT(80), .to_port = OPT_INT(80)};
	LIST_ADD(a, &p->ip_ranges)->cidr_ip = S("0.0.0.0/0");
	in.ip_permissions.set = p->ip_ranges.set = true;
	ask_of(k, &ec2_api, "AuthorizeSecurityGroupIngress", &in);
}

static void ask(struct environment_keeper *k, enum ask_kind kind)
{
	struct arena *a = &k->scratch;
	const struct environment_record *r = &k->record;
	struct str group = environment_group_name(a, r);
	k->answer = (struct answer){.kind = kind};
	k->asking = true;
	switch (kind) {
	case ASK_NOTHING:
		k->asking = false;
		break;
	case ASK_BUCKET:
		ask_of(k, &elasticbeanstalk_api, "CreateStorageLocation", &(struct model_none){0});
		break;
	case ASK_SUBNETS:
		ask_of(k, &ec2_api, "DescribeSubnets",
		       &(struct ec2_describe_subnets_request){.filters = filter(a, "default-for-az", S("true"))});
		break;
	case ASK_GROUP:
		ask_of(k, &ec2_api, "CreateSecurityGroup",
		       &(struct ec2_create_security_group_request){.description =
		                                                           S("SecurityGroup for ElasticBeanstalk environment."),
		                                                   .group_name = group,
		                                                   .vpc_id = r->vpc,
		                                                   .tag_specifications = tagged(a, r, "security-group")});
		break;
	case ASK_GROUP_THERE:
		ask_of(k, &ec2_api, "DescribeSecurityGroups",
		       &(struct ec2_describe_security_groups_request){.filters = filter(a, "group-name", group)});
		break;
	case ASK_OPEN:
		open_port(k, a, r);
		break;
	case ASK_ADDRESS_THERE:
		ask_of(k, &ec2_api, "DescribeAddresses",
		       &(struct ec2_describe_addresses_request){.filters =
		                                                        filter(a, "tag:elasticbeanstalk:environment-id", k->id)});
		break;
	case ASK_ADDRESS:
		ask_of(k, &ec2_api, "AllocateAddress",
		       &(struct ec2_allocate_address_request){.domain = S("vpc"),
		                                              .tag_specifications = tagged(a, r, "elastic-ip")});
		break;
	case ASK_TEMPLATE:
		make_template(k, a, r, false);
		break;
	case ASK_SCALING:
		make_scaling(k, a, r);
		break;
	case ASK_MEMBER: {
		struct autoscaling_auto_scaling_group_names_type in = {0};
		*LIST_ADD(a, &in.auto_scaling_group_names) = environment_scaling_name(a, r);
		in.auto_scaling_group_names.set = true;
		ask_of(k, &autoscaling_api, "DescribeAutoScalingGroups", &in);
		break;
	}
	case ASK_ASSOCIATE:
		ask_of(k, &ec2_api, "AssociateAddress",
		       &(struct ec2_associate_address_request){
		               .allocation_id = r->allocation, .instance_id = r->instance, .allow_reassociation = OPT_BOOL(true)});
		break;
	case ASK_VERSION:
		make_template(k, a, r, true);
		break;
	case ASK_DROP_MEMBER:
		ask_of(k, &autoscaling_api, "TerminateInstanceInAutoScalingGroup",
		       &(struct autoscaling_terminate_instance_in_auto_scaling_group_type){
		               .instance_id = r->instance, .should_decrement_desired_capacity = OPT_BOOL(false)});
		break;
	case ASK_DROP_SCALING:
		ask_of(k, &autoscaling_api, "DeleteAutoScalingGroup",
		       &(struct autoscaling_delete_auto_scaling_group_type){
		               .auto_scaling_group_name = environment_scaling_name(a, r), .force_delete = OPT_BOOL(true)});
		break;
	case ASK_DROP_TEMPLATE:
		ask_of(k, &ec2_api, "DeleteLaunchTemplate",
		       &(struct ec2_delete_launch_template_request){.launch_template_name = environment_template_name(a, r)});
		break;
	case ASK_DROP_ADDRESS:
		ask_of(k, &ec2_api, "ReleaseAddress", &(struct ec2_release_address_request){.allocation_id = r->allocation});
		break;
	case ASK_DROP_GROUP:
		ask_of(k, &ec2_api, "DeleteSecurityGroup", &(struct ec2_delete_security_group_request){.group_name = group});
		break;
	}
}

/* --- steps */

static void run_step(void *item);

static void woken(void *ctx)
{
	struct environment_keeper *k = ctx;
	enum ask_kind later = k->later;
	k->timer = NULL;
	k->later = ASK_NOTHING;
	if (later)
		ask(k, later);
	else
		mark(k);
}

/* Another one may have got the name meanwhile. */
static void forget_name(struct environment_keeper *k)
{
	if (str_set(k->cname) && map_get(&k->all->cnames, k->cname) == k)
		map_remove(&k->all->cnames, k->cname);
	k->cname = STR_NONE;
}

static void note_name(struct environment_keeper *k)
{
	const struct elasticbeanstalk_environment_description *e = k->record.environment;
	struct in_addr at;
	bool live = e && !str_is(e->status, "Terminated") && str_set(k->record.address) && str_set(k->record.instance);
	k->address = live && inet_aton(arena_dupz(&k->scratch, k->record.address), &at) ? ntohl(at.s_addr) : 0;
	if (live && str_eq(k->cname, e->cname))
		return;
	forget_name(k);
	if (live) {
		k->cname = arena_dup(&k->arena, e->cname);
		map_put(&k->all->cnames, k->cname, k);
	}
}

static void keeper_free(struct environment_keeper *k)
{
	forget_name(k);
	loop_remove_timer(k->all->cloud->loop, k->timer);
	principal_unref(k->owner);
	arena_done(&k->scratch);
	arena_done(&k->answers);
	arena_done(&k->arena);
	free(k);
}

static void stepped(void *ctx, int result, uint64_t revision)
{
	struct environment_keeper *k = ctx;
	struct loop *l = k->all->cloud->loop;
	(void)revision;
	if (result == -EAGAIN) {
		k->checks = true;
		run_step(k);
		return;
	}
	if (result < 0) {
		log_error("elasticbeanstalk: an environment's state could not be written, and is tried again: %s",
		          strerror(-result));
		loop_add_timer(l, EDIT_AGAIN_US, run_step, k);
		return;
	}
	note_name(k);
	k->answer = (struct answer){0};
	if (k->next.over && !k->round.dirty) {
		struct arena CLEAN_ARENA a = {0};
		struct scope s = {.arena = &a, .account = k->account, .region = k->region};
		map_remove(&k->all->environments, environment_key(&s, k->id));
		keeper_free(k);
		return;
	}
	k->round.busy = false;
	if (k->next.wait_ms) {
		k->later = k->next.ask;
		k->timer = loop_add_clock_timer(l, k->next.wait_ms * 1000, woken, k);
	} else if (k->next.ask) {
		ask(k, k->next.ask);
	}
	if (k->round.dirty || (k->next.changed && !k->next.ask))
		mark(k);
}

static void run_step(void *item)
{
	struct environment_keeper *k = item;
	if (k->asking || k->later) { /* its answer, or its time, comes and marks it */
		k->round.busy = false;
		return;
	}
	loop_remove_timer(k->all->cloud->loop, k->timer);
	k->timer = NULL;
	arena_reset(&k->scratch);
	k->record = (struct environment_record){0};
	k->scope = (struct scope){.arena = &k->scratch,
	                          .cloud = k->all->cloud,
	                          .account = k->account,
	                          .region = k->region,
	                          .now_ms = clock_wall_ms()};
	k->scope.txn = store_begin(k->all->cloud->store, &k->scratch);
	k->next = (struct next){.over = true};
	if (environment_find(&k->scope, k->id, &k->record)) {
		bool checks = k->checks && k->answer.kind == ASK_NOTHING;
		k->next = environment_step(&k->scope, &k->record, &k->answer, checks, &k->sample);
		if (checks)
			k->checks = false;
		if (k->next.changed && str_is(k->record.environment->status, "Terminated"))
			environment_forget(&k->scope, &k->record);
		else if (k->next.changed)
			environment_put(&k->scope, &k->record);
	}
	store_commit(k->scope.txn, stepped, k);
}

/* --- finding what there is */

static struct environment_keeper *keeper_of(struct environment_keepers *all, struct arena *a, struct str key)
{
	struct str_list parts = record_key_parts(a, key);
	struct environment_keeper *k = map_get(&all->environments, key);
	if (k || parts.n != 5)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k)
		abort();
	k->all = all;
	k->account = arena_dup(&k->arena, parts.v[2]);
	k->region = arena_dup(&k->arena, parts.v[3]);
	k->id = arena_dup(&k->arena, parts.v[4]);
	k->checks = true;
	k->sample.since_ms = clock_wall_ms();
	/* The role that AWS makes for Elastic Beanstalk in an account may do what an environment needs. */
	k->owner = principal_new(PRINCIPAL_ROOT, k->account);
	map_put(&all->environments, key, k);
	return k;
}

static void environment_changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	struct environment_keeper *k = keeper_of(ctx, &a, e->key);
	if (k)
		mark(k);
}

static void instance_changed(void *ctx, struct str account, struct str region, struct str id)
{
	struct environment_keepers *all = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	(void)id;
	while (map_next(&all->environments, &at, &key, &value)) {
		struct environment_keeper *k = value;
		if (str_eq(k->account, account) && str_eq(k->region, region)) {
			k->checks = true;
			mark(k);
		}
	}
}

uint32_t elasticbeanstalk_address(const struct cloud *cloud, struct str cname)
{
	struct environment_keepers *all = cloud_state(cloud, &elasticbeanstalk_service);
	const struct environment_keeper *k = all ? map_get(&all->cnames, cname) : NULL;
	return k ? k->address : 0;
}

struct health_sample environment_sample(const struct cloud *cloud, struct str key)
{
	const struct environment_keepers *all = cloud_state(cloud, &elasticbeanstalk_service);
	const struct environment_keeper *k = map_get(&all->environments, key);
	return k ? k->sample : (struct health_sample){.since_ms = clock_wall_ms()};
}

void environment_sampled(const struct cloud *cloud, struct str key, const struct health_sample *sample, bool news)
{
	const struct environment_keepers *all = cloud_state(cloud, &elasticbeanstalk_service);
	struct environment_keeper *k = map_get(&all->environments, key);
	if (!k)
		return;
	k->sample = *sample;
	if (news)
		mark(k);
}

struct events *environments_events(struct cloud *cloud)
{
	return ((struct environment_keepers *)cloud_state(cloud, &elasticbeanstalk_service))->events;
}

struct environment_keepers *environments_keep(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct environment_keepers *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->cloud = cloud;
	all->events = events_new();
	all->rounds = (struct rounds){.loop = cloud->loop, .items = &all->environments, .step = run_step};
	struct str under = KEY_UNDER(&a, S("elasticbeanstalk"), S("environment")), last = store_prefix_end(&a, under), key;
	all->watch = store_watch(cloud->store, under, last, store_revision(cloud->store), environment_changed, all);
	all->instances = ec2_watch_instances(cloud, instance_changed, all);
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, last, false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct environment_keeper *k = keeper_of(all, &a, key);
		if (k)
			mark(k);
	}
	store_abort(t);
	return all;
}

void environments_let_go(struct environment_keepers *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	ec2_unwatch_instances(all->instances);
	rounds_end(&all->rounds);
	while (map_next(&all->environments, &at, &key, &value))
		keeper_free(value);
	map_done(&all->environments);
	map_done(&all->cnames);
	events_free(all->events);
	free(all);
}
