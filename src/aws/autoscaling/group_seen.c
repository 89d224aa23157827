/* What other services see of groups. They change nothing here: that is what operations are for. */
#include "aws/autoscaling/autoscaling.h"
#include "policy.h"

#include <stdlib.h>

static struct scope scope_of(struct store_txn *t, struct arena *a, struct str account, struct str region)
{
	return (struct scope){.txn = t, .arena = a, .account = account, .region = region};
}

bool autoscaling_see_group(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str arn,
                           struct autoscaling_group_seen *ret)
{
	struct scope s = scope_of(t, a, account, region);
	struct state_autoscaling_group_record r = {0};
	ptrdiff_t at = str_find(arn, S(":autoScalingGroupName/"));
	if (at < 0 || !scaling_find(&s, str_from_at(arn, (size_t)at + S(":autoScalingGroupName/").n), &r) || r.deleting.v ||
	    !str_eq(r.group->auto_scaling_group_arn, arn))
		return false;
	*ret = (struct autoscaling_group_seen){.name = r.group->auto_scaling_group_name,
	                                       .protects = r.group->new_instances_protected_from_scale_in.v};
	ret->members = arena_array(a, r.members.n + 1, sizeof(*ret->members));
	for (uint32_t i = 0; i < r.members.n; i++) {
		const struct state_autoscaling_member *m = &r.members.v[i];
		if (!str_set(m->id))
			continue;
		struct autoscaling_member_seen *to = &ret->members[ret->member_count++];
		*to = (struct autoscaling_member_seen){
		        .id = m->id, .serves = member_in(m, "InService"), .protected = m->protected.v};
		for (uint32_t k = 0; member_in(m, "Terminating:Wait") && k < m->waits.n; k++)
			if (!str_set(m->waits.v[k].result))
				*LIST_ADD(a, &to->waits) = m->waits.v[k].hook;
	}
	return true;
}

bool autoscaling_has_policy(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str group,
                            struct str policy, double target, int64_t warmup_s)
{
	struct scope s = scope_of(t, a, account, region);
	struct state_autoscaling_policy_record p = {0};
	if (!policy_find(&s, group, policy, &p) || !p.policy->target_tracking_configuration)
		return false;
	return !(target > 0) || (p.policy->target_tracking_configuration->target_value.v == target &&
	                         p.policy->estimated_instance_warmup.v == warmup_s);
}

bool autoscaling_has_hook(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str group,
                          struct str hook)
{
	struct scope s = scope_of(t, a, account, region);
	struct state_autoscaling_group_record r = {0};
	for (uint32_t i = 0; scaling_find(&s, group, &r) && i < r.hooks.n; i++)
		if (str_eq(r.hooks.v[i].lifecycle_hook_name, hook))
			return true;
	return false;
}

struct str autoscaling_group_with(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str instance)
{
	struct scope s = scope_of(t, a, account, region);
	struct state_autoscaling_group_record r = {0};
	struct str name = scaling_group_of(&s, instance);
	return str_set(name) && scaling_find(&s, name, &r) ? r.group->auto_scaling_group_arn : STR_NONE;
}

struct str autoscaling_target_state(struct store_txn *t, struct arena *a, struct str account, struct str region,
                                    struct str instance)
{
	struct scope s = scope_of(t, a, account, region);
	struct state_autoscaling_group_record r = {0};
	struct str name = scaling_group_of(&s, instance);
	if (!str_set(name) || !scaling_find(&s, name, &r))
		return STR_NONE;
	const struct state_autoscaling_member *m = scaling_member(&r, instance);
	if (!m)
		return STR_NONE;
	if (member_ends(m))
		return member_warm(m) ? S("Warmed:Terminated") : S("Terminated");
	if (str_starts(m->state, S("Warmed:Pending"))) {
		const struct autoscaling_warm_pool_configuration *w = r.group->warm_pool_configuration;
		return ARENA_CAT(a, S("Warmed:"), w && w->pool_state.n ? w->pool_state : S("Stopped"));
	}
	if (member_begins(m))
		return S("InService");
	if (member_in(m, "EnteringStandby"))
		return S("Standby");
	return member_in(m, "Detaching") ? S("Detached") : m->state;
}

struct str_list autoscaling_cold(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str group,
                                 int64_t now_ms)
{
	struct scope s = scope_of(t, a, account, region);
	struct state_autoscaling_group_record r = {0};
	struct str_list cold = {0};
	if (!scaling_find(&s, group, &r) || !r.group->default_instance_warmup.set)
		return cold;
	int64_t since_ms = now_ms - r.group->default_instance_warmup.v * 1000;
	for (uint32_t i = 0; i < r.members.n; i++) {
		const struct state_autoscaling_member *m = &r.members.v[i];
		if (str_set(m->id) && (!m->in_service.set || m->in_service.ms > since_ms))
			*LIST_ADD(a, &cold) = m->id;
	}
	return cold;
}

struct autoscaling_groups_watch {
	struct store_watch *watch;
	autoscaling_group_changed_fn *fn;
	void *ctx;
};

static void changed(void *ctx, const struct store_event *e)
{
	struct autoscaling_groups_watch *w = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n == 5)
		w->fn(w->ctx, parts.v[2], parts.v[3], parts.v[4]);
}

struct autoscaling_groups_watch *autoscaling_watch_groups(struct cloud *cloud, autoscaling_group_changed_fn *fn, void *ctx)
{
	struct arena CLEAN_ARENA a = {0};
	struct autoscaling_groups_watch *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	*w = (struct autoscaling_groups_watch){.fn = fn, .ctx = ctx};
	struct str under = KEY_UNDER(&a, S("autoscaling"), S("group"));
	w->watch = store_watch(cloud->store, under, store_prefix_end(&a, under), store_revision(cloud->store), changed, w);
	return w;
}

void autoscaling_unwatch_groups(struct autoscaling_groups_watch *w)
{
	if (!w)
		return;
	store_unwatch(w->watch);
	free(w);
}
