#include "container_instance.h"

#include "aws/ec2/ec2.h"
#include "aws/elbv2/elbv2.h"
#include "aws/servicediscovery/servicediscovery.h"

enum { REGISTRIES_MAX = 1, PORT_MAX = 65535 };

static struct discovery_scope discovery(const struct ecs_scope *s)
{
	return (struct discovery_scope){.txn = s->txn, .arena = s->arena, .account = s->account, .region = s->region};
}

/* --- what a service may ask for */

static int check(struct call *c, const struct ecs_service_registry *r)
{
	struct ecs_scope s = ecs_scope(c);
	struct discovery_scope d = discovery(&s);
	struct discovery_service found;
	if (!discovery_find(&d, r->registry_arn, &found))
		return ecs_invalid(c, "Service registry %.*s does not exist.", STR_ARG(r->registry_arn));
	if (r->port.set && (r->container_port.set || r->container_name.n))
		return ecs_invalid(c, "A service registry has a port or a container's name and port, not both.");
	if (r->container_port.set != (r->container_name.n > 0))
		return ecs_invalid(c, "containerName and containerPort of a service registry go together.");
	if (found.target && !r->port.set && !r->container_port.set)
		return ecs_invalid(c, "A service registry with records of the type SRV needs a port.");
	int64_t port = r->port.set ? r->port.v : r->container_port.v;
	if ((r->port.set || r->container_port.set) && (port < 1 || port > PORT_MAX))
		return ecs_invalid(c, "The port of a service registry must be between 1 and %d.", PORT_MAX);
	return CALL_OK;
}

int ecs_registries_check_published(struct call *c, const struct ecs_service_registries *given)
{
	struct ecs_scope s = ecs_scope(c);
	struct discovery_scope d = discovery(&s);
	for (uint32_t i = 0; i < given->n; i++) {
		struct discovery_service found;
		if (!given->v[i].container_name.n || !given->v[i].container_port.set)
			return ecs_invalid(
			        c, "When the task definition uses the network mode bridge or host, a service registry needs "
			           "a containerName and a containerPort.");
		if (discovery_find(&d, given->v[i].registry_arn, &found) && found.address)
			return ecs_invalid(
			        c, "When the task definition uses the network mode bridge or host, only records of the type SRV "
			           "are supported.");
	}
	return CALL_OK;
}

int ecs_registries_check(struct call *c, const struct ecs_service_registries *given)
{
	if (given->n > REGISTRIES_MAX)
		return ecs_invalid(c, "serviceRegistries can have at most %d items.", REGISTRIES_MAX);
	for (uint32_t i = 0; i < given->n; i++)
		if (check(c, &given->v[i]) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

/* --- one task */

bool ecs_definition_checks_health(const struct ecs_task_definition *d)
{
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		if (d->container_definitions.v[i].health_check && d->container_definitions.v[i].essential.v)
			return true;
	return false;
}

struct str ecs_task_address(const struct ecs_task *t)
{
	for (uint32_t i = 0; i < t->attachments.n; i++)
		for (uint32_t k = 0; k < t->attachments.v[i].details.n; k++)
			if (str_is(t->attachments.v[i].details.v[k].name, "privateIPv4Address"))
				return t->attachments.v[i].details.v[k].value;
	return STR_NONE;
}

static struct str_map attributes(const struct ecs_scope *s, const struct state_ecs_task_record *r,
                                 const struct ecs_service_registry *registry)
{
	struct str_map map = {.set = true};
	struct str address = ecs_task_address(r->task), instance = STR_NONE;
	int64_t port = registry->port.set ? registry->port.v : registry->container_port.v;
	struct state_ecs_instance_record at = {0};
	if (ecs_task_is_remote(r->task) && ecs_instance_find(s, r->cluster, ecs_task_instance(r->task), &at))
		instance = at.instance->ec2_instance_id;
	if (str_set(instance) && !str_set(address)) {
		const struct ecs_load_balancer published = {.container_name = registry->container_name,
		                                            .container_port = registry->container_port};
		struct elbv2_target target;
		struct ec2_seen seen;
		ec2_see_instance(s->txn, s->arena, s->account, s->region, instance, &seen);
		address = str_set(seen.address) ? seen.address : S("");
		port = ecs_task_target(s, r, &published, &target) ? target.port : 0;
	}
#define ADD(name, value) (*LIST_ADD(s->arena, &map) = (struct str_map_entry){S(name), value})
	ADD("AWS_INSTANCE_IPV4", address);
	if (str_set(instance))
		ADD("EC2_INSTANCE_ID", instance);
	if (port)
		ADD("AWS_INSTANCE_PORT", arena_printf(s->arena, "%lld", (long long)port));
	ADD("AVAILABILITY_ZONE", r->task->availability_zone);
	ADD("ECS_CLUSTER_NAME", r->cluster);
	ADD("ECS_SERVICE_NAME", str_from_at(r->task->group, sizeof("service:") - 1));
	ADD("ECS_TASK_DEFINITION_FAMILY", r->definition->family);
	ADD("REGION", s->region);
#undef ADD
	return map;
}

/* Whether clients may come: "": not at all. A task whose containers have checks must have passed them. */
static const char *presence(const struct ecs_task *t, bool checked)
{
	if (ecs_task_status(t) != ECS_RUNNING || !str_is(t->desired_status, "RUNNING"))
		return "";
	return !checked || str_is(t->health_status, "HEALTHY") ? "HEALTHY" : "UNHEALTHY";
}

void ecs_task_announce(const struct ecs_scope *s, struct state_ecs_task_record *r)
{
	struct discovery_scope d = discovery(s);
	const char *now;
	ecs_targets_join(s, r);
	if (!r->registries.n)
		return;
	now = presence(r->task, ecs_definition_checks_health(r->definition));
	if (str_is(r->announced, now))
		return;
	r->announced = str_from(now);
	for (uint32_t i = 0; i < r->registries.n; i++) {
		struct str arn = r->registries.v[i].registry_arn, service = str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1);
		struct str_map map = attributes(s, r, &r->registries.v[i]);
		if (*now)
			discovery_put(&d, service, r->id, &map, strcmp(now, "HEALTHY") == 0);
		else
			discovery_drop(&d, service, r->id);
	}
}
