/* A group's limits hold as on AWS - a cluster is in one zone, a spread group has seven instances a zone, a partition group at most
 * seven partitions - although all zones are this one machine: no group is nearer together or further apart than another. */
#include "aws/ec2/capacity/placement.h"

#include <stdlib.h>

enum { GROUPS_MAX = 500, PARTITIONS_MAX = 7, SPREAD_MAX = 7, NAME_MAX_BYTES = 255 };

static bool find_named(const struct ec2_scope *s, struct str name, struct ec2_placement_group *ret)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_placement_group);
	while (ec2_next(&all, ret))
		if (str_eq(ret->group_name, name))
			return true;
	return false;
}

static int unknown(struct call *c, struct str name)
{
	return call_fail(c, "InvalidPlacementGroup.Unknown", 400, "The Placement Group '%.*s' is unknown.", STR_ARG(name));
}

/* Instances that are in the group: stopped ones keep their place in it. */
static bool is_in(const struct ec2_instance *i, struct str group)
{
	return i->placement && ec2_instance_state(i) != INSTANCE_TERMINATED && str_eq(i->placement->group_name, group);
}

/* --- launching into one */

static bool is_burstable(const struct instance_type *t)
{
	return t->credits_tenths_h || str_starts(str_from(t->name), S("t1."));
}

static int count(struct call *c, struct str zone, struct placement *p)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_instance);
	for (;;) {
		struct state_ec2_instance_record r = {0};
		if (!ec2_next(&all, &r))
			return CALL_OK;
		const struct ec2_placement *at = r.instance->placement;
		if (!is_in(r.instance, p->group.group_name))
			continue;
		bool here = str_eq(at->availability_zone, zone);
		if (!here && str_is(p->group.strategy, "cluster"))
			return ec2_invalid(c, "The cluster placement group '%.*s' has its instances in the Availability Zone %.*s.",
			                   STR_ARG(p->group.group_name), STR_ARG(at->availability_zone));
		if (!here)
			continue;
		/* what is stopped does not run beside the others */
		p->in_zone += ec2_instance_state(r.instance) != INSTANCE_STOPPED;
		if (at->partition_number.v >= 1 && at->partition_number.v <= PARTITIONS_MAX)
			p->of_partition[at->partition_number.v]++;
	}
}

int placement_take(struct call *c, struct str name, struct str id, struct opt_int partition, struct str zone,
                   const struct instance_type *type, struct placement *ret)
{
	struct ec2_scope s = ec2_scope(c);
	*ret = (struct placement){.partition = partition};
	if (name.n && id.n)
		return ec2_combination(c, "The parameters groupName and groupId cannot be used together");
	if (!name.n && !id.n)
		return partition.set ? ec2_combination(c, "A partition number needs a partition placement group") : CALL_OK;
	if (id.n && ec2_get(c, &ec2_kind_placement_group, id, &ret->group) != CALL_OK)
		return CALL_FAIL;
	if (name.n && !find_named(&s, name, &ret->group))
		return unknown(c, name);
	bool parts = str_is(ret->group.strategy, "partition");
	if (partition.set && (!parts || partition.v < 1 || partition.v > ret->group.partition_count.v))
		return ec2_invalid(c, "The partition number %lld is not one of the placement group '%.*s'.", (long long)partition.v,
		                   STR_ARG(ret->group.group_name));
	if (str_is(ret->group.strategy, "cluster") && type && is_burstable(type))
		return ec2_combination(
		        c,
		        "Cluster placement groups are not supported by the '%s' instance type. Specify a supported instance type",
		        type->name);
	return count(c, zone, ret);
}

int placement_of_launch(struct call *c, const struct ec2_placement *asked, struct str zone, const struct instance_type *type,
                        struct placement *ret)
{
	*ret = (struct placement){0};
	if (!asked)
		return CALL_OK;
	if (str_set(asked->tenancy) && !str_is(asked->tenancy, "default"))
		return call_fail(c, "UnsupportedOperation", 400,
		                 "Dedicated tenancies are not supported: this cloud is one machine.");
	if (asked->host_id.n || asked->affinity.n || asked->host_resource_group_arn.n)
		return call_fail(c, "UnsupportedOperation", 400, "Dedicated hosts are not supported.");
	return placement_take(c, asked->group_name, asked->group_id, asked->partition_number, zone, type, ret);
}

int64_t placement_room(const struct placement *p, int64_t room)
{
	if (!str_is(p->group.strategy, "spread"))
		return room;
	int64_t left = p->in_zone < SPREAD_MAX ? SPREAD_MAX - p->in_zone : 0;
	return left < room ? left : room;
}

void placement_put(struct placement *p, struct ec2_placement *ret)
{
	ret->group_name = p->group.group_name.n ? p->group.group_name : S("");
	ret->group_id = p->group.group_id;
	ret->partition_number = (struct opt_int){0};
	if (!str_is(p->group.strategy, "partition"))
		return;
	int64_t least = 1;
	for (int64_t k = 2; k <= p->group.partition_count.v; k++)
		if (p->of_partition[k] < p->of_partition[least])
			least = k;
	ret->partition_number = OPT_INT(p->partition.set ? p->partition.v : least);
	p->of_partition[ret->partition_number.v]++;
}

int ec2_modify_instance_placement(struct call *c, const struct ec2_modify_instance_placement_request *in,
                                  struct ec2_modify_instance_placement_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	struct placement p;
	if (in->host_resource_group_arn.n || in->host_id.n || in->affinity.n || (in->tenancy.n && !str_is(in->tenancy, "default")))
		return call_fail(c, "UnsupportedOperation", 400, "Dedicated hosts and tenancies are not supported.");
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(in->group_name) && !str_set(in->group_id) && !in->partition_number.set)
		return ec2_combination(c, "No placement was specified.");
	if (ec2_instance_state(r.instance) != INSTANCE_STOPPED)
		return call_fail(c, "IncorrectInstanceState", 400, "The instance '%.*s' is not in the 'stopped' state.",
		                 STR_ARG(in->instance_id));
	struct ec2_placement *at = r.instance->placement;
	bool same = !str_set(in->group_name) && !str_set(in->group_id);
	if (placement_take(c, same ? at->group_name : in->group_name, in->group_id, in->partition_number, at->availability_zone,
	                   instance_type_find(r.instance->instance_type), &p) != CALL_OK)
		return CALL_FAIL;
	if (placement_room(&p, 1) < 1 && !str_eq(at->group_name, p.group.group_name))
		return call_fail(c, "InsufficientInstanceCapacity", 500,
		                 "The spread placement group '%.*s' has %d instances in the Availability Zone %.*s.",
		                 STR_ARG(p.group.group_name), SPREAD_MAX, STR_ARG(at->availability_zone));
	placement_put(&p, at);
	ec2_put(&s, &ec2_kind_instance, in->instance_id, &r);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}

/* --- the groups */

static bool name_good(struct str name)
{
	for (size_t k = 0; k < name.n; k++)
		if (name.p[k] < ' ' || name.p[k] > '~')
			return false;
	return name.n && name.n <= NAME_MAX_BYTES && name.p[0] != ' ' && name.p[name.n - 1] != ' ';
}

int ec2_create_placement_group(struct call *c, const struct ec2_create_placement_group_request *in,
                               struct ec2_create_placement_group_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_placement_group other, *made = arena_new(c->arena, struct ec2_placement_group);
	struct ec2_tag_list tags;
	struct str strategy = in->strategy.n ? in->strategy : in->partition_count.set ? S("partition") : S("cluster");
	bool parts = str_is(strategy, "partition"), spread = str_is(strategy, "spread");
	if (in->linked_group_id.n || in->operator)
		return call_fail(c, "UnsupportedOperation", 400, "Linked and managed placement groups are not supported.");
	if (in->spread_level.n && !str_is(in->spread_level, "rack"))
		return call_fail(c, "UnsupportedOperation", 400,
		                 "Spread placement groups by host need Outposts, which are not supported.");
	if (!in->group_name.n)
		return ec2_missing(c, "groupName");
	if (!name_good(in->group_name))
		return ec2_invalid(c, "Value (%.*s) for parameter groupName is invalid.", STR_ARG(in->group_name));
	if (!parts && !spread && !str_is(strategy, "cluster"))
		return ec2_invalid(c, "Value (%.*s) for parameter strategy is invalid.", STR_ARG(strategy));
	if (in->partition_count.set && !parts)
		return ec2_combination(c, "The parameter partitionCount cannot be used with the strategy %.*s", STR_ARG(strategy));
	if (in->partition_count.set && (in->partition_count.v < 1 || in->partition_count.v > PARTITIONS_MAX))
		return ec2_invalid(c, "Value (%lld) for parameter partitionCount is invalid. Expected a number from 1 to %d.",
		                   (long long)in->partition_count.v, PARTITIONS_MAX);
	if (in->spread_level.n && !spread)
		return ec2_combination(c, "The parameter spreadLevel cannot be used with the strategy %.*s", STR_ARG(strategy));
	if (ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_placement_group, &tags) != CALL_OK)
		return CALL_FAIL;
	if (find_named(&s, in->group_name, &other))
		return call_fail(c, "InvalidPlacementGroup.Duplicate", 400, "The placement group '%.*s' already exists.",
		                 STR_ARG(in->group_name));
	struct ec2_all all = ec2_all(&s, &ec2_kind_placement_group);
	unsigned n = 0;
	while (ec2_next(&all, &other))
		n++;
	if (n >= GROUPS_MAX)
		return call_fail(c, "PlacementGroupLimitExceeded", 400, "The account has %d placement groups.", GROUPS_MAX);
	*made = (struct ec2_placement_group){.group_id = ec2_new_id(c->arena, "pg"),
	                                     .group_name = in->group_name,
	                                     .state = S("available"),
	                                     .strategy = strategy,
	                                     .tags = tags};
	made->group_arn = ec2_arn(c, &ec2_kind_placement_group, in->group_name);
	if (parts)
		made->partition_count = OPT_INT(in->partition_count.set ? in->partition_count.v : 2);
	if (spread)
		made->spread_level = S("rack");
	ec2_put(&s, &ec2_kind_placement_group, made->group_id, made);
	out->placement_group = made;
	return CALL_OK;
}

int ec2_delete_placement_group(struct call *c, const struct ec2_delete_placement_group_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_placement_group group;
	if (!in->group_name.n)
		return ec2_missing(c, "groupName");
	if (!find_named(&s, in->group_name, &group))
		return unknown(c, in->group_name);
	struct ec2_all all = ec2_all(&s, &ec2_kind_instance);
	for (;;) {
		struct state_ec2_instance_record r = {0};
		if (!ec2_next(&all, &r))
			break;
		if (is_in(r.instance, group.group_name))
			return call_fail(c, "InvalidPlacementGroup.InUse", 400,
			                 "The placement group '%.*s' is in use and may not be deleted.", STR_ARG(in->group_name));
	}
	ec2_drop(&s, &ec2_kind_placement_group, group.group_id);
	return CALL_OK;
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("group-arn", ec2_placement_group, group_arn),       FIELD_TEXT("group-name", ec2_placement_group, group_name),
        FIELD_TEXT("spread-level", ec2_placement_group, spread_level), FIELD_TEXT("state", ec2_placement_group, state),
        FIELD_TEXT("strategy", ec2_placement_group, strategy),         {0},
};

static void show(struct call *c, void *record, void *output)
{
	struct ec2_describe_placement_groups_result *out = output;
	*LIST_ADD(c->arena, &out->placement_groups) = *(struct ec2_placement_group *)record;
}

int ec2_describe_placement_groups(struct call *c, const struct ec2_describe_placement_groups_request *in,
                                  struct ec2_describe_placement_groups_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct str_list ids = in->group_ids;
	out->placement_groups.set = true;
	if (in->group_names.n && in->group_ids.n)
		return ec2_combination(c, "The parameters groupNames and groupIds cannot be used together");
	if (in->group_names.n)
		ids = (struct str_list){0};
	for (uint32_t k = 0; k < in->group_names.n; k++) {
		struct ec2_placement_group group;
		if (!find_named(&s, in->group_names.v[k], &group))
			return unknown(c, in->group_names.v[k]);
		*LIST_ADD(c->arena, &ids) = group.group_id;
	}
	const struct ec2_walk walk = {
	        .kind = &ec2_kind_placement_group, .fields = fields, .filters = &in->filters, .ids = &ids, .show = show};
	return ec2_describe(c, &walk, out, NULL);
}
