/* RunInstances: everything is checked before the first record is written; machines follow the records (instances.c). */
#include "aws/ec2/instance/run.h"
#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/capacity/placement.h"
#include "aws/ec2/capacity/quota.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/instance/credit.h"
#include "aws/ec2/instance/instances.h"
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/instance/profile.h"
#include "aws/iam/iam.h"
#include "base/base64.h"
#include "core/chaos.h"

enum { COUNT_MAX = 1000 };

static int unsupported(struct call *c, const char *what)
{
	return call_fail(c, "UnsupportedOperation", 400, "%s not supported.", what);
}

static int check_unsupported(struct call *c, const struct ec2_run_instances_request *in)
{
	if (in->enable_primary_ipv6.v)
		return unsupported(c, "Primary IPv6 addresses are");
	if (in->kernel_id.n || in->ramdisk_id.n)
		return unsupported(c, "Kernels of one's own are");
	if (in->hibernation_options && in->hibernation_options->configured.v)
		return call_fail(c, "UnsupportedHibernationConfiguration", 400,
		                 "Hibernation is not supported: no instance here can be hibernated.");
	const struct ec2_instance_maintenance_options_request *kept = in->maintenance_options;
	const struct ec2_private_dns_name_options_request *names = in->private_dns_name_options;
	if (in->enclave_options && in->enclave_options->enabled.v)
		return unsupported(c, "Enclaves are");
	if (kept && kept->auto_recovery.n && !str_is(kept->auto_recovery, "disabled"))
		return unsupported(c, "Automatic recovery is");
	if (names && ((names->hostname_type.n && !str_is(names->hostname_type, "ip-name")) ||
	              names->enable_resource_name_dns_a_record.v || names->enable_resource_name_dns_aaaa_record.v))
		return unsupported(c, "Names after instances' ids are");
	if (in->license_specifications.n || in->elastic_gpu_specification.n || in->elastic_inference_accelerators.n ||
	    in->network_performance_options || in->operator|| in->secondary_interfaces.n)
		return unsupported(c, "Licences, accelerators and options of network performance are");
	return CALL_OK;
}

static int take_counts(struct call *c, const struct ec2_run_instances_request *in)
{
	if (!in->min_count.set || !in->max_count.set)
		return ec2_missing(c, in->min_count.set ? "MaxCount" : "MinCount");
	if (in->min_count.v < 1 || in->max_count.v < 1 || in->max_count.v > COUNT_MAX)
		return ec2_invalid(c, "Value (%lld) for parameter minCount is invalid. Expected a number from 1 to %d.",
		                   (long long)in->min_count.v, COUNT_MAX);
	if (in->min_count.v > in->max_count.v)
		return ec2_combination(c, "The parameter maxCount must be greater than or equal to minCount");
	return CALL_OK;
}

static int no_capacity(struct call *c, const struct launch *l)
{
	return call_fail(c, "InsufficientInstanceCapacity", 500,
	                 "We currently do not have sufficient %s capacity in the Availability Zone you requested (%.*s).",
	                 l->type->name, STR_ARG(l->subnet.availability_zone));
}

/* Cores and threads are named freely, but all of the type's vCPUs are used. */
static int take_cpu_options(struct call *c, const struct launch *l)
{
	const struct ec2_cpu_options_request *o = l->in->cpu_options;
	if (!o)
		return CALL_OK;
	if (o->amd_sev_snp.n || o->nested_virtualization.n)
		return unsupported(c, "Options of processors other than counts are");
	if (!o->core_count.set || !o->threads_per_core.set)
		return ec2_missing(c, o->core_count.set ? "ThreadsPerCore" : "CoreCount");
	if (o->threads_per_core.v < 1 || o->threads_per_core.v > 2 || o->core_count.v < 1 ||
	    o->core_count.v * o->threads_per_core.v > l->type->vcpus)
		return ec2_invalid(
		        c, "CpuOptions: Core count of %lld and threads per core of %lld are not valid for instance type %s.",
		        (long long)o->core_count.v, (long long)o->threads_per_core.v, l->type->name);
	if (o->core_count.v * o->threads_per_core.v != l->type->vcpus)
		return unsupported(c, "Fewer processors than the type has are");
	return CALL_OK;
}

static int not_offered(struct call *c, const struct launch *l, struct str name)
{
	return call_fail(c, "Unsupported", 400,
	                 "Your requested instance type (%.*s) is not supported in your requested Availability Zone (%.*s).",
	                 STR_ARG(name), STR_ARG(l->subnet.availability_zone));
}

/* Is it a type of Amazon's? Of some nothing more than the name is known here. */
static bool type_is_named(struct str name)
{
	const struct shape *s = api_shape_named(&ec2_api, S("InstanceType"));
	for (uint32_t k = 0; k < s->enums; k++)
		if (str_eq(api_text(&ec2_api, ec2_api.enum_values[s->enum_first + k]), name))
			return true;
	return false;
}

static int take_type(struct call *c, struct launch *l)
{
	struct str name = str_set(l->in->instance_type) ? l->in->instance_type : S("m1.small");
	l->type = instance_type_find(name);
	if (!l->type && type_is_named(name))
		return not_offered(c, l, name);
	if (!l->type)
		return ec2_invalid(c, "Invalid value '%.*s' for InstanceType.", STR_ARG(name));
	if (!str_is(l->image.image->architecture, "x86_64") || !(l->type->architectures & ARCH_X86_64))
		return ec2_invalid(
		        c,
		        "The architecture '%s' of the specified instance type does not match the architecture '%.*s' of the specified AMI. "
		        "Specify an instance type and an AMI that have matching architectures, and try again. You can use "
		        "'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.",
		        l->type->architectures & ARCH_X86_64 ? "x86_64" : "arm64", STR_ARG(l->image.image->architecture));
	if (instance_type_accelerated(l->type))
		return no_capacity(c, l);
	if (!instance_type_offered(l->type))
		return not_offered(c, l, name);
	return CALL_OK;
}

int ec2_run_take_profile(struct call *c, struct launch *l)
{
	const struct ec2_iam_instance_profile_specification *p = l->in->iam_instance_profile;
	struct str role;
	if (!p || (!p->arn.n && !p->name.n))
		return CALL_OK;
	if (p->arn.n && p->name.n)
		return ec2_combination(
		        c, "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'");
	struct str name = p->arn.n ? p->arn : p->name;
	if (!iam_find_profile(c->cloud, c->arena, c->account, name, &l->profile.arn, &l->profile.id, &role))
		return ec2_invalid(c,
		                   "Value (%.*s) for parameter iamInstanceProfile.%s is invalid. Invalid IAM Instance Profile %s",
		                   STR_ARG(name), p->arn.n ? "arn" : "name", p->arn.n ? "ARN" : "name");
	if (!str_set(role))
		return ec2_invalid(c, "IAM Instance Profile \"%.*s\" has no associated IAM Roles", STR_ARG(l->profile.arn));
	struct authz az = {.action = S("iam:PassRole"), .resource = role};
	authz_add(c, &az, "iam:PassedToService", S("ec2.amazonaws.com"));
	return call_authorize(c, &az) ? CALL_OK : CALL_FAIL;
}

static int take_user_data(struct call *c, struct launch *l)
{
	if (!l->in->user_data.n)
		return CALL_OK;
	l->user_data = base64_decode(c->arena, l->in->user_data);
	if (!str_set(l->user_data))
		return call_fail(c, "InvalidUserData.Malformed", 400, "Invalid BASE64 encoding of user data.");
	if (l->user_data.n > EC2_USER_DATA_MAX)
		return ec2_invalid(c, "User data is limited to %d bytes", EC2_USER_DATA_MAX);
	return CALL_OK;
}

static int take_metadata_options(struct call *c, const struct ec2_instance_metadata_options_request *m)
{
	if (!m)
		return CALL_OK;
	if (m->http_put_response_hop_limit.set && (m->http_put_response_hop_limit.v < 1 || m->http_put_response_hop_limit.v > 64))
		return ec2_invalid(c, "The value %lld of HttpPutResponseHopLimit is not from 1 to 64",
		                   (long long)m->http_put_response_hop_limit.v);
	return CALL_OK;
}

/* --- disks */

bool ec2_device_name_good(struct str name)
{
	struct str rest = str_starts(name, S("/dev/sd"))    ? str_from_at(name, 7)
	                  : str_starts(name, S("/dev/xvd")) ? str_from_at(name, 8)
	                                                    : STR_NONE;
	if (!rest.n || rest.n > 2)
		return false;
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] < 'a' || rest.p[i] > 'z')
			return rest.n == 2 && i == 1 && ascii_is_digit(rest.p[1]);
	return true;
}

static struct ec2_block_device_mapping *disk_named(struct launch *l, struct str name)
{
	for (uint32_t i = 0; i < l->disk_count; i++)
		if (str_eq(l->disks[i].device_name, name))
			return &l->disks[i];
	return NULL;
}

void ec2_disk_overlay(struct ec2_ebs_block_device *under, const struct ec2_ebs_block_device *over)
{
	if (over->delete_on_termination.set)
		under->delete_on_termination = over->delete_on_termination;
	if (over->snapshot_id.n)
		under->snapshot_id = over->snapshot_id;
	if (over->volume_size.set)
		under->volume_size = over->volume_size;
	if (over->volume_type.n) {
		under->volume_type = over->volume_type;
		under->iops = under->throughput = (struct opt_int){0};
	}
	if (over->iops.set)
		under->iops = over->iops;
	if (over->throughput.set)
		under->throughput = over->throughput;
}

static int take_disks(struct call *c, struct launch *l)
{
	const struct ec2_block_device_mapping_list *base = &l->image.image->block_device_mappings;
	const struct ec2_block_device_mapping_request_list *more = &l->in->block_device_mappings;
	l->disks = arena_array(c->arena, base->n + more->n + 1, sizeof(*l->disks));
	for (uint32_t i = 0; i < base->n; i++) {
		struct ec2_block_device_mapping *d = &l->disks[l->disk_count++];
		*d = base->v[i];
		d->ebs = arena_new(c->arena, struct ec2_ebs_block_device);
		*d->ebs = *base->v[i].ebs;
	}
	for (uint32_t i = 0; i < more->n; i++) {
		const struct ec2_block_device_mapping *m = &more->v[i];
		struct ec2_block_device_mapping *d = disk_named(l, m->device_name);
		if (!m->device_name.n)
			return ec2_missing(c, "deviceName");
		if (!ec2_device_name_good(m->device_name))
			return ec2_invalid(c, "Invalid device name %.*s", STR_ARG(m->device_name));
		if (m->virtual_name.n)
			return unsupported(c, "Instance store volumes are");
		if (str_set(m->no_device)) {
			if (d && str_eq(d->device_name, l->image.image->root_device_name))
				return ec2_invalid(c, "The root device cannot be left out");
			if (d)
				*d = l->disks[--l->disk_count];
			continue;
		}
		if (!m->ebs)
			return ec2_missing(c, "ebs");
		if (m->ebs->encrypted.v || m->ebs->kms_key_id.n || m->ebs->outpost_arn.n || m->ebs->volume_initialization_rate.set)
			return unsupported(c, "Encryption, outposts and initialization rates of volumes are");
		if (d) {
			ec2_disk_overlay(d->ebs, m->ebs);
			continue;
		}
		if (!m->ebs->volume_size.set && !m->ebs->snapshot_id.n)
			return ec2_missing(c, "size/snapshot");
		l->disks[l->disk_count++] = *m;
	}
	return CALL_OK;
}

/* --- one instance */

/* Whose snapshot it is, if it is the image's: who may launch that may have it. */
static struct str lender_of(const struct launch *l, struct str snapshot)
{
	const struct ec2_block_device_mapping_list *all = &l->image.image->block_device_mappings;
	for (uint32_t k = 0; k < all->n; k++)
		if (all->v[k].ebs && snapshot.n && str_eq(all->v[k].ebs->snapshot_id, snapshot))
			return l->image.image->owner_id;
	return STR_NONE;
}

static int make_disks(struct call *c, const struct launch *l, struct ec2_instance *i)
{
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t k = 0; k < l->disk_count; k++) {
		const struct ec2_block_device_mapping *d = &l->disks[k];
		bool root = str_eq(d->device_name, i->root_device_name);
		bool goes = d->ebs->delete_on_termination.set ? d->ebs->delete_on_termination.v : root;
		struct state_ec2_volume_record v;
		const struct ec2_volume_new new = {.zone = l->subnet.availability_zone,
		                                   .type = d->ebs->volume_type,
		                                   .size = d->ebs->volume_size,
		                                   .iops = d->ebs->iops,
		                                   .throughput = d->ebs->throughput,
		                                   .snapshot = d->ebs->snapshot_id,
		                                   .lender = lender_of(l, d->ebs->snapshot_id),
		                                   .tags = ec2_tags_for(c, &l->in->tag_specifications, &ec2_kind_volume)};
		if (ec2_volume_make(c, &new, &v) != CALL_OK)
			return CALL_FAIL;
		*LIST_ADD(c->arena, &v.volume->attachments) =
		        (struct ec2_volume_attachment){.volume_id = v.volume->volume_id,
		                                       .instance_id = i->instance_id,
		                                       .device = d->device_name,
		                                       .state = S("attached"),
		                                       .attach_time = OPT_TIME(c->now_ms),
		                                       .delete_on_termination = OPT_BOOL(goes)};
		ec2_put(&s, &ec2_kind_volume, v.volume->volume_id, &v);
	}
	return CALL_OK;
}

static struct ec2_instance_metadata_options_response *metadata_options(struct call *c, const struct launch *l)
{
	const struct ec2_instance_metadata_options_request *m = l->in->metadata_options;
	static const struct ec2_instance_metadata_options_request none;
	if (!m)
		m = &none;
	bool newer = str_is(l->image.image->imds_support, "v2.0");
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance_metadata_defaults_response d;
	ec2_metadata_defaults(&s, &d);
	struct opt_int hops = d.http_put_response_hop_limit.set ? d.http_put_response_hop_limit : OPT_INT(newer ? 2 : 1);
	struct ec2_instance_metadata_options_response *made = arena_new(c->arena, struct ec2_instance_metadata_options_response);
	*made = (struct ec2_instance_metadata_options_response){
	        .state = S("applied"),
	        .http_tokens = m->http_tokens.n  ? m->http_tokens
	                       : d.http_tokens.n ? d.http_tokens
	                       : newer           ? S("required")
	                                         : S("optional"),
	        .http_put_response_hop_limit = m->http_put_response_hop_limit.set ? m->http_put_response_hop_limit : hops,
	        .http_endpoint = m->http_endpoint.n  ? m->http_endpoint
	                         : d.http_endpoint.n ? d.http_endpoint
	                                             : S("enabled"),
	        .http_protocol_ipv6 = m->http_protocol_ipv6.n ? m->http_protocol_ipv6 : S("disabled"),
	        .instance_metadata_tags = m->instance_metadata_tags.n  ? m->instance_metadata_tags
	                                  : d.instance_metadata_tags.n ? d.instance_metadata_tags
	                                                               : S("disabled"),
	};
	return made;
}

/* What clients look at before they change it, or compare with what they have asked for. */
static void show_what_is_off(struct arena *a, struct ec2_instance *i)
{
	i->enclave_options = arena_new(a, struct ec2_enclave_options);
	i->enclave_options->enabled = OPT_BOOL(false);
	i->hibernation_options = arena_new(a, struct ec2_hibernation_options);
	i->hibernation_options->configured = OPT_BOOL(false);
	i->maintenance_options = arena_new(a, struct ec2_instance_maintenance_options);
	i->maintenance_options->auto_recovery = S("disabled");
	i->private_dns_name_options = arena_new(a, struct ec2_private_dns_name_options_response);
	i->private_dns_name_options->hostname_type = S("ip-name");
	i->private_dns_name_options->enable_resource_name_dns_a_record = OPT_BOOL(false);
	i->private_dns_name_options->enable_resource_name_dns_aaaa_record = OPT_BOOL(false);
}

static struct ec2_instance *make_instance(struct call *c, struct launch *l, int64_t index)
{
	const struct ec2_run_instances_request *in = l->in;
	const struct ec2_image *image = l->image.image;
	struct ec2_instance *i = arena_new(c->arena, struct ec2_instance);
	*i = (struct ec2_instance){.instance_id = ec2_new_id(c->arena, "i"),
	                           .image_id = image->image_id,
	                           .instance_type = str_from(l->type->name),
	                           .architecture = image->architecture,
	                           .state = ec2_instance_state_shape(c->arena, INSTANCE_PENDING),
	                           .state_transition_reason = S(""),
	                           .key_name = l->key.key_name,
	                           .ami_launch_index = OPT_INT(index),
	                           .launch_time = OPT_TIME(c->now_ms),
	                           .subnet_id = l->subnet.subnet_id,
	                           .vpc_id = l->subnet.vpc_id,
	                           .root_device_name = image->root_device_name,
	                           .root_device_type = S("ebs"),
	                           .virtualization_type = S("hvm"),
	                           .hypervisor = S("xen"),
	                           .client_token = in->client_token.n ? in->client_token : S(""),
	                           .ebs_optimized = OPT_BOOL(in->ebs_optimized.v),
	                           .ena_support = OPT_BOOL(true),
	                           .platform_details = S("Linux/UNIX"),
	                           .usage_operation = S("RunInstances"),
	                           .usage_operation_update_time = OPT_TIME(c->now_ms),
	                           .tags = ec2_tags_for(c, &in->tag_specifications, &ec2_kind_instance)};
	for (uint32_t k = 0; k < l->template_tags.n; k++)
		*LIST_ADD(c->arena, &i->tags) = l->template_tags.v[k];
	/* beside the account's own tags, as AWS's services mark what is theirs */
	*LIST_ADD(c->arena, &i->tags) =
	        (struct ec2_tag){.key = S("aws:" EC2_DRIVER_TAG), .value = l->container ? S("container") : S("vm")};
	i->placement = arena_new(c->arena, struct ec2_placement);
	i->placement->availability_zone = l->subnet.availability_zone;
	i->placement->availability_zone_id = l->subnet.availability_zone_id;
	placement_put(&l->place, i->placement);
	i->placement->tenancy = S("default");
	i->monitoring = arena_new(c->arena, struct ec2_monitoring);
	i->monitoring->state = in->monitoring && in->monitoring->enabled.v ? S("enabled") : S("disabled");
	i->cpu_options = arena_new(c->arena, struct ec2_cpu_options);
	i->cpu_options->core_count = in->cpu_options ? in->cpu_options->core_count : OPT_INT(l->type->vcpus);
	i->cpu_options->threads_per_core = in->cpu_options ? in->cpu_options->threads_per_core : OPT_INT(1);
	show_what_is_off(c->arena, i);
	i->metadata_options = metadata_options(c, l);
	i->capacity_reservation_specification = l->reserved.shown;
	if (l->profile.arn.n) {
		i->iam_instance_profile = arena_new(c->arena, struct ec2_iam_instance_profile);
		*i->iam_instance_profile = l->profile;
	}
	return i;
}

static int launch_one(struct call *c, struct launch *l, struct ec2_reservation *out, int64_t index)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance *i = make_instance(c, l, index);
	struct state_ec2_instance_record r = {
	        .instance = i,
	        .reservation = out->reservation_id,
	        .owner = c->account,
	        .user_data = l->user_data,
	        .public_key = l->key.public_key,
	        .no_termination = OPT_BOOL(l->in->disable_api_termination.v),
	        .no_stop = OPT_BOOL(l->in->disable_api_stop.v),
	        .terminate_on_shutdown = OPT_BOOL(str_is(l->in->instance_initiated_shutdown_behavior, "terminate")),
	        .launched = OPT_TIME(c->now_ms),
	        .changed = OPT_TIME(c->now_ms),
	        .boot = l->image.boot,
	        .container = OPT_BOOL(l->container),
	        .after_spot = OPT_BOOL(l->after_spot),
	};
	if (make_disks(c, l, i) != CALL_OK || ec2_run_make_ports(c, l, i->instance_id) != CALL_OK)
		return CALL_FAIL;
	profile_given(c, &r);
	reservation_enter(&s, &l->reserved, i);
	credit_open(&s, i, l->type, l->in->credit_specification ? l->in->credit_specification->cpu_credits : STR_NONE);
	spot_launched(c, &l->spot, l->in, &l->template_tags, &r);
	ec2_put(&s, &ec2_kind_instance, i->instance_id, &r);
	*LIST_ADD(c->arena, &out->instances) = *i;
	ec2_instance_show(c, &r, &out->instances.v[out->instances.n - 1]);
	return CALL_OK;
}

int ec2_run_instances(struct call *c, const struct ec2_run_instances_request *given, struct ec2_reservation *out)
{
	static const struct ec2_kind *const tagged[] = {&ec2_kind_instance, &ec2_kind_volume, &ec2_kind_interface,
	                                                &ec2_kind_spot_request, NULL};
	struct ec2_run_instances_request merged;
	const struct ec2_run_instances_request *in = &merged;
	struct launch l = {.in = in};
	if (take_counts(c, given) != CALL_OK || ec2_launch_template_apply(c, given, &merged, &l.template_tags) != CALL_OK ||
	    check_unsupported(c, in) != CALL_OK)
		return CALL_FAIL;
	if (!in->image_id.n)
		return ec2_missing(c, "ImageId");
	struct str image_id;
	int said = ec2_image_named(c, in->image_id, &image_id);
	if (said != CALL_OK)
		return said;
	if (ec2_image_usable(c, image_id, &l.image) != CALL_OK || ec2_run_take_ports(c, &l) != CALL_OK ||
	    take_type(c, &l) != CALL_OK || take_cpu_options(c, &l) != CALL_OK ||
	    credit_check_launch(c, in->credit_specification, l.type) != CALL_OK || ec2_run_check_ports(c, &l) != CALL_OK ||
	    placement_of_launch(c, in->placement, l.subnet.availability_zone, l.type, &l.place) != CALL_OK ||
	    spot_take(c, in, l.type, &l.spot, &l.template_tags) != CALL_OK ||
	    (in->key_name.n && ec2_key_pair_named(c, in->key_name, &l.key) != CALL_OK) || ec2_run_take_profile(c, &l) != CALL_OK ||
	    take_user_data(c, &l) != CALL_OK || take_metadata_options(c, in->metadata_options) != CALL_OK ||
	    take_disks(c, &l) != CALL_OK || ec2_tags_take(c, &in->tag_specifications, tagged) != CALL_OK)
		return CALL_FAIL;
	struct ec2_tag_list tags = ec2_tags_for(c, &in->tag_specifications, &ec2_kind_instance);
	if (ec2_driver_choose(c, &tags, &l.image, &l.container) != CALL_OK)
		return CALL_FAIL;
	if (l.spot.set && in->capacity_reservation_specification)
		return ec2_combination(c, "Spot instances cannot run in Capacity Reservations.");
	if (reservation_find(c, in->capacity_reservation_specification, l.type, l.subnet.availability_zone, in->min_count.v,
	                     &l.reserved) != CALL_OK)
		return CALL_FAIL;
	if (l.spot.set)
		l.reserved.n = 0, l.reserved.places = 0;
	/* places that are reserved were counted when they were */
	int64_t within = l.reserved.only ? 0 : quota_room(c, l.type, l.spot.set);
	within = within < INT64_MAX ? within + l.reserved.places : within;
	if (within < in->min_count.v && !l.reserved.only)
		return quota_fail(c, l.spot.set);
	int64_t room = l.reserved.only ? l.reserved.places : l.reserved.places + capacity_room(c, l.type);
	room = placement_room(&l.place, room);
	if (!l.spot.set && !l.reserved.places && !l.reserved.only && placement_room(&l.place, in->min_count.v) == in->min_count.v)
		room = spot_reclaim(c, l.type, room, in->min_count.v, &l.after_spot);
	int64_t count = room < in->max_count.v ? room : in->max_count.v;
	count = within < count ? within : count;
	bool down = c->cloud->chaos && chaos_find(c->cloud->chaos, CHAOS_ZONE_DOWN, l.subnet.availability_zone);
	if (count < in->min_count.v || down)
		return no_capacity(c, &l);
	int64_t outside = count > l.reserved.places ? count - l.reserved.places : 0;
	if (outside)
		capacity_take(c, outside * l.type->memory_mib, outside * l.type->vcpus);
	*out = (struct ec2_reservation){.reservation_id = ec2_new_id(c->arena, "r"), .owner_id = c->account};
	out->groups.set = true;
	for (int64_t k = 0; k < count; k++)
		if (launch_one(c, &l, out, k) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}
