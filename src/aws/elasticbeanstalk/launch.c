/* What the instances of an environment are launched with: its launch template, and the policy by which its group takes some of them
 * on the spot market. The options of aws:autoscaling:launchconfiguration and aws:ec2:instances, and what they may be together. */
#include "option.h"

#include "aws/ec2/ec2.h"
#include "base/base64.h"
#include "gen/autoscaling.h"
#include "gen/ec2.h"

#include <stdlib.h>

#define LAUNCH "aws:autoscaling:launchconfiguration"
#define INSTANCES "aws:ec2:instances"
#define VPC "aws:ec2:vpc"
#define ROOT_DEVICE "/dev/xvda" /* of the machine image */

enum { TYPES_MAX = 40, IOPS_PER_GIB_MAX = 500, ABOVE_BASE_OF_MANY = 70, DISK_GIB_MAX = 16384 };

static struct str word(struct str *rest, char end)
{
	return str_set(*rest) ? str_trim(str_cut(rest, end)) : S("");
}

/* --- disks */

/* DEVICE=[SNAPSHOT]:[GiB]:[deleted with the instance]:[type]:[IOPS]. False: it is no disk. */
static bool parse_disk(struct arena *a, struct str text, struct ec2_launch_template_block_device_mapping_request *ret)
{
	struct str device = str_trim(str_cut(&text, '=')), snapshot = word(&text, ':'), size = word(&text, ':');
	struct str deletes = word(&text, ':'), type = word(&text, ':'), iops = word(&text, ':');
	struct ec2_launch_template_ebs_block_device_request *disk =
	        arena_new(a, struct ec2_launch_template_ebs_block_device_request);
	int64_t gib = 0, per_s = 0;
	if (str_set(text) || !str_starts(device, S("/dev/")) || (!snapshot.n && !size.n) ||
	    (snapshot.n && !str_starts(snapshot, S("snap-"))) ||
	    (size.n && (!str_to_i64(size, &gib) || gib < 1 || gib > DISK_GIB_MAX)) ||
	    (deletes.n && !str_is(deletes, "true") && !str_is(deletes, "false")) ||
	    (iops.n && (!str_to_i64(iops, &per_s) || per_s < 1)))
		return false;
	*disk = (struct ec2_launch_template_ebs_block_device_request){.snapshot_id = snapshot.n ? snapshot : STR_NONE,
	                                                              .volume_size = size.n ? OPT_INT(gib) : (struct opt_int){0},
	                                                              .delete_on_termination = OPT_BOOL(!str_is(deletes, "false")),
	                                                              .volume_type = type.n ? type : STR_NONE,
	                                                              .iops = iops.n ? OPT_INT(per_s) : (struct opt_int){0}};
	*ret = (struct ec2_launch_template_block_device_mapping_request){.device_name = device, .ebs = disk};
	return true;
}

static struct opt_int number_of(const struct environment_record *r, const char *name)
{
	int64_t n;
	return str_to_i64(option_value(r, LAUNCH, name), &n) ? OPT_INT(n) : (struct opt_int){0};
}

/* Of the root volume something is said. */
static bool root_said(const struct environment_record *r)
{
	return option_value(r, LAUNCH, "RootVolumeType").n || number_of(r, "RootVolumeSize").set ||
	       number_of(r, "RootVolumeIOPS").set || number_of(r, "RootVolumeThroughput").set;
}

static void set_disks(struct arena *a, const struct environment_record *r, struct ec2_request_launch_template_data *data)
{
	struct str type = option_value(r, LAUNCH, "RootVolumeType"), rest = option_value(r, LAUNCH, "BlockDeviceMappings");
	if (root_said(r)) {
		struct ec2_launch_template_ebs_block_device_request *root =
		        arena_new(a, struct ec2_launch_template_ebs_block_device_request);
		*root = (struct ec2_launch_template_ebs_block_device_request){.volume_type = type.n ? type : STR_NONE,
		                                                              .volume_size = number_of(r, "RootVolumeSize"),
		                                                              .iops = number_of(r, "RootVolumeIOPS"),
		                                                              .throughput = number_of(r, "RootVolumeThroughput"),
		                                                              .delete_on_termination = OPT_BOOL(true)};
		*LIST_ADD(a, &data->block_device_mappings) =
		        (struct ec2_launch_template_block_device_mapping_request){.device_name = S(ROOT_DEVICE), .ebs = root};
	}
	while (rest.n && str_set(rest)) {
		struct ec2_launch_template_block_device_mapping_request disk;
		if (parse_disk(a, str_cut(&rest, ','), &disk))
			*LIST_ADD(a, &data->block_device_mappings) = disk;
	}
	data->block_device_mappings.set = data->block_device_mappings.n > 0;
}

/* --- the template */

/* Its own group and those that are said besides. */
static void set_network(struct arena *a, const struct environment_record *r, struct ec2_request_launch_template_data *data)
{
	struct str_list groups = {.set = true};
	struct str rest = option_value(r, LAUNCH, "SecurityGroups"), public = option_value(r, VPC, "AssociatePublicIpAddress");
	*LIST_ADD(a, &groups) = r->group;
	while (rest.n && str_set(rest)) {
		struct str one = str_trim(str_cut(&rest, ','));
		if (one.n)
			*LIST_ADD(a, &groups) = one;
	}
	if (!option_value(r, VPC, "VPCId").n) {
		data->security_group_ids = groups;
		return;
	}
	struct ec2_launch_template_instance_network_interface_specification_request *n = LIST_ADD(a, &data->network_interfaces);
	n->device_index = OPT_INT(0);
	n->groups = groups;
	n->associate_public_ip_address = OPT_BOOL(str_is(public, "true"));
	data->network_interfaces.set = true;
}

/* Those that it may be of, the preferred one first. */
static struct str_list types_of(struct arena *a, const struct environment_record *r)
{
	struct str_list l = {.set = true};
	struct str rest = option_value(r, INSTANCES, "InstanceTypes");
	while (rest.n && str_set(rest))
		*LIST_ADD(a, &l) = word(&rest, ',');
	if (!l.n)
		*LIST_ADD(a, &l) = option_value(r, LAUNCH, "InstanceType");
	return l;
}

void launch_data(struct arena *a, const struct environment_record *r, struct str region,
                 struct ec2_request_launch_template_data *ret)
{
	struct str profile = option_value(r, LAUNCH, "IamInstanceProfile"), image = option_value(r, LAUNCH, "ImageId");
	struct str key = option_value(r, LAUNCH, "EC2KeyName");
	bool arn = str_starts(profile, S("arn:"));
	struct ec2_launch_template_iam_instance_profile_specification_request *p =
	        arena_new(a, struct ec2_launch_template_iam_instance_profile_specification_request);
	struct ec2_launch_template_instance_metadata_options_request *metadata =
	        arena_new(a, struct ec2_launch_template_instance_metadata_options_request);
	struct ec2_launch_templates_monitoring_request *monitoring = arena_new(a, struct ec2_launch_templates_monitoring_request);
	struct str script =
	        arena_printf(a,
	                     "#!/bin/sh\nmkdir -p /etc/elasticbeanstalk\necho '{\"environment\": \"%.*s\", \"region\": \"%.*s\"}' "
	                     "> /etc/elasticbeanstalk/environment.json\n",
	                     STR_ARG(r->environment->environment_id), STR_ARG(region));
	*p = (struct ec2_launch_template_iam_instance_profile_specification_request){.arn = arn ? profile : STR_NONE,
	                                                                             .name = arn ? STR_NONE : profile};
	metadata->http_endpoint = S("enabled");
	metadata->http_tokens = str_is(option_value(r, LAUNCH, "DisableIMDSv1"), "true") ? S("required") : S("optional");
	monitoring->enabled = OPT_BOOL(str_is(option_value(r, LAUNCH, "MonitoringInterval"), "1 minute"));
	*ret = (struct ec2_request_launch_template_data){.iam_instance_profile = p,
	                                                 .image_id = image.n ? image : r->image,
	                                                 .instance_type = types_of(a, r).v[0],
	                                                 .key_name = key.n ? key : STR_NONE,
	                                                 .user_data = base64_encode(a, script),
	                                                 .metadata_options = metadata,
	                                                 .monitoring = monitoring};
	set_network(a, r, ret);
	set_disks(a, r, ret);
}

/* --- the spot market */

/* Where nothing is said, one instance is a spot one, and of many these are three of ten. */
static int64_t above_base(const struct environment_record *r)
{
	for (uint32_t i = 0; i < r->options.n; i++)
		if (str_is(r->options.v[i].option_name, "SpotFleetOnDemandAboveBasePercentage"))
			return option_number(r, INSTANCES, "SpotFleetOnDemandAboveBasePercentage");
	return environment_many(r) ? ABOVE_BASE_OF_MANY : 0;
}

void launch_policy(struct arena *a, const struct environment_record *r, struct autoscaling_launch_template_specification **ret_one,
                   struct autoscaling_mixed_instances_policy **ret_mixed)
{
	struct autoscaling_launch_template_specification *one = arena_new(a, struct autoscaling_launch_template_specification);
	one->launch_template_name = environment_template_name(a, r);
	one->version = S("$Latest");
	*ret_one = one;
	*ret_mixed = NULL;
	if (!str_is(option_value(r, INSTANCES, "EnableSpot"), "true"))
		return;
	struct autoscaling_launch_template *template = arena_new(a, struct autoscaling_launch_template);
	struct autoscaling_instances_distribution *d = arena_new(a, struct autoscaling_instances_distribution);
	struct str_list types = types_of(a, r);
	struct str price = option_value(r, INSTANCES, "SpotMaxPrice");
	template->launch_template_specification = one;
	template->overrides.set = true;
	for (uint32_t i = 0; i < types.n; i++)
		LIST_ADD(a, &template->overrides)->instance_type = types.v[i];
	*d = (struct autoscaling_instances_distribution){
	        .on_demand_base_capacity = OPT_INT(option_number(r, INSTANCES, "SpotFleetOnDemandBase")),
	        .on_demand_percentage_above_base_capacity = OPT_INT(above_base(r)),
	        .spot_allocation_strategy = option_value(r, INSTANCES, "SpotAllocationStrategy"),
	        .spot_max_price = price.n ? price : STR_NONE};
	*ret_mixed = arena_new(a, struct autoscaling_mixed_instances_policy);
	**ret_mixed = (struct autoscaling_mixed_instances_policy){template, d};
	*ret_one = NULL;
}

/* --- what the options may be */

static const char *types_fault(struct str types)
{
	int n = 0;
	while (types.n && str_set(types)) {
		if (!ec2_type_offered(word(&types, ',')))
			return "No such instance type is offered.";
		n++;
	}
	return n <= TYPES_MAX ? NULL : "There are more than 40 instance types.";
}

static const char *price_fault(struct arena *a, struct str text)
{
	char *end = NULL;
	double price = strtod(arena_dupz(a, text), &end);
	return !text.n || (!*end && price >= 0.001 && price <= 20) ? NULL : "Value is not a price between 0.001 and 20.0.";
}

static const char *disks_fault(struct arena *a, struct str text)
{
	struct ec2_launch_template_block_device_mapping_request disk;
	while (text.n && str_set(text)) {
		struct str one = str_trim(str_cut(&text, ','));
		if (str_find(one, S("=ephemeral")) >= 0)
			return "Instance store volumes are not supported.";
		if (!parse_disk(a, one, &disk))
			return "Value is not a list of device=[snapshot]:[size]:[delete]:[type]:[iops].";
		if (str_is(disk.device_name, ROOT_DEVICE))
			return "The root device has options of its own.";
	}
	return NULL;
}

const char *launch_fault(struct call *c, const struct elasticbeanstalk_configuration_option_setting *o)
{
	bool instances = str_is(o->namespace, INSTANCES);
	if (!instances && !str_is(o->namespace, LAUNCH))
		return NULL;
	if (str_is(o->option_name, "InstanceType"))
		return ec2_type_offered(o->value) ? NULL : "No such instance type is offered.";
	if (str_is(o->option_name, "InstanceTypes"))
		return types_fault(o->value);
	if (str_is(o->option_name, "SpotMaxPrice"))
		return price_fault(c->arena, o->value);
	if (str_is(o->option_name, "SupportedArchitectures"))
		return str_is(o->value, "x86_64") ? NULL : "The machine image of the platform is of x86_64.";
	if (str_is(o->option_name, "BlockDeviceMappings"))
		return disks_fault(c->arena, o->value);
	if (str_is(o->option_name, "ImageId") && o->value.n && !ec2_image_there(c, o->value))
		return "There is no such image.";
	return NULL;
}

static int wrong(struct call *c, const struct environment_record *r, const char *option, const char *why)
{
	return call_fail(c, "ConfigurationValidationException", 400,
	                 "Configuration validation exception: Invalid option value: '%.*s' (Namespace: '" LAUNCH
	                 "', OptionName: '%s'): %s",
	                 STR_ARG(option_value(r, LAUNCH, option)), option, why);
}

int launch_match(struct call *c, const struct environment_record *r)
{
	struct str type = option_value(r, LAUNCH, "RootVolumeType"), image = option_value(r, LAUNCH, "ImageId");
	struct opt_int iops = number_of(r, "RootVolumeIOPS"), gib = number_of(r, "RootVolumeSize");
	bool io1 = str_is(type, "io1"), gp3 = str_is(type, "gp3");
	if (io1 && !iops.set)
		return wrong(c, r, "RootVolumeType", "It needs RootVolumeIOPS.");
	if (iops.set && !io1 && !gp3)
		return wrong(c, r, "RootVolumeIOPS", "It needs RootVolumeType io1 or gp3.");
	if (iops.set && gp3 && iops.v < 3000)
		return wrong(c, r, "RootVolumeIOPS", "A volume of gp3 has at least 3000.");
	if (iops.set && gib.set && iops.v > gib.v * IOPS_PER_GIB_MAX)
		return wrong(c, r, "RootVolumeIOPS", "It is more than 500 times RootVolumeSize.");
	if (number_of(r, "RootVolumeThroughput").set && !gp3)
		return wrong(c, r, "RootVolumeThroughput", "It needs RootVolumeType gp3.");
	if (root_said(r) && image.n && !str_is(ec2_image_root(c, image), ROOT_DEVICE))
		return wrong(c, r, "ImageId",
		             "Its root device is not " ROOT_DEVICE ", so options of the root volume are not supported.");
	return CALL_OK;
}
