/* Changes of options that are no matter of the application: those that no instance has to know of, and those that need another
 * instance. In between, an instance is told anew what to run, which step.c does. */
#include "health.h"

enum { START = CHANGE_STEPS, VERSION, DROP, MEMBER, ASSOCIATE, DEPLOYS = 1 };
enum { AGAIN_MS = 500, MEMBER_MS = 200, LAUNCH_MS = 15 * 60 * 1000 };

void change_begin(const struct scope *s, struct environment_record *r, const struct environment_record *before,
                  enum option_change change)
{
	r->previous = r->previous_said = r->previous_extensions = (struct elasticbeanstalk_configuration_option_settings_list){0};
	options_set(s->arena, &r->previous, &before->options);
	options_set(s->arena, &r->previous_said, options_said(before));
	options_set(s->arena, &r->previous_extensions, &before->extensions);
	r->previous_stack = before->environment->solution_stack_name;
	r->previous_platform = before->environment->platform_arn;
	r->step = OPT_INT(change == CHANGE_SERVER ? 0 : START);
	if (change != CHANGE_NONE)
		r->deployment = OPT_INT(r->deployment.v + 1);
	r->replaces = OPT_BOOL(change == CHANGE_INSTANCES);
}

void change_revert(struct environment_record *r)
{
	if (r->previous.set) {
		r->options = r->previous;
		r->said = r->previous_said;
		r->extensions = r->previous_extensions;
	}
	if (r->previous.set && str_set(r->previous_platform)) {
		r->environment->solution_stack_name = r->previous_stack;
		r->environment->platform_arn = r->previous_platform;
	}
	r->previous = (struct elasticbeanstalk_configuration_option_settings_list){0};
}

static void say(const struct scope *s, const struct environment_record *r, const char *severity, struct str message)
{
	environment_event(s, r, severity, message);
}

static struct next go_on(struct environment_record *r, int64_t step)
{
	r->step = OPT_INT(step);
	return (struct next){.changed = true};
}

static struct next end(const struct scope *s, struct environment_record *r)
{
	bool well = r->done.v >= r->deployment.v && !str_set(r->failure) && r->answers.v;
	r->environment->status = S("Ready");
	r->environment->date_updated = OPT_TIME(s->now_ms);
	if (!health_enhanced(r))
		r->environment->health = well ? S("Green") : S("Red");
	r->operation = STR_NONE;
	r->environment->abortable_operation_in_progress = OPT_BOOL(false);
	r->until = (struct opt_time){0};
	return (struct next){.changed = true};
}

static struct next failed(const struct scope *s, struct environment_record *r, struct str why)
{
	say(s, r, "ERROR", why);
	managed_failed(r, why);
	if (r->previous.set)
		say(s, r, "ERROR", S("The environment was reverted to the previous configuration setting."));
	change_revert(r);
	say(s, r, "ERROR", S("Failed to deploy configuration."));
	r->deploying = r->environment->version_label;
	return end(s, r);
}

static struct next take_member(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind == ASK_MEMBER && str_set(a->first)) {
		if (str_eq(a->first, r->instance))
			return go_on(r, ASSOCIATE);
		struct str_list one = {0};
		*LIST_ADD(s->arena, &one) = a->first;
		members_take(s->arena, r, &one);
		return go_on(r, ASSOCIATE);
	}
	if (r->until.set && s->now_ms > r->until.ms)
		return failed(
		        s, r,
		        S("The EC2 instances failed to communicate with AWS Elastic Beanstalk, either because of configuration "
		          "problems or a failed user data script."));
	return (struct next){.ask = ASK_MEMBER, .wait_ms = a->kind == ASK_NOTHING ? 0 : MEMBER_MS};
}

struct next change_step(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	bool answered = a->kind != ASK_NOTHING;
	switch (r->step.v) {
	case START:
		say(s, r, "INFO",
		    arena_printf(s->arena, "Updating environment %.*s's configuration settings.",
		                 STR_ARG(r->environment->environment_name)));
		if (r->replaces.v)
			return go_on(r, VERSION);
		r->previous = (struct elasticbeanstalk_configuration_option_settings_list){0};
		say(s, r, "INFO", S("Successfully deployed new configuration to environment."));
		return end(s, r);
	case VERSION:
		if (!answered)
			return (struct next){.ask = ASK_VERSION};
		if (a->kind == ASK_VERSION && !str_set(a->code)) /* by the spot market or not */
			return (struct next){.ask = ASK_SIZES};
		return str_set(a->code) ? failed(s, r, a->message) : go_on(r, DROP);
	case DROP: /* one that is gone already is replaced as well */
		if (!answered)
			return (struct next){.ask = ASK_DROP_MEMBER};
		r->previous = (struct elasticbeanstalk_configuration_option_settings_list){0};
		r->until = OPT_TIME(s->now_ms + LAUNCH_MS);
		members_take(s->arena, r, &(struct str_list){0}); /* no longer in service, as the group has it */
		say(s, r, "INFO", S("Waiting for EC2 instances to launch. This may take a few minutes."));
		return go_on(r, MEMBER);
	case MEMBER:
		return take_member(s, r, a);
	default:
		if (!answered && !environment_is_worker(r))
			return (struct next){.ask = ASK_ASSOCIATE};
		if (str_set(a->code)) { /* it may have ended meanwhile */
			r->step = OPT_INT(MEMBER);
			return (struct next){.changed = true, .ask = ASK_MEMBER, .wait_ms = AGAIN_MS};
		}
		r->until = (struct opt_time){0};
		return go_on(r, DEPLOYS);
	}
}
