/* What an owner may do with an image short of removing it: let it grow old, switch it off, protect it. */
#include "aws/ec2/network/vpc.h"
#include "aws/ec2/storage/image.h"
#include "base/clock.h"

static int own(struct call *c, struct str id, struct state_ec2_image_record *ret)
{
	if (ec2_image_own(c, id, ret) != CALL_OK)
		return CALL_FAIL;
	if (str_is(ret->image->state, "pending"))
		return call_fail(c, "InvalidAMIID.Unavailable", 400, "The image ID '%.*s' is pending", STR_ARG(id));
	return CALL_OK;
}

static int put(struct call *c, const struct state_ec2_image_record *r, struct opt_bool *ret)
{
	struct ec2_scope s = ec2_scope(c);
	ec2_image_put(&s, r);
	*ret = OPT_BOOL(true);
	return CALL_OK;
}

int ec2_enable_image_deprecation(struct call *c, const struct ec2_enable_image_deprecation_request *in,
                                 struct ec2_enable_image_deprecation_result *out)
{
	struct state_ec2_image_record r;
	if (!in->deprecate_at.set)
		return ec2_missing(c, "DeprecateAt");
	if (own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (in->deprecate_at.ms <= c->now_ms)
		return ec2_invalid(c, "The deprecation date must be in the future");
	if (in->deprecate_at.ms > c->now_ms + 10LL * 366 * 24 * 3600 * 1000)
		return ec2_invalid(c, "The deprecation date must be within ten years");
	/* To the minute. */
	int64_t at = (in->deprecate_at.ms + 59999) / 60000 * 60000;
	r.image->deprecation_time = time_format(c->arena, at, TIME_ISO8601_MS);
	return put(c, &r, &out->return_);
}

int ec2_disable_image_deprecation(struct call *c, const struct ec2_disable_image_deprecation_request *in,
                                  struct ec2_disable_image_deprecation_result *out)
{
	struct state_ec2_image_record r;
	if (own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	r.image->deprecation_time = STR_NONE;
	return put(c, &r, &out->return_);
}

/* Whom it was shared with loses it, and does not get it back when it is switched on again. */
int ec2_disable_image(struct call *c, const struct ec2_disable_image_request *in, struct ec2_disable_image_result *out)
{
	struct state_ec2_image_record r;
	if (own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	r.image->state = S("disabled");
	r.image->public = OPT_BOOL(false);
	r.shared.n = 0;
	return put(c, &r, &out->return_);
}

int ec2_enable_image(struct call *c, const struct ec2_enable_image_request *in, struct ec2_enable_image_result *out)
{
	struct state_ec2_image_record r;
	if (own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_is(r.image->state, "disabled"))
		r.image->state = S("available");
	return put(c, &r, &out->return_);
}

int ec2_enable_image_deregistration_protection(struct call *c, const struct ec2_enable_image_deregistration_protection_request *in,
                                               struct ec2_enable_image_deregistration_protection_result *out)
{
	struct state_ec2_image_record r;
	struct opt_bool done;
	if (in->with_cooldown.v)
		return ec2_unsupported(c, "A cooldown of the protection");
	if (own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->return_ = r.image->deregistration_protection = S("enabled-without-cooldown");
	return put(c, &r, &done);
}

int ec2_disable_image_deregistration_protection(struct call *c,
                                                const struct ec2_disable_image_deregistration_protection_request *in,
                                                struct ec2_disable_image_deregistration_protection_result *out)
{
	struct state_ec2_image_record r;
	struct opt_bool done;
	if (own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->return_ = r.image->deregistration_protection = S("disabled");
	return put(c, &r, &done);
}

/* --- attributes, one a call */

static struct ec2_attribute_value *text(struct call *c, struct str value)
{
	struct ec2_attribute_value *v = arena_new(c->arena, struct ec2_attribute_value);
	v->value = value;
	return v;
}

int ec2_describe_image_attribute(struct call *c, const struct ec2_describe_image_attribute_request *in,
                                 struct ec2_image_attribute *out)
{
	struct state_ec2_image_record r;
	/* Only the owner is told who else may launch it, and the rest is in DescribeImages. */
	if (ec2_image_own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->image_id = in->image_id;
	if (str_is(in->attribute, "launchPermission")) {
		out->launch_permissions.set = true;
		if (r.image->public.v)
			LIST_ADD(c->arena, &out->launch_permissions)->group = S("all");
		for (uint32_t i = 0; i < r.shared.n; i++)
			LIST_ADD(c->arena, &out->launch_permissions)->user_id = r.shared.v[i];
	} else if (str_is(in->attribute, "description")) {
		out->description = text(c, str_set(r.image->description) ? r.image->description : S(""));
	} else if (str_is(in->attribute, "blockDeviceMapping")) {
		out->block_device_mappings = r.image->block_device_mappings;
	} else if (str_is(in->attribute, "kernel")) {
		out->kernel_id = text(c, r.image->kernel_id);
	} else if (str_is(in->attribute, "ramdisk")) {
		out->ramdisk_id = text(c, r.image->ramdisk_id);
	} else if (str_is(in->attribute, "bootMode")) {
		out->boot_mode = text(c, r.image->boot_mode);
	} else if (str_is(in->attribute, "imdsSupport")) {
		out->imds_support = text(c, r.image->imds_support);
	} else if (str_is(in->attribute, "deregistrationProtection")) {
		struct str protection = r.image->deregistration_protection;
		out->deregistration_protection = text(c, str_set(protection) ? protection : S("disabled"));
	} else {
		return ec2_unsupported(c, "This attribute of an image");
	}
	return CALL_OK;
}

int ec2_reset_image_attribute(struct call *c, const struct ec2_reset_image_attribute_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_image_record r;
	if (ec2_image_own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(in->attribute, "launchPermission"))
		return ec2_invalid(c, "Value (%.*s) for parameter attribute is invalid. Unknown value.", STR_ARG(in->attribute));
	r.image->public = OPT_BOOL(false);
	r.shared.n = 0;
	ec2_image_put(&s, &r);
	return CALL_OK;
}
