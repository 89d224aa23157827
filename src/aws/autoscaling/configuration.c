/* Launch configurations: what instances are launched with where no launch template is used. They never change. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "aws/iam/iam.h"
#include "base/base64.h"
#include "base/id.h"

enum { CONFIGURATIONS_MAX = 200, USUAL = 50, MOST = 100 };

static const struct record_type configuration_row = {&state_autoscaling_api, "ConfigurationRecord"};

static struct str key_of(const struct scope *s, struct str name)
{
	return KEY(s->arena, S("autoscaling"), S("configuration"), s->account, s->region, name);
}

bool scaling_configuration_find(const struct scope *s, struct str name, struct state_autoscaling_configuration_record *ret)
{
	return str_set(name) && record_get(s->txn, s->arena, key_of(s, name), &configuration_row, ret);
}

static int refuse(struct call *c, const struct autoscaling_create_launch_configuration_type *in)
{
	if (in->instance_id.n)
		return scaling_invalid(c, "A launch configuration made of an instance is not supported.");
	if (in->classic_link_vpc_id.n || in->classic_link_vpc_security_groups.n)
		return scaling_invalid(c, "EC2-Classic is retired. ClassicLink is not supported.");
	if (in->kernel_id.n || in->ramdisk_id.n)
		return scaling_invalid(c, "Kernels and RAM disks of one's own are not supported.");
	if (in->placement_tenancy.n && !str_is(in->placement_tenancy, "default"))
		return scaling_invalid(c, "The tenancy '%.*s' is not supported.", STR_ARG(in->placement_tenancy));
	if (!in->image_id.n)
		return scaling_invalid(c, "Valid requests must contain either the InstanceID parameter or both the ImageId and "
		                          "InstanceType parameters.");
	if (!in->instance_type.n)
		return scaling_invalid(c, "Valid requests must contain either the InstanceID parameter or both the ImageId and "
		                          "InstanceType parameters.");
	return CALL_OK;
}

static int check_profile(struct call *c, struct str profile, struct str *ret_role)
{
	struct str arn, id;
	if (!profile.n)
		return CALL_OK;
	if (!iam_find_profile(c->cloud, c->arena, c->account, profile, &arn, &id, ret_role))
		return scaling_invalid(c, "Invalid IamInstanceProfile: %.*s", STR_ARG(profile));
	if (!str_set(*ret_role))
		return CALL_OK;
	struct authz az = {.action = S("iam:PassRole"), .resource = *ret_role};
	authz_add(c, &az, "iam:PassedToService", S("ec2.amazonaws.com"));
	return call_authorize(c, &az) ? CALL_OK : CALL_FAIL;
}

int autoscaling_create_launch_configuration(struct call *c, const struct autoscaling_create_launch_configuration_type *in,
                                            struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_configuration_record r = {0};
	if (refuse(c, in) != CALL_OK)
		return CALL_FAIL;
	if (scaling_configuration_find(&s, in->launch_configuration_name, &r))
		return call_fail(
		        c, "AlreadyExists", 400,
		        "Launch Configuration by this name already exists - A launch configuration already exists with the "
		        "name %.*s",
		        STR_ARG(in->launch_configuration_name));
	struct str under = KEY_UNDER(c->arena, S("autoscaling"), S("configuration"), s.account, s.region), key;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	unsigned count = 0;
	while (store_next(iter, &key, &v))
		count++;
	if (count >= CONFIGURATIONS_MAX)
		return call_fail(c, "LimitExceeded", 400,
		                 "You have already reached your maximum limit of %d launch configurations.", CONFIGURATIONS_MAX);
	if (!ec2_type_offered(in->instance_type))
		return scaling_invalid(c, "Invalid instance type: %.*s", STR_ARG(in->instance_type));
	if (!ec2_image_there(c, in->image_id))
		return scaling_invalid(c, "The image id '[%.*s]' does not exist", STR_ARG(in->image_id));
	if (in->user_data.n && !str_set(base64_decode(c->arena, in->user_data)))
		return scaling_invalid(c, "Invalid BASE64 encoding of user data");
	struct str role = STR_NONE;
	if (check_profile(c, in->iam_instance_profile, &role) != CALL_OK)
		return CALL_FAIL;
	struct autoscaling_launch_configuration k = {
	        .launch_configuration_name = in->launch_configuration_name,
	        .launch_configuration_arn =
	                scaling_arn(&s, "launchConfiguration", id_uuid(c->arena),
	                            ARENA_CAT(c->arena, S("launchConfigurationName/"), in->launch_configuration_name)),
	        .image_id = in->image_id,
	        .key_name = in->key_name.n ? in->key_name : S(""),
	        .security_groups = in->security_groups,
	        .user_data = in->user_data.n ? in->user_data : S(""),
	        .instance_type = in->instance_type,
	        .kernel_id = S(""),
	        .ramdisk_id = S(""),
	        .block_device_mappings = in->block_device_mappings,
	        .instance_monitoring = in->instance_monitoring,
	        .spot_price = in->spot_price,
	        .iam_instance_profile = in->iam_instance_profile,
	        .created_time = OPT_TIME(c->now_ms),
	        .ebs_optimized = OPT_BOOL(in->ebs_optimized.v),
	        .associate_public_ip_address = in->associate_public_ip_address,
	        .placement_tenancy = in->placement_tenancy,
	        .metadata_options = in->metadata_options};
	if (!k.instance_monitoring) {
		k.instance_monitoring = arena_new(c->arena, struct autoscaling_instance_monitoring);
		k.instance_monitoring->enabled = OPT_BOOL(true);
	}
	k.security_groups.set = k.block_device_mappings.set = true;
	r = (struct state_autoscaling_configuration_record){.configuration = &k, .role = role};
	record_put(s.txn, c->arena, key_of(&s, k.launch_configuration_name), &configuration_row, &r);
	return CALL_OK;
}

int autoscaling_describe_launch_configurations(struct call *c, const struct autoscaling_launch_configuration_names_type *in,
                                               struct autoscaling_launch_configurations_type *out)
{
	struct scope s = scaling_scope(c);
	struct page p;
	struct store_value v;
	struct str under = KEY_UNDER(c->arena, S("autoscaling"), S("configuration"), s.account, s.region), key, last = STR_NONE;
	if (scaling_page(c, in->max_records, in->next_token, USUAL, MOST, &p) != CALL_OK)
		return CALL_FAIL;
	out->launch_configurations.set = true;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	while (store_next(iter, &key, &v)) {
		struct state_autoscaling_configuration_record r = {0};
		if (!record_read(c->arena, v.value, &configuration_row, &r))
			continue;
		struct str name = r.configuration->launch_configuration_name;
		if ((str_set(p.after) && str_cmp(name, p.after) <= 0) || !scaling_among(&in->launch_configuration_names, name))
			continue;
		if (!p.left--) {
			out->next_token = scaling_token(c, last);
			break;
		}
		last = name;
		*LIST_ADD(c->arena, &out->launch_configurations) = *r.configuration;
	}
	return CALL_OK;
}

int autoscaling_delete_launch_configuration(struct call *c, const struct autoscaling_launch_configuration_name_type *in,
                                            struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_configuration_record r = {0};
	struct store_value v;
	struct str under = scaling_under(&s, "group", STR_NONE), key;
	if (!scaling_configuration_find(&s, in->launch_configuration_name, &r))
		return scaling_invalid(c, "Launch configuration name not found - Launch configuration %.*s not found",
		                       STR_ARG(in->launch_configuration_name));
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	while (store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(c->arena, key);
		struct state_autoscaling_group_record g = {0};
		if (parts.n == 5 && scaling_find(&s, parts.v[4], &g) &&
		    str_eq(g.group->launch_configuration_name, in->launch_configuration_name))
			return call_fail(c, "ResourceInUse", 400,
			                 "Cannot delete launch configuration %.*s because it is attached to AutoScalingGroup %.*s",
			                 STR_ARG(in->launch_configuration_name), STR_ARG(parts.v[4]));
	}
	store_delete(s.txn, key_of(&s, in->launch_configuration_name));
	return CALL_OK;
}
