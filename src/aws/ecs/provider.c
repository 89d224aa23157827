/* CreateCapacityProvider, UpdateCapacityProvider, DeleteCapacityProvider, and whose cluster a provider is. */
#include "provider.h"

#include "aws/autoscaling/autoscaling.h"
#include "base/id.h"
#include "scheduled.h"

enum { STEP_MOST = 10000, WARMUP_STANDARD_S = 300, NAME_MAX_BYTES = 255 };

static const struct record_type provider_row = {&state_ecs_api, "ProviderRecord"};

static struct str key_of(const struct ecs_scope *s, struct str name)
{
	return KEY(s->arena, S("ecs"), S("provider"), s->account, s->region, name);
}

bool ecs_provider_builtin(struct str name)
{
	return str_is(name, "FARGATE") || str_is(name, "FARGATE_SPOT");
}

bool ecs_provider_find(const struct ecs_scope *s, struct str name, struct state_ecs_provider_record *ret)
{
	*ret = (struct state_ecs_provider_record){0};
	return name.n && record_get(s->txn, s->arena, key_of(s, name), &provider_row, ret);
}

bool ecs_provider_read(struct arena *a, struct str value, struct state_ecs_provider_record *ret)
{
	return record_read(a, value, &provider_row, ret);
}

void ecs_provider_put(const struct ecs_scope *s, const struct state_ecs_provider_record *r)
{
	record_put(s->txn, s->arena, key_of(s, r->provider->name), &provider_row, r);
}

void ecs_provider_drop(const struct ecs_scope *s, struct str name)
{
	store_delete(s->txn, key_of(s, name));
}

bool ecs_strategy_on_instances(const struct ecs_capacity_provider_strategy *s)
{
	return s->n && !ecs_provider_builtin(s->v[0].capacity_provider);
}

struct str ecs_provider_of(const struct ecs_scope *s, const struct ecs_cluster *cluster, struct str ec2_id)
{
	struct str group = autoscaling_group_with(s->txn, s->arena, s->account, s->region, ec2_id);
	for (uint32_t i = 0; str_set(group) && i < cluster->capacity_providers.n; i++) {
		struct state_ecs_provider_record r;
		if (ecs_provider_find(s, cluster->capacity_providers.v[i], &r) &&
		    str_eq(r.provider->auto_scaling_group_provider->auto_scaling_group_arn, group))
			return r.provider->name;
	}
	return STR_NONE;
}

static bool among(const struct str_list *l, struct str name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], name))
			return true;
	return false;
}

/* By a task or by a service of the cluster. */
static bool in_use(const struct ecs_scope *s, struct str cluster, struct str name)
{
	struct str tasks = ecs_tasks_under(s, cluster), services = ecs_services_under(s, cluster), key;
	struct store_iter *iter = store_scan(s->txn, tasks, store_prefix_end(s->arena, tasks), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_ecs_task_record t = {0};
		if (ecs_task_read(s->arena, v.value, &t) && ecs_task_status(t.task) != ECS_STOPPED &&
		    str_eq(t.task->capacity_provider_name, name))
			return true;
	}
	iter = store_scan(s->txn, services, store_prefix_end(s->arena, services), false);
	while (store_next(iter, &key, &v)) {
		struct state_ecs_service_record r = {0};
		if (!ecs_service_read(s->arena, v.value, &r) || !str_is(r.service->status, "ACTIVE"))
			continue;
		for (uint32_t i = 0; i < r.service->capacity_provider_strategy.n; i++)
			if (str_eq(r.service->capacity_provider_strategy.v[i].capacity_provider, name))
				return true;
	}
	return false;
}

int ecs_providers_associate(struct call *c, struct str cluster, const struct str_list *before, const struct str_list *now)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_provider_record r;
	for (uint32_t i = 0; i < now->n; i++) {
		if (!ecs_provider_find(&s, now->v[i], &r) || str_eq(r.cluster, cluster))
			continue;
		if (str_set(r.cluster))
			return ecs_invalid(c, "The capacity provider %.*s is associated with the cluster %.*s.", STR_ARG(now->v[i]),
			                   STR_ARG(r.cluster));
		r.cluster = cluster;
		if (!str_set(r.policy))
			r.policy = ARENA_CAT(c->arena, S("ECSManagedAutoScalingPolicy-"), id_uuid(c->arena));
		ecs_provider_put(&s, &r);
	}
	for (uint32_t i = 0; i < before->n; i++) {
		if (among(now, before->v[i]) || !ecs_provider_find(&s, before->v[i], &r) || !str_eq(r.cluster, cluster))
			continue;
		if (in_use(&s, cluster, before->v[i]))
			return call_fail(c, "ResourceInUseException", 400,
			                 "The specified capacity provider is in use and cannot be removed.");
		r.cluster = STR_NONE;
		ecs_provider_put(&s, &r);
	}
	return CALL_OK;
}

/* --- what one may be */

static int take_scaling(struct call *c, const struct ecs_managed_scaling *given, struct ecs_managed_scaling *to)
{
	if (given && given->status.n)
		to->status = given->status;
	if (given && given->target_capacity.set)
		to->target_capacity = given->target_capacity;
	if (given && given->minimum_scaling_step_size.set)
		to->minimum_scaling_step_size = given->minimum_scaling_step_size;
	if (given && given->maximum_scaling_step_size.set)
		to->maximum_scaling_step_size = given->maximum_scaling_step_size;
	if (given && given->instance_warmup_period.set)
		to->instance_warmup_period = given->instance_warmup_period;
	if (to->target_capacity.v < 1 || to->target_capacity.v > 100)
		return ecs_client_error(c, "The managed scaling targetCapacity must be between 1 and 100.");
	if (to->minimum_scaling_step_size.v < 1 || to->maximum_scaling_step_size.v > STEP_MOST ||
	    to->minimum_scaling_step_size.v > to->maximum_scaling_step_size.v)
		return ecs_client_error(
		        c, "The managed scaling step sizes must be between 1 and %d, and the minimum not above the maximum.",
		        STEP_MOST);
	if (to->instance_warmup_period.v < 0 || to->instance_warmup_period.v > STEP_MOST)
		return ecs_client_error(c, "The managed scaling instanceWarmupPeriod must be between 0 and %d seconds.", STEP_MOST);
	return CALL_OK;
}

static int check_protection(struct call *c, const struct ecs_auto_scaling_group_provider *p, bool group_protects)
{
	if (!str_is(p->managed_termination_protection, "ENABLED"))
		return CALL_OK;
	if (!str_is(p->managed_scaling->status, "ENABLED"))
		return ecs_client_error(
		        c, "The managed termination protection setting for the capacity provider is invalid. To enable "
		           "managed termination protection for a capacity provider, managed scaling must be enabled.");
	if (!group_protects)
		return ecs_client_error(
		        c, "The managed termination protection setting for the capacity provider is invalid. To enable "
		           "managed termination protection for a capacity provider, the Auto Scaling group must have "
		           "instance protection from scale in enabled.");
	return CALL_OK;
}

static bool name_good(struct str name)
{
	return ecs_name_good(name) && name.n <= NAME_MAX_BYTES && !str_istarts(name, S("aws")) && !str_istarts(name, S("ecs")) &&
	       !str_istarts(name, S("fargate"));
}

static struct ecs_capacity_provider *show(struct call *c, const struct state_ecs_provider_record *r)
{
	struct ecs_capacity_provider *p = arena_new(c->arena, struct ecs_capacity_provider);
	*p = *r->provider;
	p->tags.set = true;
	return p;
}

int ecs_create_capacity_provider(struct call *c, const struct ecs_create_capacity_provider_request *in,
                                 struct ecs_create_capacity_provider_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_provider_record r;
	struct autoscaling_group_seen group;
	const struct ecs_auto_scaling_group_provider *given = in->auto_scaling_group_provider;
	if (in->managed_instances_provider || in->cluster.n)
		return call_fail(c, "UnsupportedFeatureException", 400, "Managed instances are not supported by this cloud.");
	if (!given)
		return ecs_client_error(c, "An Auto Scaling group provider must be specified to create a capacity provider.");
	if (!name_good(in->name))
		return ecs_client_error(
		        c, "The specified capacity provider name is invalid. Up to 255 characters are allowed, which include "
		           "letters (uppercase and lowercase), numbers, hyphens, and underscores; the name cannot be "
		           "prefixed with \"aws\", \"ecs\", or \"fargate\".");
	if (ecs_provider_find(&s, in->name, &r) && !str_is(r.provider->status, "INACTIVE"))
		return ecs_client_error(
		        c, "The specified capacity provider already exists. To change the configuration of an existing "
		           "capacity provider, update the capacity provider.");
	if (!autoscaling_see_group(s.txn, c->arena, c->account, c->region, given->auto_scaling_group_arn, &group))
		return ecs_client_error(c, "The specified Auto Scaling group ARN is invalid. Specify a valid ARN and try again.");
	if (ecs_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	struct ecs_auto_scaling_group_provider *p = arena_new(c->arena, struct ecs_auto_scaling_group_provider);
	struct ecs_managed_scaling *scaling = arena_new(c->arena, struct ecs_managed_scaling);
	*scaling = (struct ecs_managed_scaling){.status = S("DISABLED"),
	                                        .target_capacity = OPT_INT(100),
	                                        .minimum_scaling_step_size = OPT_INT(1),
	                                        .maximum_scaling_step_size = OPT_INT(STEP_MOST),
	                                        .instance_warmup_period = OPT_INT(WARMUP_STANDARD_S)};
	p->auto_scaling_group_arn = given->auto_scaling_group_arn;
	p->managed_scaling = scaling;
	p->managed_termination_protection =
	        given->managed_termination_protection.n ? given->managed_termination_protection : S("DISABLED");
	p->managed_draining = given->managed_draining.n ? given->managed_draining : S("ENABLED");
	if (take_scaling(c, given->managed_scaling, scaling) != CALL_OK || check_protection(c, p, group.protects) != CALL_OK)
		return CALL_FAIL;
	struct ecs_capacity_provider *made = arena_new(c->arena, struct ecs_capacity_provider);
	*made = (struct ecs_capacity_provider){.capacity_provider_arn =
	                                               ecs_arn(c, ARENA_CAT(c->arena, S("capacity-provider/"), in->name)),
	                                       .name = in->name,
	                                       .status = S("ACTIVE"),
	                                       .auto_scaling_group_provider = p,
	                                       .tags = in->tags,
	                                       .type = S("EC2_AUTOSCALING")};
	r = (struct state_ecs_provider_record){.provider = made};
	ecs_provider_put(&s, &r);
	out->capacity_provider = show(c, &r);
	return CALL_OK;
}

static int get(struct call *c, struct str text, struct state_ecs_provider_record *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct str name = ecs_of_arn(c, "capacity-provider", text);
	if (ecs_provider_find(&s, name, ret) && !str_is(ret->provider->status, "INACTIVE"))
		return CALL_OK;
	return ecs_client_error(c, "The specified capacity provider does not exist. Specify a valid name or ARN and try again.");
}

int ecs_update_capacity_provider(struct call *c, const struct ecs_update_capacity_provider_request *in,
                                 struct ecs_update_capacity_provider_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_provider_record r;
	struct autoscaling_group_seen group = {0};
	const struct ecs_auto_scaling_group_provider_update *given = in->auto_scaling_group_provider;
	if (get(c, in->name, &r) != CALL_OK)
		return CALL_FAIL;
	if (!given)
		return ecs_client_error(c, "An Auto Scaling group provider must be specified to update a capacity provider.");
	struct ecs_auto_scaling_group_provider *p = r.provider->auto_scaling_group_provider;
	if (given->managed_termination_protection.n)
		p->managed_termination_protection = given->managed_termination_protection;
	if (given->managed_draining.n)
		p->managed_draining = given->managed_draining;
	autoscaling_see_group(s.txn, c->arena, c->account, c->region, p->auto_scaling_group_arn, &group);
	if (take_scaling(c, given->managed_scaling, p->managed_scaling) != CALL_OK ||
	    check_protection(c, p, group.protects) != CALL_OK)
		return CALL_FAIL;
	r.provider->update_status = S("UPDATE_COMPLETE");
	ecs_provider_put(&s, &r);
	out->capacity_provider = show(c, &r);
	return CALL_OK;
}

int ecs_delete_capacity_provider(struct call *c, const struct ecs_delete_capacity_provider_request *in,
                                 struct ecs_delete_capacity_provider_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_provider_record r;
	if (ecs_provider_builtin(ecs_of_arn(c, "capacity-provider", in->capacity_provider)))
		return ecs_client_error(c, "The specified capacity provider cannot be deleted: it is provided by AWS.");
	if (get(c, in->capacity_provider, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_set(r.cluster))
		return call_fail(
		        c, "ResourceInUseException", 400,
		        "The capacity provider cannot be deleted because it is associated with cluster: %.*s. Remove the capacity "
		        "provider from the cluster and try again.",
		        STR_ARG(r.cluster));
	r.provider->status = S("INACTIVE");
	r.provider->update_status = S("DELETE_COMPLETE");
	ecs_provider_put(&s, &r); /* its manager drops it when the group has nothing of it any more */
	out->capacity_provider = show(c, &r);
	return CALL_OK;
}
