/* Scalable targets: RegisterScalableTarget, DescribeScalableTargets, DeregisterScalableTarget, and their tags. */
#include "rows.h"

#include "base/id.h"

enum { TAGS_MAX = 50, ID_DIGITS = 32 };

int64_t target_count(const struct state_applicationautoscaling_target_record *r, const struct resource_seen *seen)
{
	return r->want.set ? r->want.v : seen->wanted;
}

void target_want(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r,
                 int64_t count, struct str cause)
{
	if (r->want.set)
		activity_say(s, of, r, "Overridden",
		             arena_printf(s->arena, "Setting %s to %lld was overridden by another scaling action.", of->kind->what,
		                          (long long)r->want.v));
	r->want = OPT_INT(count);
	r->told = OPT_BOOL(false);
	r->not_scaled = STR_NONE;
	activity_begin(s, of, r, arena_printf(s->arena, "Setting %s to %lld.", of->kind->what, (long long)count), cause);
}

void target_bound(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r)
{
	struct resource_seen seen;
	resource_see(s, of, &seen);
	int64_t min = r->target->min_capacity.v, max = r->target->max_capacity.v, count = target_count(r, &seen);
	if (!seen.there)
		return;
	if (count < min)
		target_want(s, of, r, min, arena_printf(s->arena, "minimum capacity was set to %lld", (long long)min));
	else if (count > max)
		target_want(s, of, r, max, arena_printf(s->arena, "maximum capacity was set to %lld", (long long)max));
}

/* --- registering */

static int check_room(struct call *c, const struct resource *of)
{
	struct appscale s = appscale_of_call(c);
	struct str under = appscale_under(&s, "target", of->namespace, STR_NONE, STR_NONE), key;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	int64_t n = 0;
	while (store_next(iter, &key, &v))
		n++;
	return n < of->kind->most ? CALL_OK
	                          : appscale_full(c, "You have reached the limit of %lld scalable targets for this resource type.",
	                                          (long long)of->kind->most);
}

static int take_tags(struct call *c, struct str arn, const struct str_map *given, struct str_map *tags)
{
	for (uint32_t i = 0; i < given->n; i++) {
		struct str key = given->v[i].key;
		uint32_t at = 0;
		if (str_istarts(key, S("aws:")))
			return appscale_invalid(c, "Tag keys that begin with aws: are reserved for system use.");
		while (at < tags->n && !str_eq(tags->v[at].key, key))
			at++;
		if (at == tags->n)
			LIST_ADD(c->arena, tags);
		tags->v[at] = (struct str_map_entry){key, given->v[i].value};
	}
	if (tags->n <= TAGS_MAX)
		return CALL_OK;
	call_fail(c, "TooManyTagsException", 400, "A resource can have at most %d tags.", TAGS_MAX);
	return call_field(c, "ResourceName", arn);
}

static void take_suspended(struct call *c, const struct application_autoscaling_suspended_state *given,
                           struct application_autoscaling_scalable_target *t)
{
	struct application_autoscaling_suspended_state *to = arena_new(c->arena, struct application_autoscaling_suspended_state);
	if (t->suspended_state)
		*to = *t->suspended_state;
	else
		to->dynamic_scaling_in_suspended = to->dynamic_scaling_out_suspended = to->scheduled_scaling_suspended =
		        OPT_BOOL(false);
	if (given && given->dynamic_scaling_in_suspended.set)
		to->dynamic_scaling_in_suspended = given->dynamic_scaling_in_suspended;
	if (given && given->dynamic_scaling_out_suspended.set)
		to->dynamic_scaling_out_suspended = given->dynamic_scaling_out_suspended;
	if (given && given->scheduled_scaling_suspended.set)
		to->scheduled_scaling_suspended = given->scheduled_scaling_suspended;
	t->suspended_state = to;
}

static struct application_autoscaling_scalable_target *new_target(struct call *c, const struct resource *of)
{
	struct appscale s = appscale_of_call(c);
	struct application_autoscaling_scalable_target *t = arena_new(c->arena, struct application_autoscaling_scalable_target);
	struct str id = ARENA_CAT(c->arena, str_from(of->kind->head), id_hex(c->arena, ID_DIGITS));
	*t = (struct application_autoscaling_scalable_target){
	        .service_namespace = of->namespace,
	        .resource_id = of->id,
	        .scalable_dimension = of->dimension,
	        .role_arn = arena_printf(c->arena, "arn:aws:iam::%.*s:role/aws-service-role/%s/%s", STR_ARG(c->account),
	                                 of->kind->linked, of->kind->role),
	        .creation_time = OPT_TIME(c->now_ms),
	        .scalable_target_arn = arena_printf(c->arena, "arn:aws:application-autoscaling:%.*s:%.*s:scalable-target/%.*s",
	                                            STR_ARG(c->region), STR_ARG(c->account), STR_ARG(id))};
	store_put(s.txn, appscale_id_key(&s, "target-id", id), appscale_key(&s, "target", of, STR_NONE));
	return t;
}

int application_autoscaling_register_scalable_target(struct call *c,
                                                     const struct application_autoscaling_register_scalable_target_request *in,
                                                     struct application_autoscaling_register_scalable_target_response *out)
{
	struct appscale s = appscale_of_call(c);
	struct resource of;
	struct resource_seen seen;
	struct state_applicationautoscaling_target_record r;
	if (appscale_resource(c, in->service_namespace, in->resource_id, in->scalable_dimension, &of) != CALL_OK)
		return CALL_FAIL;
	resource_see(&s, &of, &seen);
	if (!seen.there)
		return appscale_invalid(c, "%s%.*s", of.kind->missing, STR_ARG(of.id));
	if (str_set(seen.refused))
		return appscale_invalid(c, "%.*s", STR_ARG(seen.refused));
	bool there = target_find(&s, &of, &r);
	if (!there && (!in->min_capacity.set || !in->max_capacity.set))
		return appscale_invalid(c, "MinCapacity and MaxCapacity are required to register a new scalable target.");
	if (!there && check_room(c, &of) != CALL_OK)
		return CALL_FAIL;
	struct application_autoscaling_scalable_target *t = there ? r.target : new_target(c, &of);
	if (in->min_capacity.set)
		t->min_capacity = in->min_capacity;
	if (in->max_capacity.set)
		t->max_capacity = in->max_capacity;
	if (t->min_capacity.v < 0 || t->max_capacity.v < 0)
		return appscale_invalid(c, "Minimum and maximum capacity must be non-negative numbers.");
	if (t->min_capacity.v > t->max_capacity.v)
		return appscale_invalid(c, "Maximum capacity cannot be less than minimum capacity");
	if (take_tags(c, t->scalable_target_arn, &in->tags, &r.tags) != CALL_OK)
		return CALL_FAIL;
	take_suspended(c, in->suspended_state, t);
	r.target = t;
	target_bound(&s, &of, &r);
	target_put(&s, &of, &r);
	out->scalable_target_arn = t->scalable_target_arn;
	return CALL_OK;
}

int application_autoscaling_deregister_scalable_target(struct call *c,
                                                       const struct application_autoscaling_deregister_scalable_target_request *in,
                                                       struct application_autoscaling_deregister_scalable_target_response *out)
{
	(void)out;
	struct appscale s = appscale_of_call(c);
	struct resource of;
	struct state_applicationautoscaling_target_record r;
	if (appscale_resource(c, in->service_namespace, in->resource_id, in->scalable_dimension, &of) != CALL_OK)
		return CALL_FAIL;
	if (!target_find(&s, &of, &r))
		return appscale_none(c, "No scalable target found", &of, STR_NONE);
	if (r.want.set)
		activity_say(&s, &of, &r, "Unfulfilled", S("The scalable target was deregistered."));
	appscale_policies_drop(&s, &of);
	appscale_schedules_drop(&s, &of);
	struct str arn = r.target->scalable_target_arn;
	store_delete(s.txn, appscale_id_key(&s, "target-id", str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1)));
	store_delete(s.txn, appscale_key(&s, "target", &of, STR_NONE));
	return CALL_OK;
}

int application_autoscaling_describe_scalable_targets(struct call *c,
                                                      const struct application_autoscaling_describe_scalable_targets_request *in,
                                                      struct application_autoscaling_describe_scalable_targets_response *out)
{
	struct appscale s = appscale_of_call(c);
	static const struct record_type row = {&state_applicationautoscaling_api, "TargetRecord"};
	struct page p;
	if (page_begin(c, &p, appscale_under(&s, "target", in->service_namespace, STR_NONE, STR_NONE), in->max_results,
	               in->next_token) != CALL_OK)
		return CALL_FAIL;
	out->scalable_targets.set = true;
	while (page_next(&p)) {
		struct state_applicationautoscaling_target_record r = {0};
		if (!record_read(c->arena, p.value, &row, &r) || !appscale_among(&in->resource_ids, r.target->resource_id) ||
		    (in->scalable_dimension.n && !str_eq(in->scalable_dimension, r.target->scalable_dimension)))
			continue;
		if (!page_take(c, &p, &out->next_token))
			break;
		*LIST_ADD(c->arena, &out->scalable_targets) = *r.target;
	}
	return CALL_OK;
}

/* --- tags */

static int get_tagged(struct call *c, struct str arn, struct resource *ret_of,
                      struct state_applicationautoscaling_target_record *ret)
{
	struct appscale s = appscale_of_call(c);
	struct store_value v;
	struct str id = str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1);
	if (store_get(s.txn, appscale_id_key(&s, "target-id", id), &v)) {
		struct str_list parts = record_key_parts(c->arena, v.value);
		*ret_of = (struct resource){resource_kind_of(parts.v[4], parts.v[6]), parts.v[4], parts.v[5], parts.v[6]};
		if (target_find(&s, ret_of, ret) && str_eq(ret->target->scalable_target_arn, arn))
			return CALL_OK;
	}
	call_fail(c, "ResourceNotFoundException", 400, "The specified resource doesn't exist: %.*s", STR_ARG(arn));
	return call_field(c, "ResourceName", arn);
}

int application_autoscaling_tag_resource(struct call *c, const struct application_autoscaling_tag_resource_request *in,
                                         struct application_autoscaling_tag_resource_response *out)
{
	(void)out;
	struct appscale s = appscale_of_call(c);
	struct resource of;
	struct state_applicationautoscaling_target_record r;
	if (get_tagged(c, in->resource_arn, &of, &r) != CALL_OK || take_tags(c, in->resource_arn, &in->tags, &r.tags) != CALL_OK)
		return CALL_FAIL;
	target_put(&s, &of, &r);
	return CALL_OK;
}

int application_autoscaling_untag_resource(struct call *c, const struct application_autoscaling_untag_resource_request *in,
                                           struct application_autoscaling_untag_resource_response *out)
{
	(void)out;
	struct appscale s = appscale_of_call(c);
	struct resource of;
	struct state_applicationautoscaling_target_record r;
	uint32_t left = 0;
	if (get_tagged(c, in->resource_arn, &of, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.tags.n; i++)
		if (!in->tag_keys.n || !appscale_among(&in->tag_keys, r.tags.v[i].key))
			r.tags.v[left++] = r.tags.v[i];
	r.tags.n = left;
	target_put(&s, &of, &r);
	return CALL_OK;
}

int application_autoscaling_list_tags_for_resource(struct call *c,
                                                   const struct application_autoscaling_list_tags_for_resource_request *in,
                                                   struct application_autoscaling_list_tags_for_resource_response *out)
{
	struct resource of;
	struct state_applicationautoscaling_target_record r;
	if (get_tagged(c, in->resource_arn, &of, &r) != CALL_OK)
		return CALL_FAIL;
	out->tags = r.tags;
	out->tags.set = true;
	return CALL_OK;
}
