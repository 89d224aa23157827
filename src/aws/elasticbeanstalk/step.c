/* What is next about an environment, from its record and the last answer alone. Each step may be asked for again: names follow from
 * the record, and what may be there already is looked for first, so nothing is made twice when whoever asked died meanwhile. */
#include "extra.h"
#include "health.h"

enum { EXTRA_MS = 240 * 1000, AGAIN_MOST = 20 };

/* Of a creation, in their order. */
enum { BUCKET, SUBNETS, GROUP, OPEN, ADDRESS, TEMPLATE, SCALING, MEMBER, ASSOCIATE, DEPLOYS };
/* Of a termination. */
enum { DROP_SCALING, DROPPED, DROP_TEMPLATE, DROP_ADDRESS, DROP_GROUP, DROP_BESIDE = 200 };

struct str environment_part_name(struct arena *a, const struct environment_record *r, const char *what)
{
	return ARENA_CAT(a, S("awseb-"), r->environment->environment_id, S("-stack-"), str_from(what), S("-"), r->suffix);
}

struct str environment_group_name(struct arena *a, const struct environment_record *r)
{
	return environment_part_name(a, r, "AWSEBSecurityGroup");
}

struct str environment_scaling_name(struct arena *a, const struct environment_record *r)
{
	return environment_part_name(a, r, "AWSEBAutoScalingGroup");
}

struct str environment_template_name(struct arena *a, const struct environment_record *r)
{
	return environment_part_name(a, r, "AWSEBEC2LaunchTemplate");
}

struct str environment_other_scaling_name(struct arena *a, const struct environment_record *r)
{
	return ARENA_CAT(a, S("awseb-"), r->environment->environment_id, S("-immutable-stack-AWSEBAutoScalingGroup-"), r->suffix);
}

struct str environment_balancer_name(struct arena *a, const struct environment_record *r)
{
	return ARENA_CAT(a, S("awseb--AWSEB-"), r->suffix);
}

struct str environment_targets_name(struct arena *a, const struct environment_record *r)
{
	return ARENA_CAT(a, S("awseb-AWSEB-"), r->suffix);
}

void environment_event(const struct scope *s, const struct environment_record *r, const char *severity, struct str message)
{
	event_add(s, r->request,
	          &(struct elasticbeanstalk_event_description){.message = message,
	                                                       .severity = str_from(severity),
	                                                       .application_name = r->environment->application_name,
	                                                       .environment_name = r->environment->environment_name});
	news_tell(s, r, severity, message);
}

void step_say(const struct scope *s, const struct environment_record *r, const char *what, struct str name)
{
	environment_event(s, r, "INFO", ARENA_CAT(s->arena, str_from(what), name));
}

struct next step_ask(enum ask_kind kind)
{
	return (struct next){.ask = kind};
}

struct next step_ask_later(enum ask_kind kind, int64_t ms)
{
	return (struct next){.ask = kind, .wait_ms = ms};
}

struct next step_go_on(struct environment_record *r, int64_t step)
{
	r->step = OPT_INT(step);
	return (struct next){.changed = true};
}

bool step_is(const struct environment_record *r, const char *operation)
{
	return str_is(r->operation, operation);
}

/* --- the end of an operation */

static struct next end(const struct scope *s, struct environment_record *r, const char *health)
{
	r->until = (struct opt_time){0};
	r->retyped = OPT_BOOL(false);
	r->environment->status = S("Ready");
	if (!health_enhanced(r) || step_is(r, "terminate"))
		r->environment->health = str_from(health);
	r->operation = STR_NONE;
	r->environment->abortable_operation_in_progress = OPT_BOOL(false);
	r->environment->date_updated = OPT_TIME(s->now_ms);
	return (struct next){.changed = true};
}

struct next step_failed(const struct scope *s, struct environment_record *r, struct str why)
{
	environment_event(s, r, "ERROR", why);
	managed_failed(r, why);
	if (step_is(r, "create") && !r->retyped.v)
		environment_event(s, r, "ERROR", S("Failed to launch environment."));
	else if (step_is(r, "configure") || r->retyped.v)
		environment_event(s, r, "ERROR", S("Failed to deploy configuration."));
	else
		environment_event(s, r, "ERROR", S("Failed to deploy application."));
	if (!step_is(r, "abort")) /* it has its options of before already */
		change_revert(r);
	r->deploying = r->environment->version_label;
	return end(s, r, "Red");
}

void step_say_deployed(const struct scope *s, const struct environment_record *r, const struct state_elasticbeanstalk_member *m)
{
	for (uint32_t i = 0; i < m->notes.n; i++)
		environment_event(s, r, "INFO", m->notes.v[i]);
	environment_event(s, r, "INFO", S("Instance deployment completed successfully."));
}

/* The instances have done it, and something answers there. */
struct next step_done(const struct scope *s, struct environment_record *r)
{
	const struct elasticbeanstalk_environment_description *e = r->environment;
	r->environment->version_label = r->deploying;
	if (r->retyped.v) {
		environment_event(s, r, "INFO", S("Successfully deployed new configuration to environment."));
	} else if (step_is(r, "create")) {
		if (str_set(e->cname))
			step_say(s, r, "Application available at ", ARENA_CAT(s->arena, e->cname, S(".")));
		step_say(s, r, "Successfully launched environment: ", e->environment_name);
	} else if (step_is(r, "configure")) {
		environment_event(s, r, "INFO", S("Successfully deployed new configuration to environment."));
	} else if (step_is(r, "abort")) {
		environment_event(s, r, "INFO", S("The environment was reverted to the previous configuration setting."));
	} else if (step_is(r, "restart")) {
		environment_event(s, r, "INFO", S("restartAppServer completed successfully."));
	} else {
		environment_event(s, r, "INFO", S("New application version was deployed to running EC2 instances."));
		environment_event(s, r, "INFO", S("Environment update completed successfully."));
	}
	return end(s, r, "Green");
}

/* The instance has done it, and nothing answers. */
struct next step_done_badly(const struct scope *s, struct environment_record *r)
{
	r->environment->version_label = r->deploying;
	managed_failed(r, S("The application does not answer."));
	environment_event(
	        s, r, "ERROR",
	        ARENA_CAT(s->arena, step_is(r, "create") && !r->retyped.v ? S("Create") : S("Update"),
	                  S(" environment operation is complete, but with errors. For more information, see troubleshooting "
	                    "documentation.")));
	return end(s, r, "Red");
}

int64_t step_patience_ms(const struct environment_record *r)
{
	int64_t seconds = 0;
	str_to_i64(option_value(r, "aws:elasticbeanstalk:command", "Timeout"), &seconds);
	return seconds * 1000 + EXTRA_MS;
}

/* Ids of members that have failed, or of those that have not said anything, with commas between them. */
static struct str which(struct arena *a, const struct environment_record *r, bool late)
{
	struct str all = S("");
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct state_elasticbeanstalk_member *m = &r->members.v[i];
		bool done = m->done.v >= m->wants.v;
		if (m->wants.v == r->deployment.v && (late ? !done : done && str_set(m->failure)))
			all = ARENA_CAT(a, all, all.n ? S(",") : S(""), m->instance);
	}
	return all;
}

struct next step_unsuccessful(const struct scope *s, struct environment_record *r)
{
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct state_elasticbeanstalk_member *m = &r->members.v[i];
		if (m->wants.v == r->deployment.v && m->done.v >= m->wants.v && str_set(m->failure))
			environment_event(s, r, "ERROR",
			                  arena_printf(s->arena,
			                               "[Instance: %.*s] Command failed on instance. Return code: 1 Output: %.*s.",
			                               STR_ARG(m->instance), STR_ARG(m->failure)));
	}
	return step_failed(s, r,
	                   arena_printf(s->arena,
	                                "Unsuccessful command execution on instance id(s) '%.*s'. Aborting the operation.",
	                                STR_ARG(which(s->arena, r, false))));
}

struct next step_late(const struct scope *s, struct environment_record *r)
{
	return step_failed(s, r,
	                   arena_printf(s->arena,
	                                "The following instances have not responded in the allowed command timeout time (they "
	                                "might still finish eventually on their own): [%.*s].",
	                                STR_ARG(which(s->arena, r, true))));
}

static struct next deploys(const struct scope *s, struct environment_record *r)
{
	bool late = s->now_ms >= r->until.ms, done = r->done.v >= r->deployment.v;
	if (!r->until.set) {
		r->until = OPT_TIME(s->now_ms + step_patience_ms(r));
		return (struct next){.changed = true};
	}
	if (done && str_set(r->failure))
		return step_unsuccessful(s, r);
	if (done && r->answers.v) {
		step_say_deployed(s, r, &r->members.v[0]);
		return step_done(s, r);
	}
	if (late && done)
		return step_done_badly(s, r);
	/* its commands have succeeded: only a moment is left for it to answer */
	if (done && r->until.ms - s->now_ms > STEP_ANSWER_MS) {
		r->until = OPT_TIME(s->now_ms + STEP_ANSWER_MS);
		return (struct next){.changed = true};
	}
	return late ? step_late(s, r) : (struct next){.wait_ms = r->until.ms - s->now_ms};
}

/* --- the creation */

static struct next make_group(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind == ASK_GROUP && str_is(a->code, "InvalidGroup.Duplicate"))
		return step_ask(ASK_GROUP_THERE);
	if (a->kind == ASK_NOTHING || !str_set(a->first))
		return step_ask(ASK_GROUP);
	r->group = a->first;
	step_say(s, r, "Created security group named: ", environment_group_name(s->arena, r));
	return step_go_on(r, OPEN);
}

static struct next make_address(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind == ASK_ADDRESS_THERE && !str_set(a->first))
		return step_ask(ASK_ADDRESS);
	if (a->kind == ASK_NOTHING)
		return step_ask(ASK_ADDRESS_THERE);
	r->allocation = a->first;
	r->address = a->second;
	step_say(s, r, "Created EIP: ", r->address);
	return step_go_on(r, TEMPLATE);
}

static struct next take_member(const struct scope *s, struct environment_record *r, const struct answer *a, int64_t then)
{
	if (a->kind == ASK_NOTHING)
		return step_ask(ASK_MEMBER);
	if (!str_set(a->first)) {
		if (r->until.set && s->now_ms > r->until.ms && step_is(r, "create"))
			return step_failed(
			        s, r,
			        S("The EC2 instances failed to communicate with AWS Elastic Beanstalk, either because of configuration problems or a "
			          "failed user data script."));
		return step_ask_later(ASK_MEMBER, STEP_MEMBER_MS);
	}
	if (str_eq(r->instance, a->first))
		return step_go_on(r, then);
	struct str_list one = {0};
	*LIST_ADD(s->arena, &one) = a->first;
	members_take(s->arena, r, &one);
	return step_go_on(r, then);
}

bool step_was_there(const struct answer *a)
{
	return str_is(a->code, "InvalidGroup.Duplicate") || str_is(a->code, "InvalidPermission.Duplicate") ||
	       str_is(a->code, "InvalidLaunchTemplateName.AlreadyExistsException") || str_is(a->code, "AlreadyExists");
}

/* The group may have replaced its instance: the next one gets the address and, of itself, the version. False: it has not. */
static bool follow(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks, struct next *ret)
{
	bool waits = (a->kind == ASK_MEMBER && str_set(a->second) && !str_set(a->first)) ||
	             (a->kind == ASK_ASSOCIATE && str_set(a->code));
	if (checks && a->kind == ASK_NOTHING && str_set(r->instance)) {
		*ret = step_ask(ASK_MEMBER);
	} else if (waits) {
		*ret = step_ask_later(ASK_MEMBER, STEP_AGAIN_MS);
	} else if (a->kind == ASK_MEMBER && str_set(a->first) && !str_eq(a->first, r->instance)) {
		int64_t step = r->step.v;
		take_member(s, r, a, step);
		*ret = (struct next){.changed = true, .ask = environment_is_worker(r) ? ASK_NOTHING : ASK_ASSOCIATE};
	} else {
		return false;
	}
	return true;
}

static struct next create(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks)
{
	bool answered = a->kind != ASK_NOTHING;
	struct next other;
	if (r->step.v == DEPLOYS)
		return follow(s, r, a, checks, &other) ? other : deploys(s, r);
	if (str_set(a->code) && a->kind == ASK_ASSOCIATE)
		return step_go_on(r, MEMBER); /* it may have ended meanwhile */
	if (str_set(a->code) && !step_was_there(a))
		return step_failed(s, r, a->message);
	switch (r->step.v) {
	case BUCKET:
		if (!answered)
			return step_ask(ASK_BUCKET);
		environment_event(
		        s, r, "INFO",
		        arena_printf(s->arena, "Using %.*s as Amazon S3 storage bucket for environment data.", STR_ARG(a->first)));
		return step_go_on(r, SUBNETS);
	case SUBNETS:
		if (!answered)
			return step_ask(ASK_SUBNETS);
		if (!a->all.n)
			return step_failed(s, r, S("No default VPC for this user."));
		r->vpc = a->first;
		r->subnets = a->all;
		return step_go_on(r, GROUP);
	case GROUP:
		return make_group(s, r, a);
	case OPEN:
		return answered || environment_is_worker(r) ? step_go_on(r, ADDRESS) : step_ask(ASK_OPEN);
	case ADDRESS:
		if (environment_is_worker(r))
			return worker_make(s, r, a, &other) ? step_go_on(r, TEMPLATE) : other;
		return make_address(s, r, a);
	case TEMPLATE:
		return answered ? step_go_on(r, SCALING) : step_ask(ASK_TEMPLATE);
	case SCALING:
		if (!answered)
			return step_ask(ASK_SCALING);
		step_say(s, r, "Created Auto Scaling group named: ", environment_scaling_name(s->arena, r));
		environment_event(s, r, "INFO", S("Waiting for EC2 instances to launch. This may take a few minutes."));
		r->until = OPT_TIME(s->now_ms + STEP_LAUNCH_MS);
		return step_go_on(r, MEMBER);
	case MEMBER:
		return take_member(s, r, a, ASSOCIATE);
	default:
		if (!answered && !environment_is_worker(r))
			return step_ask(ASK_ASSOCIATE);
		r->environment->endpoint_url = environment_is_worker(r) ? r->queue : r->address;
		r->until = (struct opt_time){0};
		return step_go_on(r, DEPLOYS);
	}
}

/* --- the end */

struct next step_terminated(const struct scope *s, struct environment_record *r)
{
	if (step_is(r, "rebuild"))
		return rebuild_from_nothing(s->arena, r);
	if (r->step.v != DROP_BESIDE)
		return step_go_on(r, DROP_BESIDE);
	environment_event(s, r, "INFO", S("terminateEnvironment completed successfully."));
	end(s, r, "Grey");
	r->environment->status = S("Terminated");
	return (struct next){.changed = true};
}

static struct next terminate(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	bool answered = a->kind != ASK_NOTHING, gone = str_find(a->code, S("NotFound")) >= 0 ||
	                                               str_find(a->message, S("not found")) >= 0 ||
	                                               str_find(a->message, S("does not exist")) >= 0;
	struct next other;
	if (r->step.v == DROP_SCALING && a->kind != ASK_DROP_SCALING) /* an answer of before is none of its own */
		return step_ask(ASK_DROP_SCALING);
	if (answered && str_set(a->code) && !gone && a->kind != ASK_MEMBER)
		return step_ask_later(a->kind, STEP_AGAIN_MS); /* something of it is in use yet */
	switch (r->step.v) {
	case DROP_SCALING:
		environment_event(s, r, "INFO", S("Waiting for EC2 instances to terminate. This may take a few minutes."));
		return step_go_on(r, DROPPED);
	case DROPPED:
		if (!answered || str_set(a->second))
			return step_ask_later(ASK_MEMBER, answered ? STEP_MEMBER_MS : 0);
		step_say(s, r, "Deleted Auto Scaling group named: ", environment_scaling_name(s->arena, r));
		return step_go_on(r, DROP_TEMPLATE);
	case DROP_TEMPLATE:
		return answered ? step_go_on(r, DROP_ADDRESS) : step_ask(ASK_DROP_TEMPLATE);
	case DROP_ADDRESS:
		if (environment_is_worker(r))
			return worker_drop(s, r, a, &other) ? step_go_on(r, DROP_GROUP) : other;
		/* one whose making was not written down is found by its tag */
		if (!answered)
			return step_ask(ASK_ADDRESS_THERE);
		if (a->kind == ASK_ADDRESS_THERE && str_set(a->first)) {
			r->allocation = a->first;
			r->address = a->second;
			return (struct next){.changed = true, .ask = ASK_DROP_ADDRESS};
		}
		if (str_set(r->address))
			step_say(s, r, "Deleted EIP: ", r->address);
		return step_go_on(r, DROP_GROUP);
	default:
		if (!answered)
			return step_ask(ASK_DROP_GROUP);
		if (str_set(r->group))
			step_say(s, r, "Deleted security group named: ", environment_group_name(s->arena, r));
		return step_terminated(s, r);
	}
}

/* --- what runs */

struct next step_colour(const struct scope *s, struct environment_record *r, const char *colour)
{
	if (str_is(r->environment->health, colour))
		return (struct next){0};
	r->environment->health = str_from(colour);
	r->request = STR_NONE;
	char *upper = arena_dupz(s->arena, str_from(colour));
	for (char *p = upper; *p; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
	environment_event(s, r, strcmp(colour, "Green") == 0 ? "INFO" : "WARN",
	                  ARENA_CAT(s->arena, S("Environment health has been set to "), str_from(upper)));
	return (struct next){.changed = true};
}

static struct next watch(const struct scope *s, struct environment_record *r)
{
	bool well = r->done.v >= r->deployment.v && !str_set(r->failure) && r->answers.v;
	return str_set(r->instance) ? step_colour(s, r, well ? "Green" : "Red") : (struct next){0};
}

/* A creation has come so far that there is all that others may be added to. */
static bool stands(const struct environment_record *r)
{
	if (step_is(r, "create"))
		return r->step.v >= (environment_many(r) ? ROLLOUT_CREATED : DEPLOYS);
	return !step_is(r, "terminate") && !step_is(r, "rebuild") && !str_is(r->environment->status, "Terminated");
}

static struct next decide(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks,
                          const struct health_samples *samples)
{
	const struct answer none = {0};
	struct next queues;
	if (a->ours)
		return step_ask_later(a->kind, STEP_AGAIN_MS);
	struct next other;
	if (r->step.v == DROP_BESIDE && step_is(r, "terminate"))
		return beside_end(s, r, a, &other) ? other : step_terminated(s, r);
	if (beside_step(s, r, a, &other))
		return other;
	if (stands(r) && extra_step(s, r, a, &other))
		return other;
	if (worker_settle(s, r, a, &queues))
		return queues;
	if (a->kind == ASK_QUEUE_SET || a->kind == ASK_DEAD_QUEUE_SET || a->kind == ASK_EXTRA)
		a = &none;
	bool many = environment_many(r);
	struct answer bucket = *a;
	if (step_is(r, "create") && sample_is(r->deploying) && a->kind == ASK_BUCKET && !str_set(a->code))
		return step_ask(ASK_SAMPLE);
	if (a->kind == ASK_SAMPLE) { /* there is the bucket, with the sample in it */
		bucket.kind = ASK_BUCKET;
		bucket.first = environment_bucket(s->arena, r, s->region);
		a = &bucket;
	}
	if (step_is(r, "create"))
		return many ? balance_create(s, r, a, checks, samples) : create(s, r, a, checks);
	if (step_is(r, "rebuild") && r->retyped.v) /* what there is yet is of the other kind */
		return many ? terminate(s, r, a) : balance_terminate(s, r, a);
	if (step_is(r, "terminate") || step_is(r, "rebuild"))
		return many ? balance_terminate(s, r, a) : terminate(s, r, a);
	if (str_is(r->environment->status, "Terminated"))
		return (struct next){.over = true};
	if (many)
		return str_set(r->operation) ? rollout_step(s, r, a, checks, samples) : rollout_tend(s, r, a, checks);
	if (step_is(r, "configure") && r->step.v >= CHANGE_STEPS)
		return change_step(s, r, a);
	if (follow(s, r, a, checks, &other))
		return other;
	if (!str_set(r->operation))
		return health_enhanced(r) ? (struct next){0} : watch(s, r);
	if (r->step.v == 0) {
		if (step_is(r, "configure"))
			environment_event(s, r, "INFO",
			                  arena_printf(s->arena, "Updating environment %.*s's configuration settings.",
			                               STR_ARG(r->environment->environment_name)));
		else if (step_is(r, "deploy"))
			environment_event(s, r, "INFO", S("Deploying new version to instance(s)."));
		members_want(r);
		return step_go_on(r, DEPLOYS);
	}
	return deploys(s, r);
}

/* Nobody is to be asked about the balancer of an environment that has none. */
static bool is_of_balancer(enum ask_kind kind)
{
	return kind == ASK_REGISTER || kind == ASK_DEREGISTER || kind == ASK_HEALTH || kind == ASK_CHECKS || kind == ASK_DELAY ||
	       kind == ASK_BALANCER_SET || kind == ASK_BALANCER_GROUPS;
}

struct next environment_step(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks,
                             const struct health_samples *samples)
{
	const struct elasticbeanstalk_environment_description *e = r->environment;
	struct str before = r->operation, done = STR_NONE;
	int64_t began_ms = step_is(r, "create") ? e->date_created.ms : e->date_updated.ms;
	int64_t managed_ms = 0;
	if (a->kind == ASK_NOTHING && managed_due(s, r, &managed_ms))
		return (struct next){.changed = true};
	struct next n = decide(s, r, a, checks, samples);
	for (int i = 0; i < AGAIN_MOST && environment_is_worker(r) && is_of_balancer(n.ask); i++) {
		const struct answer said = {.kind = n.ask};
		bool changed = n.changed;
		n = decide(s, r, &said, false, samples);
		n.changed |= changed;
	}
	if (str_is(e->status, "Terminated"))
		return n;
	if (str_set(before) && !str_set(r->operation))
		managed_ended(s, r);
	if (managed_ms && !n.ask && !n.changed && (!n.wait_ms || n.wait_ms > managed_ms))
		n.wait_ms = managed_ms;
	if (logs_late(s, r))
		n.changed = true;
	else if (r->logs_until.set && !n.ask && !n.changed && (!n.wait_ms || n.wait_ms > r->logs_until.ms - s->now_ms))
		n.wait_ms = r->logs_until.ms - s->now_ms;
	if (!health_enhanced(r))
		return n;
	if (str_set(before) && !str_set(r->operation))
		done = health_done(s->arena, r, before, s->now_ms - began_ms);
	if (health_note(s, r, samples, done))
		n.changed = true;
	else if (!n.ask && !n.changed && (!n.wait_ms || n.wait_ms == managed_ms) && s->now_ms < health_stale_ms(r, samples))
		n.wait_ms = health_stale_ms(r, samples) - s->now_ms;
	return n;
}
