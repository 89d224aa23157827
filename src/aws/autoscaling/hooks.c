#include "hooks.h"

#include "aws/autoscaling/notify.h"
#include "base/id.h"
#include "core/identity.h"
#include "gen/sts.h"

enum { HOOKS_MAX = 50, HEARTBEAT_DEFAULT_S = 3600, HEARTBEAT_MIN_S = 30, HEARTBEAT_MAX_S = 7200, LONGEST_S = 48 * 3600 };

static const char *const LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING";
static const char *const TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING";

static struct autoscaling_lifecycle_hook *hook_named(const struct state_autoscaling_group_record *r, struct str name)
{
	for (uint32_t i = 0; i < r->hooks.n; i++)
		if (str_eq(r->hooks.v[i].lifecycle_hook_name, name))
			return &r->hooks.v[i];
	return NULL;
}

static bool begins(const struct state_autoscaling_member *m)
{
	return member_begins(m) || str_starts(m->state, S("Warmed:Pending"));
}

/* Of the group, or of its warm pool. */
static struct str state_of(const struct state_autoscaling_member *m, const char *state)
{
	static const char *const warmed[] = {"Warmed:Pending:Wait", "Warmed:Pending:Proceed", "Warmed:Terminating",
	                                     "Warmed:Terminating:Wait", "Warmed:Terminating:Proceed"};
	for (size_t i = 0; member_warm(m) && i < sizeof(warmed) / sizeof(*warmed); i++)
		if (strcmp(warmed[i] + sizeof("Warmed:") - 1, state) == 0)
			return str_from(warmed[i]);
	return str_from(state);
}

void hooks_begin(const struct scope *s, struct state_autoscaling_group_record *r, struct state_autoscaling_member *m)
{
	bool in = begins(m);
	m->waits.n = 0;
	for (uint32_t i = 0; i < r->hooks.n; i++) {
		const struct autoscaling_lifecycle_hook *h = &r->hooks.v[i];
		if (!str_is(h->lifecycle_transition, in ? LAUNCHING : TERMINATING))
			continue;
		*LIST_ADD(s->arena, &m->waits) =
		        (struct state_autoscaling_wait){.hook = h->lifecycle_hook_name,
		                                        .token = id_uuid(s->arena),
		                                        .until = OPT_TIME(s->now_ms + h->heartbeat_timeout.v * 1000),
		                                        .deadline = OPT_TIME(s->now_ms + h->global_timeout.v * 1000)};
	}
	if (!m->waits.n)
		return;
	for (uint32_t i = 0; i < m->waits.n; i++)
		scaling_tell_hook(s, r, m, hook_named(r, m->waits.v[i].hook), m->waits.v[i].token);
	m->state = state_of(m, in ? "Pending:Wait" : "Terminating:Wait");
	scaling_activity_say(s, r, m, STR_NONE, "MidLifecycleAction", 60, STR_NONE);
}

bool hooks_passed(struct step *t, struct state_autoscaling_member *m)
{
	bool in = begins(m), abandoned = false, waits = false;
	if (!str_ends(m->state, S(":Wait")))
		return true;
	for (uint32_t i = 0; i < m->waits.n; i++) {
		struct state_autoscaling_wait *w = &m->waits.v[i];
		const struct autoscaling_lifecycle_hook *h = hook_named(t->r, w->hook);
		int64_t until = w->until.ms < w->deadline.ms ? w->until.ms : w->deadline.ms;
		if (!str_set(w->result) && (!h || until <= t->s->now_ms))
			w->result = h ? h->default_result : S("CONTINUE");
		if (!str_set(w->result)) {
			waits = true;
			step_wake(t, until);
		} else {
			abandoned |= str_is(w->result, "ABANDON");
		}
	}
	if (waits && !abandoned)
		return false;
	m->waits.n = 0;
	if (in && abandoned) {
		scaling_activity_say(t->s, t->r, m, STR_NONE, "Failed", 100,
		                     S("Instance failed to complete user's Lifecycle Action: it was abandoned"));
		m->state = state_of(m, "Terminating");
		step_abandoned(t, m);
		return false;
	}
	m->state = state_of(m, in ? "Pending:Proceed" : "Terminating:Proceed");
	scaling_activity_say(t->s, t->r, m, STR_NONE, in ? "PreInService" : "InProgress", in ? 80 : 65, STR_NONE);
	return true;
}

/* --- operations */

/* A queue or a topic, which Auto Scaling tells by a role. */
static int check_target(struct call *c, struct autoscaling_lifecycle_hook *h)
{
	struct str arn = h->notification_target_arn;
	if (!arn.n) {
		if (h->role_arn.n)
			return scaling_invalid(c, "A role is for a notification target, and there is none.");
		h->notification_target_arn = h->role_arn = STR_NONE;
		return CALL_OK;
	}
	if ((!str_starts(arn, S("arn:aws:sqs:")) && !str_starts(arn, S("arn:aws:sns:"))) || str_ends(arn, S(".fifo")))
		return scaling_invalid(c, "Invalid notification target ARN: %.*s. It must be a standard queue or topic.",
		                       STR_ARG(arn));
	if (!h->role_arn.n)
		return scaling_invalid(c, "RoleARN must be specified for the notification target %.*s.", STR_ARG(arn));
	return call_allowed(c, "iam:PassRole", h->role_arn) ? CALL_OK : CALL_FAIL;
}

/* Can the service be what the role allows? The call's handler runs again with the answer. */
static int try_role(struct call *c, struct str role, struct str target)
{
	const char *code;
	if (call_tried(c, &code))
		return !*code ? CALL_OK
		              : scaling_invalid(c,
		                                "Unable to publish test message to notification target %.*s using IAM role %.*s. "
		                                "Please check your target and role configuration and try to put lifecycle hook "
		                                "again.",
		                                STR_ARG(target), STR_ARG(role));
	struct principal *self = principal_new(PRINCIPAL_SERVICE, c->account);
	self->name = self->arn = self->user_id = S("autoscaling.amazonaws.com");
	const struct sts_assume_role_request in = {.role_arn = role, .role_session_name = S("autoscaling")};
	int tried = call_try(c, self, c->region, &sts_api, "AssumeRole", &in);
	principal_unref(self);
	return tried;
}

int hooks_add(struct call *c, struct state_autoscaling_group_record *r, const struct autoscaling_lifecycle_hook *given)
{
	struct autoscaling_lifecycle_hook h = *given, *old = hook_named(r, given->lifecycle_hook_name);
	h.auto_scaling_group_name = r->group->auto_scaling_group_name;
	if (!old && !str_set(h.lifecycle_transition))
		return scaling_invalid(c, "1 validation error detected: Value null at 'lifecycleTransition' failed to satisfy "
		                          "constraint: Member must not be null");
	if (str_set(h.lifecycle_transition) && !str_is(h.lifecycle_transition, LAUNCHING) &&
	    !str_is(h.lifecycle_transition, TERMINATING))
		return scaling_invalid(c, "Invalid lifecycle transition: %.*s. Valid values are %s and %s.",
		                       STR_ARG(h.lifecycle_transition), LAUNCHING, TERMINATING);
	if (!str_set(h.notification_target_arn) && old) {
		h.notification_target_arn = old->notification_target_arn;
		h.role_arn = h.role_arn.n ? h.role_arn : old->role_arn;
	}
	if (check_target(c, &h) != CALL_OK)
		return CALL_FAIL;
	if (h.heartbeat_timeout.set && (h.heartbeat_timeout.v < HEARTBEAT_MIN_S || h.heartbeat_timeout.v > HEARTBEAT_MAX_S))
		return scaling_invalid(c, "Heartbeat timeout must be between %d and %d seconds", HEARTBEAT_MIN_S, HEARTBEAT_MAX_S);
	if (h.default_result.n && !str_is(h.default_result, "CONTINUE") && !str_is(h.default_result, "ABANDON"))
		return scaling_invalid(c, "Invalid default result: %.*s. Valid values are CONTINUE and ABANDON.",
		                       STR_ARG(h.default_result));
	if (!h.heartbeat_timeout.set)
		h.heartbeat_timeout = old ? old->heartbeat_timeout : OPT_INT(HEARTBEAT_DEFAULT_S);
	if (!h.default_result.n)
		h.default_result = old ? old->default_result : S("ABANDON");
	if (!str_set(h.lifecycle_transition))
		h.lifecycle_transition = old->lifecycle_transition;
	if (!str_set(h.notification_metadata) && old)
		h.notification_metadata = old->notification_metadata;
	int64_t longest = h.heartbeat_timeout.v * 100;
	h.global_timeout = OPT_INT(longest > LONGEST_S ? LONGEST_S : longest);
	bool told = h.notification_target_arn.n && (!old || !str_eq(old->notification_target_arn, h.notification_target_arn));
	if (!old && r->hooks.n >= HOOKS_MAX)
		return call_fail(c, "LimitExceeded", 400, "A group can have at most %d lifecycle hooks.", HOOKS_MAX);
	if (old)
		*old = h;
	else
		*LIST_ADD(c->arena, &r->hooks) = h;
	struct scope s = scaling_scope(c);
	if (told)
		scaling_notify_hook(&s, r, NULL, &h, STR_NONE);
	return CALL_OK;
}

int autoscaling_put_lifecycle_hook(struct call *c, const struct autoscaling_put_lifecycle_hook_type *in,
                                   struct autoscaling_put_lifecycle_hook_answer *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct autoscaling_lifecycle_hook h = {.lifecycle_hook_name = in->lifecycle_hook_name,
	                                       .lifecycle_transition = in->lifecycle_transition,
	                                       .notification_target_arn = in->notification_target_arn,
	                                       .role_arn = in->role_arn,
	                                       .notification_metadata = in->notification_metadata,
	                                       .heartbeat_timeout = in->heartbeat_timeout,
	                                       .default_result = in->default_result};
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	int tried =
	        in->notification_target_arn.n && in->role_arn.n ? try_role(c, in->role_arn, in->notification_target_arn) : CALL_OK;
	if (tried != CALL_OK)
		return tried;
	if (hooks_add(c, &r, &h) != CALL_OK)
		return CALL_FAIL;
	scaling_put(&s, &r);
	return CALL_OK;
}

static int no_such_hook(struct call *c, struct str group)
{
	return scaling_invalid(c, "No Lifecycle Hook found in AutoScalingGroup %.*s with the given name", STR_ARG(group));
}

int autoscaling_delete_lifecycle_hook(struct call *c, const struct autoscaling_delete_lifecycle_hook_type *in,
                                      struct autoscaling_delete_lifecycle_hook_answer *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	struct autoscaling_lifecycle_hook *h = hook_named(&r, in->lifecycle_hook_name);
	if (!h)
		return no_such_hook(c, in->auto_scaling_group_name);
	*h = r.hooks.v[--r.hooks.n];
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_describe_lifecycle_hooks(struct call *c, const struct autoscaling_describe_lifecycle_hooks_type *in,
                                         struct autoscaling_describe_lifecycle_hooks_answer *out)
{
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	out->lifecycle_hooks.set = true;
	for (uint32_t i = 0; i < r.hooks.n; i++)
		if (scaling_among(&in->lifecycle_hook_names, r.hooks.v[i].lifecycle_hook_name))
			*LIST_ADD(c->arena, &out->lifecycle_hooks) = r.hooks.v[i];
	return CALL_OK;
}

int autoscaling_describe_lifecycle_hook_types(struct call *c, const struct model_none *in,
                                              struct autoscaling_describe_lifecycle_hook_types_answer *out)
{
	(void)in;
	*LIST_ADD(c->arena, &out->lifecycle_hook_types) = str_from(LAUNCHING);
	*LIST_ADD(c->arena, &out->lifecycle_hook_types) = str_from(TERMINATING);
	return CALL_OK;
}

/* By its token, or by the instance. */
static int find_wait(struct call *c, struct str group, struct str hook, struct str token, struct str instance,
                     struct state_autoscaling_group_record *r, struct state_autoscaling_wait **ret)
{
	*ret = NULL;
	if (scaling_get(c, group, r) != CALL_OK)
		return CALL_FAIL;
	if (!hook_named(r, hook))
		return no_such_hook(c, group);
	for (uint32_t i = 0; i < r->members.n; i++)
		for (uint32_t k = 0; k < r->members.v[i].waits.n; k++) {
			struct state_autoscaling_wait *w = &r->members.v[i].waits.v[k];
			if (str_eq(w->hook, hook) && (token.n ? str_eq(w->token, token) : str_eq(r->members.v[i].id, instance)))
				*ret = w;
		}
	if (*ret)
		return CALL_OK;
	if (token.n)
		return scaling_invalid(c, "No active Lifecycle Action found with token %.*s", STR_ARG(token));
	return scaling_invalid(c, "No active Lifecycle Action found with instance ID %.*s", STR_ARG(instance));
}

int autoscaling_complete_lifecycle_action(struct call *c, const struct autoscaling_complete_lifecycle_action_type *in,
                                          struct autoscaling_complete_lifecycle_action_answer *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct state_autoscaling_wait *w;
	if (!str_is(in->lifecycle_action_result, "CONTINUE") && !str_is(in->lifecycle_action_result, "ABANDON"))
		return scaling_invalid(c, "Invalid lifecycle action result: %.*s. Valid values are CONTINUE and ABANDON.",
		                       STR_ARG(in->lifecycle_action_result));
	if (find_wait(c, in->auto_scaling_group_name, in->lifecycle_hook_name, in->lifecycle_action_token, in->instance_id, &r,
	              &w) != CALL_OK)
		return CALL_FAIL;
	w->result = in->lifecycle_action_result;
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_record_lifecycle_action_heartbeat(struct call *c,
                                                  const struct autoscaling_record_lifecycle_action_heartbeat_type *in,
                                                  struct autoscaling_record_lifecycle_action_heartbeat_answer *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct state_autoscaling_wait *w;
	if (find_wait(c, in->auto_scaling_group_name, in->lifecycle_hook_name, in->lifecycle_action_token, in->instance_id, &r,
	              &w) != CALL_OK)
		return CALL_FAIL;
	w->until = OPT_TIME(c->now_ms + hook_named(&r, in->lifecycle_hook_name)->heartbeat_timeout.v * 1000);
	scaling_put(&s, &r);
	return CALL_OK;
}
