#include "aws/iam/nouns.h"
#include "base/id.h"

enum { SESSION_DEFAULT_S = 3600, SESSION_LINKED_S = 3600 };

/* --- roles */

int iam_create_role(struct call *c, const struct iam_create_role_request *in, struct iam_create_role_response *out)
{
	struct state_iam_entity_record r;
	if (str_starts(in->path, S("/aws-service-role/")))
		return call_fail(c, "InvalidInput", 400, "Path /aws-service-role/ is reserved for service-linked roles.");
	if ((in->tags.n && !iam_may_tag(c, in, "iam:TagRole")) || !iam_trust_check(c, in->assume_role_policy_document) ||
	    !iam_create(c, IAM_ROLE, in->path, in->role_name, &r) || !iam_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	if (str_set(in->permissions_boundary) && !iam_boundary_check(c, in->permissions_boundary))
		return CALL_FAIL;
	r.powers->boundary = in->permissions_boundary;
	r.trust = in->assume_role_policy_document;
	r.description = in->description;
	r.max_session_s = in->max_session_duration.set ? in->max_session_duration : OPT_INT(SESSION_DEFAULT_S);
	iam_save(c, IAM_ROLE, &r);
	iam_role_show(c, &r, out->role = arena_new(c->arena, struct iam_role));
	return CALL_OK;
}

struct iam_role_last_used *iam_role_last_used_show(struct call *c, const struct state_iam_entity_record *r)
{
	struct state_iam_key_use_record use = {0};
	struct iam_role_last_used *shown = arena_new(c->arena, struct iam_role_last_used);
	iam_key_last_used(c, r->id, &use);
	*shown = (struct iam_role_last_used){.last_used_date = use.time, .region = use.region};
	return shown;
}

int iam_get_role(struct call *c, const struct iam_get_role_request *in, struct iam_get_role_response *out)
{
	struct state_iam_entity_record r;
	if (!iam_load(c, IAM_ROLE, in->role_name, &r))
		return CALL_FAIL;
	iam_role_show(c, &r, out->role = arena_new(c->arena, struct iam_role));
	out->role->role_last_used = iam_role_last_used_show(c, &r);
	return CALL_OK;
}

/* A role that belongs to a service is changed by the service alone. */
static bool unlinked(struct call *c, const struct state_iam_entity_record *r)
{
	if (!str_set(r->linked_service))
		return true;
	call_fail(c, "UnmodifiableEntity", 400,
	          "Cannot perform the operation on the protected role '%.*s' - this role is only modifiable by AWS",
	          STR_ARG(r->name));
	return false;
}

bool iam_load_role_to_change(struct call *c, struct str name, struct state_iam_entity_record *ret)
{
	return iam_load(c, IAM_ROLE, name, ret) && unlinked(c, ret);
}

int iam_update_role(struct call *c, const struct iam_update_role_request *in, struct iam_update_role_response *out)
{
	(void)out;
	struct state_iam_entity_record r;
	if (!iam_load_role_to_change(c, in->role_name, &r))
		return CALL_FAIL;
	if (str_set(in->description))
		r.description = in->description;
	if (in->max_session_duration.set)
		r.max_session_s = in->max_session_duration;
	iam_save(c, IAM_ROLE, &r);
	return CALL_OK;
}

int iam_update_role_description(struct call *c, const struct iam_update_role_description_request *in,
                                struct iam_update_role_description_response *out)
{
	struct state_iam_entity_record r;
	if (!iam_load(c, IAM_ROLE, in->role_name, &r))
		return CALL_FAIL;
	r.description = in->description;
	iam_save(c, IAM_ROLE, &r);
	iam_role_show(c, &r, out->role = arena_new(c->arena, struct iam_role));
	return CALL_OK;
}

int iam_update_assume_role_policy(struct call *c, const struct iam_update_assume_role_policy_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record r;
	if (!iam_load_role_to_change(c, in->role_name, &r) || !iam_trust_check(c, in->policy_document))
		return CALL_FAIL;
	r.trust = in->policy_document;
	iam_save(c, IAM_ROLE, &r);
	return CALL_OK;
}

static bool in_profile(struct call *c, struct str role)
{
	struct arena CLEAN_ARENA scratch = {0};
	struct iam_walk walk;
	struct state_iam_entity_record p;
	bool found = false;
	iam_walk_open(c, IAM_PROFILE, STR_NONE, &walk);
	walk.arena = &scratch;
	for (; !found && iam_walk_next(&walk, &p); arena_reset(&scratch))
		for (uint32_t i = 0; i < p.roles.n; i++)
			found = found || str_ieq(p.roles.v[i], role);
	return found;
}

static bool deletable(struct call *c, const struct state_iam_entity_record *r)
{
	const char *first = in_profile(c, r->name)  ? "remove roles from instance profile"
	                    : r->powers->attached.n ? "detach all policies"
	                    : r->powers->inline_.n  ? "delete policies"
	                                            : NULL;
	if (first)
		call_fail(c, "DeleteConflict", 409, "Cannot delete entity, must %s first.", first);
	return first == NULL;
}

int iam_delete_role(struct call *c, const struct iam_delete_role_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record r;
	if (!iam_load_role_to_change(c, in->role_name, &r) || !deletable(c, &r))
		return CALL_FAIL;
	iam_drop(c, IAM_ROLE, r.name);
	iam_trust_follow(c, iam_entity_arn(c->arena, c->account, IAM_ROLE, &r), r.id);
	return CALL_OK;
}

/* --- service-linked roles: made with their trust and their policy, changed by nobody */

static const struct {
	const char *service, *role, *policy; /* policy: name of the managed one under /aws-service-role/ */
} linked[] = {
        {"autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling", "AutoScalingServiceRolePolicy"},
        {"ecs.amazonaws.com", "AWSServiceRoleForECS", "AmazonECSServiceRolePolicy"},
        {"elasticbeanstalk.amazonaws.com", "AWSServiceRoleForElasticBeanstalk", "AWSElasticBeanstalkServiceRolePolicy"},
        {"elasticloadbalancing.amazonaws.com", "AWSServiceRoleForElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"},
        {"ecs.application-autoscaling.amazonaws.com", "AWSServiceRoleForApplicationAutoScaling_ECSService",
         "AWSApplicationAutoscalingECSServicePolicy"},
        {"rds.amazonaws.com", "AWSServiceRoleForRDS", "AmazonRDSServiceRolePolicy"},
        {"elasticache.amazonaws.com", "AWSServiceRoleForElastiCache", "ElastiCacheServiceRolePolicy"},
};

struct str iam_linked_role_name(struct arena *a, struct str service, struct str suffix)
{
	for (unsigned i = 0; i < sizeof(linked) / sizeof(linked[0]); i++)
		if (str_is(service, linked[i].service))
			return str_set(suffix) ? ARENA_CAT(a, str_from(linked[i].role), S("_"), suffix) : str_from(linked[i].role);
	return STR_NONE;
}

int iam_create_service_linked_role(struct call *c, const struct iam_create_service_linked_role_request *in,
                                   struct iam_create_service_linked_role_response *out)
{
	struct state_iam_entity_record r;
	for (unsigned i = 0; i < sizeof(linked) / sizeof(linked[0]); i++) {
		if (!str_is(in->aws_service_name, linked[i].service))
			continue;
		/* Only Auto Scaling takes suffixes. */
		if (str_set(in->custom_suffix) && i != 0)
			return call_fail(c, "InvalidInput", 400, "Custom suffix is not allowed for %s", linked[i].service);
		struct str name = iam_linked_role_name(c->arena, in->aws_service_name, in->custom_suffix);
		if (iam_load_quietly(c, IAM_ROLE, name, &r))
			return call_fail(c, "InvalidInput", 400,
			                 "Service role name %.*s has been taken in this account, please try a different suffix.",
			                 STR_ARG(name));
		if (!iam_create(c, IAM_ROLE, arena_printf(c->arena, "/aws-service-role/%s/", linked[i].service), name, &r))
			return CALL_FAIL;
		r.linked_service = in->aws_service_name;
		r.description = in->description;
		r.max_session_s = OPT_INT(SESSION_LINKED_S);
		r.trust = arena_printf(
		        c->arena,
		        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Action\":[\"sts:AssumeRole\"],\"Effect\":\"Allow\","
		        "\"Principal\":{\"Service\":[\"%s\"]}}]}",
		        linked[i].service);
		struct str arn = arena_printf(c->arena, "arn:aws:iam::aws:policy/aws-service-role/%s", linked[i].policy);
		if (iam_aws_policy(arn))
			*LIST_ADD(c->arena, &r.powers->attached) = arn;
		iam_save(c, IAM_ROLE, &r);
		iam_role_show(c, &r, out->role = arena_new(c->arena, struct iam_role));
		return CALL_OK;
	}
	return call_fail(c, "AccessDenied", 403, "Service-linked roles of %.*s are not supported here.",
	                 STR_ARG(in->aws_service_name));
}

/* Deleting is done with the reply; the task id only says which role it was. */
int iam_delete_service_linked_role(struct call *c, const struct iam_delete_service_linked_role_request *in,
                                   struct iam_delete_service_linked_role_response *out)
{
	struct state_iam_entity_record r;
	if (!iam_load(c, IAM_ROLE, in->role_name, &r))
		return CALL_FAIL;
	if (!str_set(r.linked_service))
		return call_fail(c, "NoSuchEntity", 404, "The role with name %.*s cannot be found.", STR_ARG(in->role_name));
	iam_drop(c, IAM_ROLE, r.name);
	out->deletion_task_id =
	        ARENA_CAT(c->arena, S("task/aws-service-role/"), r.linked_service, S("/"), r.name, S("/"), id_uuid(c->arena));
	return CALL_OK;
}

int iam_get_service_linked_role_deletion_status(struct call *c,
                                                const struct iam_get_service_linked_role_deletion_status_request *in,
                                                struct iam_get_service_linked_role_deletion_status_response *out)
{
	struct str rest = in->deletion_task_id, parts[5] = {0};
	for (int i = 0; i < 5 && str_set(rest); i++)
		parts[i] = str_cut(&rest, '/');
	struct state_iam_entity_record r;
	if (!str_is(parts[0], "task") || !str_is(parts[1], "aws-service-role") || !id_is_uuid(parts[4]))
		return call_fail(c, "NoSuchEntity", 404, "Deletion task with id %.*s cannot be found.",
		                 STR_ARG(in->deletion_task_id));
	out->status = iam_load_quietly(c, IAM_ROLE, parts[3], &r) ? S("NOT_STARTED") : S("SUCCEEDED");
	return CALL_OK;
}
