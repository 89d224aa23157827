/* Instance profiles of instances that are there: associating, replacing, taking away. What an instance's metadata say of its role
 * is looked up anew at each request, so a change holds at once. The association of an instance lies in its record. */
#include "aws/ec2/instance/profile.h"

#include "aws/ec2/network/vpc.h"

static struct ec2_iam_instance_profile_association *shown(struct call *c, const struct state_ec2_instance_record *r,
                                                          const char *state)
{
	struct ec2_iam_instance_profile_association *a = arena_new(c->arena, struct ec2_iam_instance_profile_association);
	*a = (struct ec2_iam_instance_profile_association){.association_id = r->profile_association,
	                                                   .instance_id = r->instance->instance_id,
	                                                   .iam_instance_profile = r->instance->iam_instance_profile,
	                                                   .state = str_from(state),
	                                                   .timestamp = r->profile_since};
	return a;
}

void profile_given(struct call *c, struct state_ec2_instance_record *r)
{
	if (!r->instance->iam_instance_profile)
		return;
	r->profile_association = ec2_new_id(c->arena, "iip-assoc");
	r->profile_since = OPT_TIME(c->now_ms);
}

/* The profile that a request names, if its role may be passed on. */
static int take(struct call *c, const struct ec2_iam_instance_profile_specification *given,
                struct ec2_iam_instance_profile **ret_profile)
{
	const struct ec2_run_instances_request in = {.iam_instance_profile =
	                                                     (struct ec2_iam_instance_profile_specification *)given};
	struct launch l = {.in = &in};
	if (!given || (!given->arn.n && !given->name.n))
		return ec2_missing(c, "IamInstanceProfile");
	if (ec2_run_take_profile(c, &l) != CALL_OK)
		return CALL_FAIL;
	*ret_profile = arena_new(c->arena, struct ec2_iam_instance_profile);
	**ret_profile = l.profile;
	return CALL_OK;
}

static bool is_gone(const struct ec2_instance *i)
{
	enum instance_state state = ec2_instance_state(i);
	return state == INSTANCE_TERMINATED || state == INSTANCE_SHUTTING_DOWN;
}

static int no_association(struct call *c, struct str id)
{
	return call_fail(c, "InvalidAssociationID.NotFound", 400, "An invalid association-id of '%.*s' was given", STR_ARG(id));
}

/* The instance with this association; its record is changed by the caller, who may. */
static int find(struct call *c, struct str id, struct state_ec2_instance_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_instance);
	if (!str_set(id) || !id.n)
		return ec2_missing(c, "AssociationId");
	while (ec2_next(&all, ret))
		if (str_eq(ret->profile_association, id) && !is_gone(ret->instance))
			return ec2_allowed(c, &ec2_kind_instance, ret->instance->instance_id) ? CALL_OK : CALL_FAIL;
	return no_association(c, id);
}

int ec2_associate_iam_instance_profile(struct call *c, const struct ec2_associate_iam_instance_profile_request *in,
                                       struct ec2_associate_iam_instance_profile_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	struct ec2_iam_instance_profile *profile;
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK ||
	    take(c, in->iam_instance_profile, &profile) != CALL_OK)
		return CALL_FAIL;
	if (is_gone(r.instance))
		return call_fail(c, "IncorrectInstanceState", 400,
		                 "The instance '%.*s' is not in a state from which it can be associated.",
		                 STR_ARG(in->instance_id));
	if (r.instance->iam_instance_profile)
		return call_fail(c, "IncorrectState", 400, "There is an existing association for instance %.*s",
		                 STR_ARG(in->instance_id));
	r.instance->iam_instance_profile = profile;
	profile_given(c, &r);
	ec2_put(&s, &ec2_kind_instance, in->instance_id, &r);
	out->iam_instance_profile_association = shown(c, &r, "associating");
	return CALL_OK;
}

int ec2_replace_iam_instance_profile_association(struct call *c,
                                                 const struct ec2_replace_iam_instance_profile_association_request *in,
                                                 struct ec2_replace_iam_instance_profile_association_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	if (find(c, in->association_id, &r) != CALL_OK ||
	    take(c, in->iam_instance_profile, &r.instance->iam_instance_profile) != CALL_OK)
		return CALL_FAIL;
	profile_given(c, &r);
	ec2_put(&s, &ec2_kind_instance, r.instance->instance_id, &r);
	out->iam_instance_profile_association = shown(c, &r, "associating");
	return CALL_OK;
}

int ec2_disassociate_iam_instance_profile(struct call *c, const struct ec2_disassociate_iam_instance_profile_request *in,
                                          struct ec2_disassociate_iam_instance_profile_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	if (find(c, in->association_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->iam_instance_profile_association = shown(c, &r, "disassociating");
	r.instance->iam_instance_profile = NULL;
	r.profile_association = STR_NONE;
	r.profile_since = (struct opt_time){0};
	ec2_put(&s, &ec2_kind_instance, r.instance->instance_id, &r);
	return CALL_OK;
}

/* --- lists */

static const struct ec2_field fields[] = {
        FIELD_TEXT("instance-id", ec2_iam_instance_profile_association, instance_id),
        FIELD_TEXT("state", ec2_iam_instance_profile_association, state),
        {0},
};

static bool asked_for(const struct str_list *ids, struct str id)
{
	for (uint32_t i = 0; i < ids->n; i++)
		if (str_eq(ids->v[i], id))
			return true;
	return !ids->n;
}

int ec2_describe_iam_instance_profile_associations(struct call *c,
                                                   const struct ec2_describe_iam_instance_profile_associations_request *in,
                                                   struct ec2_describe_iam_instance_profile_associations_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	struct str after;
	if (ec2_filters_check(c, fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 5, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->association_ids.n; i++) {
		struct ec2_all all = ec2_all(&s, &ec2_kind_instance);
		bool found = false;
		while (!found && ec2_next(&all, &r))
			found = str_eq(r.profile_association, in->association_ids.v[i]) && !is_gone(r.instance);
		if (!found)
			return no_association(c, in->association_ids.v[i]);
	}
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : UINT32_MAX;
	struct ec2_all all = ec2_all_after(&s, &ec2_kind_instance, after);
	out->iam_instance_profile_associations.set = true;
	while (ec2_next(&all, &r)) {
		if (!str_set(r.profile_association) || is_gone(r.instance) ||
		    !asked_for(&in->association_ids, r.profile_association))
			continue;
		struct ec2_iam_instance_profile_association *a = shown(c, &r, "associated");
		if (!ec2_filters_pass(c, &(const struct ec2_kind){0}, a, fields, &in->filters))
			continue;
		if (out->iam_instance_profile_associations.n == limit) {
			out->next_token = ec2_page_token(c, out->iam_instance_profile_associations.v[limit - 1].instance_id);
			break;
		}
		*LIST_ADD(c->arena, &out->iam_instance_profile_associations) = *a;
	}
	return CALL_OK;
}
