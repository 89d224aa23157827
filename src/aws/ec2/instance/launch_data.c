/* The data of launch templates. EC2's model has them three times - as a request gives them, as they are shown and as RunInstances
 * takes them - with the same names, so what goes from one to the other goes by name. */
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/network/vpc.h"
#include "base/base64.h"

size_t ec2_slot_size(const struct shape *shape)
{
	return shape->kind == SHAPE_STRUCTURE                          ? sizeof(void *)
	       : shape->kind == SHAPE_LIST || shape->kind == SHAPE_MAP ? sizeof(struct any_list)
	                                                               : shape->size;
}

static const struct member *member_named(const struct shape *shape, struct str name)
{
	for (uint16_t i = 0; i < shape->members; i++) {
		const struct member *m = &ec2_api.members[shape->first_member + i];
		/* RamDiskId is RamdiskId elsewhere. */
		if (str_ieq(api_text(&ec2_api, m->name), name))
			return m;
	}
	return NULL;
}

static void carry(struct arena *a, const struct shape *from_shape, const char *from, const struct shape *to_shape, char *to);

static void carry_list(struct arena *a, const struct shape *from_shape, const struct any_list *from, const struct shape *to_shape,
                       struct any_list *to)
{
	const struct shape *from_item = api_shape(&ec2_api, ec2_api.members[from_shape->first_member].shape);
	const struct shape *to_item = api_shape(&ec2_api, ec2_api.members[to_shape->first_member].shape);
	if (from_item->kind != to_item->kind)
		return;
	*to = (struct any_list){.set = from->set};
	for (uint32_t i = 0; i < from->n; i++) {
		const char *source = (const char *)from->v + (size_t)i * from_shape->size;
		char *made = model_list_add(a, to, to_shape->size);
		if (to_item->kind == SHAPE_STRUCTURE)
			carry(a, from_item, source, to_item, made);
		else
			memcpy(made, source, to_shape->size);
	}
}

static void carry(struct arena *a, const struct shape *from_shape, const char *from, const struct shape *to_shape, char *to)
{
	for (uint16_t i = 0; i < to_shape->members; i++) {
		const struct member *tm = &ec2_api.members[to_shape->first_member + i];
		const struct member *fm = member_named(from_shape, api_text(&ec2_api, tm->name));
		const struct shape *target = api_shape(&ec2_api, tm->shape), *source = fm ? api_shape(&ec2_api, fm->shape) : NULL;
		if (!fm || source->kind != target->kind || !model_is_set(source, from + fm->offset))
			continue;
		void *slot = to + tm->offset;
		if (target->kind == SHAPE_STRUCTURE) {
			void *made = arena_zalloc(a, target->size);
			carry(a, source, *(char *const *)(const void *)(from + fm->offset), target, made);
			*(void **)slot = made;
		} else if (target->kind == SHAPE_LIST) {
			carry_list(a, source, (const struct any_list *)(const void *)(from + fm->offset), target, slot);
		} else {
			memcpy(slot, from + fm->offset, target->size);
		}
	}
}

void ec2_carry(struct arena *a, const char *from_shape, const void *from, const char *to_shape, void *to)
{
	carry(a, api_shape_named(&ec2_api, str_from(from_shape)), from, api_shape_named(&ec2_api, str_from(to_shape)), to);
}

void ec2_launch_data_inherit(struct ec2_response_launch_template_data *over, const struct ec2_response_launch_template_data *under)
{
	const struct shape *shape = api_shape_named(&ec2_api, S("ResponseLaunchTemplateData"));
	bool groups = over->security_groups.n || over->security_group_ids.n;
	for (uint16_t i = 0; i < shape->members; i++) {
		const struct member *m = &ec2_api.members[shape->first_member + i];
		const struct shape *target = api_shape(&ec2_api, m->shape);
		char *to = (char *)over + m->offset;
		/* Groups by name and by id are one parameter. */
		if (groups && (to == (char *)&over->security_groups || to == (char *)&over->security_group_ids))
			continue;
		if (!model_is_set(target, to))
			memcpy(to, (const char *)under + m->offset, ec2_slot_size(target));
	}
}

static bool says_something(const struct ec2_response_launch_template_data *d)
{
	const struct shape *shape = api_shape_named(&ec2_api, S("ResponseLaunchTemplateData"));
	for (uint16_t i = 0; i < shape->members; i++) {
		const struct member *m = &ec2_api.members[shape->first_member + i];
		if (model_is_set(api_shape(&ec2_api, m->shape), (const char *)d + m->offset))
			return true;
	}
	return false;
}

int ec2_launch_data_take(struct call *c, const struct ec2_request_launch_template_data *in,
                         struct ec2_response_launch_template_data **ret)
{
	struct ec2_response_launch_template_data *d = arena_new(c->arena, struct ec2_response_launch_template_data);
	if (in)
		ec2_carry(c->arena, "RequestLaunchTemplateData", in, "ResponseLaunchTemplateData", d);
	if (!in || !says_something(d))
		return ec2_missing(c, "LaunchTemplateData");
	if (d->user_data.n) {
		struct str raw = base64_decode(c->arena, d->user_data);
		if (!str_set(raw))
			return call_fail(c, "InvalidUserData.Malformed", 400, "Invalid BASE64 encoding of user data.");
		if (raw.n > EC2_USER_DATA_MAX)
			return ec2_invalid(c, "User data is limited to %d bytes", EC2_USER_DATA_MAX);
	}
	if (str_set(d->instance_type) && d->instance_requirements)
		return ec2_combination(c, "InstanceType and InstanceRequirements may not be specified on the same request");
	if (d->network_interfaces.n && (d->security_groups.n || d->security_group_ids.n))
		return ec2_combination(
		        c, "Network interfaces and an instance-level security groups may not be specified on the same request");
	for (uint32_t i = 0; i < d->tag_specifications.n; i++)
		if (!str_set(d->tag_specifications.v[i].resource_type))
			return ec2_invalid(c, "Tag specification resource type must have a value");
	*ret = d;
	return CALL_OK;
}
