/* RegisterContainerInstance: an instance says what it has, and by its signed identity document which one it is. */
#include "container_instance.h"
#include "provider.h"

#include "aws/ec2/ec2.h"
#include "base/id.h"

enum { ATTRIBUTES_MAX = 200, NAME_MAX = 128 };

static bool attribute_name_good(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !strchr("-_./\\", name.p[i]))
			return false;
	return name.n && name.n <= NAME_MAX;
}

static void set(struct call *c, struct ecs_attributes *l, const char *name, struct str value)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_is(l->v[i].name, name)) {
			l->v[i].value = value;
			return;
		}
	if (str_set(value))
		*LIST_ADD(c->arena, l) = (struct ecs_attribute){.name = str_from(name), .value = value};
}

/* What the instance says of itself; of the rest the records are asked. */
static int take_attributes(struct call *c, const struct ecs_attributes *given, const struct ec2_identified *of,
                           struct ecs_attributes *ret)
{
	*ret = (struct ecs_attributes){.set = true};
	if (given->n > ATTRIBUTES_MAX)
		return ecs_invalid(c, "There can be at most %d attributes.", ATTRIBUTES_MAX);
	for (uint32_t i = 0; i < given->n; i++) {
		if (!attribute_name_good(given->v[i].name) || given->v[i].value.n > NAME_MAX)
			return ecs_invalid(c, "Invalid attribute name or value.");
		*LIST_ADD(c->arena, ret) = (struct ecs_attribute){.name = given->v[i].name, .value = given->v[i].value};
	}
	set(c, ret, "ecs.instance-type", of->type);
	set(c, ret, "ecs.availability-zone", of->zone);
	set(c, ret, "ecs.ami-id", of->image);
	set(c, ret, "ecs.subnet-id", of->subnet);
	set(c, ret, "ecs.vpc-id", of->vpc);
	return CALL_OK;
}

/* Not more than its type has: an instance that is a container sees the whole machine's. */
static int take_resources(struct call *c, const struct ecs_resources *given, const struct ec2_identified *of,
                          struct ecs_resources *ret)
{
	static const char *const names[] = {"CPU", "MEMORY", "PORTS", "PORTS_UDP"};
	*ret = (struct ecs_resources){.set = true};
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		struct ecs_resource *to = LIST_ADD(c->arena, ret);
		*to = (struct ecs_resource){.name = str_from(names[k]), .type = k < 2 ? S("INTEGER") : S("STRINGSET")};
		to->double_value = (struct opt_double){.set = true};
		to->long_value = to->integer_value = OPT_INT(0);
		bool there = k == 3;
		for (uint32_t i = 0; i < given->n; i++)
			if (str_is(given->v[i].name, names[k])) {
				to->integer_value = OPT_INT(given->v[i].integer_value.v);
				to->string_set_value = given->v[i].string_set_value;
				there = true;
			}
		if (!there || to->integer_value.v < 0 || to->string_set_value.n > 200)
			return ecs_invalid(c, "Container instance must have the resources CPU, MEMORY and PORTS.");
		int64_t most = k == 0 ? of->vcpus * INT64_C(1024) : of->memory_mib;
		if (k < 2 && to->integer_value.v > most)
			to->integer_value = OPT_INT(most);
	}
	return CALL_OK;
}

/* The same instance in the same cluster: an agent that has lost its memory. */
static bool find_instance(struct call *c, struct str cluster, struct str ec2_id, struct state_ecs_instance_record *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_walk w;
	if (ecs_walk_begin(c, &w, ecs_instances_under(&s, cluster), STR_NONE, false) != CALL_OK)
		return false;
	while (ecs_walk_next(&w)) {
		struct state_ecs_instance_record r = {0};
		if (ecs_instance_read(c->arena, w.value, &r) && str_eq(r.instance->ec2_instance_id, ec2_id) &&
		    !str_is(r.instance->status, "INACTIVE")) {
			*ret = r;
			return true;
		}
	}
	return false;
}

static void registered(struct call *c)
{
	const struct ecs_register_container_instance_response *out = c->out;
	struct str arn = out->container_instance->container_instance_arn;
	roster_heard(c, str_from_at(arn, (size_t)(str_rfind_char(arn, '/') + 1)));
}

int ecs_register_container_instance(struct call *c, const struct ecs_register_container_instance_request *in,
                                    struct ecs_register_container_instance_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct state_ecs_instance_record r = {0};
	struct ec2_identified of;
	struct ecs_attributes attributes;
	struct ecs_resources resources;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (!in->instance_identity_document.n || !in->instance_identity_document_signature.n)
		return ecs_client_error(c, "Instance identity document and its signature must be given.");
	if (!ec2_identify(c, in->instance_identity_document, in->instance_identity_document_signature, &of))
		return ecs_client_error(c, "Instance identity document is not valid: its signature does not fit, or the instance "
		                           "does not run.");
	if (take_attributes(c, &in->attributes, &of, &attributes) != CALL_OK ||
	    take_resources(c, &in->total_resources, &of, &resources) != CALL_OK || ecs_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	bool there = find_instance(c, cluster.cluster_name, of.id, &r);
	if (in->container_instance_arn.n) {
		struct str id = ecs_instance_id(c, cluster.cluster_name, in->container_instance_arn);
		if (!there || !str_set(id) || !str_eq(id, r.id))
			return ecs_invalid(c, "The referenced container instance was not found.");
	}
	if (!there) {
		r = (struct state_ecs_instance_record){.id = id_hex(c->arena, 32), .cluster = cluster.cluster_name};
		r.instance = arena_new(c->arena, struct ecs_container_instance);
		*r.instance = (struct ecs_container_instance){
		        .container_instance_arn = ecs_instance_arn(c->arena, &s, cluster.cluster_name, r.id),
		        .ec2_instance_id = of.id,
		        .status = S("ACTIVE"),
		        .registered_at = OPT_TIME(c->now_ms),
		        .tags = in->tags,
		};
	} else {
		/* what users have put on it stays */
		for (uint32_t i = 0; i < r.instance->attributes.n; i++) {
			bool given = false;
			for (uint32_t k = 0; k < attributes.n; k++)
				given = given || str_eq(attributes.v[k].name, r.instance->attributes.v[i].name);
			if (!given)
				*LIST_ADD(c->arena, &attributes) = r.instance->attributes.v[i];
		}
	}
	r.instance->capacity_provider_name = ecs_provider_of(&s, &cluster, of.id);
	r.instance->attributes = attributes;
	r.instance->registered_resources = resources;
	r.instance->version_info = in->version_info;
	ecs_instance_put(&s, &r);
	out->container_instance = arena_new(c->arena, struct ecs_container_instance);
	*out->container_instance = *r.instance;
	out->container_instance->agent_connected = OPT_BOOL(true);
	out->container_instance->remaining_resources = resources;
	call_after_commit(c, registered);
	return CALL_OK;
}
