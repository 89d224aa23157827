/* Environments with a load balancer: the order in which members are taken out of it, get a version and come back, which is the
 * deployment policy's; and what is to be done about members while no operation is under way.
 *
 * A member's phase says how the balancer has it. Who comes is NEW, and is registered once it answers. Of a batch each is OUT (to be
 * deregistered), then at WORK, then JOINs. All that is decided is written down before it is asked for, and every question may be
 * asked twice. */
#include "rollout.h"

#include "health.h"

enum { TEND_MS = 10 * 1000 };
#define member state_elasticbeanstalk_member

struct next rollout_pause(int64_t ms)
{
	return (struct next){.wait_ms = ms};
}

/* --- policies */

static bool said(const struct environment_record *r, const char *name)
{
	for (uint32_t i = 0; i < r->options.n; i++)
		if (str_is(r->options.v[i].namespace, ROLLOUT_COMMAND) && str_is(r->options.v[i].option_name, name))
			return true;
	return false;
}

/* What is aborted goes back in the way in which it came. */
static struct environment_record as_it_came(const struct environment_record *r)
{
	struct environment_record as = *r;
	if (step_is(r, "abort") && r->previous.set)
		as.options = r->previous;
	return as;
}

/* Tools from before there were policies say the size of a batch alone. */
bool rollout_policy_is(const struct environment_record *r, const char *policy)
{
	const struct environment_record as = as_it_came(r);
	if (!said(&as, "DeploymentPolicy"))
		return strcmp(policy, said(&as, "BatchSize") ? "Rolling" : "AllAtOnce") == 0;
	return str_is(option_value(&as, ROLLOUT_COMMAND, "DeploymentPolicy"), policy);
}

bool rollout_replaces(const struct environment_record *r)
{
	if (step_is(r, "configure"))
		return r->replaces.v;
	return step_is(r, "deploy") && (rollout_policy_is(r, "Immutable") || rollout_policy_is(r, "TrafficSplitting"));
}

static bool rolls(const struct environment_record *r)
{
	return !step_is(r, "create") && !step_is(r, "restart") &&
	       (rollout_policy_is(r, "Rolling") || rollout_policy_is(r, "RollingWithAdditionalBatch"));
}

static int64_t batch_size(const struct environment_record *r, int64_t members)
{
	const struct environment_record as = as_it_came(r);
	int64_t size = option_number(&as, ROLLOUT_COMMAND, "BatchSize");
	if (!str_is(option_value(&as, ROLLOUT_COMMAND, "BatchSizeType"), "Fixed"))
		size = members * size / 100;
	return size < 1 ? 1 : size < members ? size : members;
}

/* --- members */

bool rollout_is_done(const struct member *m)
{
	return m->done.v >= m->wants.v;
}

/* It shall run what is being deployed. */
bool rollout_takes_part(const struct environment_record *r, const struct member *m)
{
	return m->wants.v == r->deployment.v;
}

static bool joins(const struct environment_record *r, const struct member *m)
{
	bool taken_out = str_set(r->operation) && !rollout_takes_part(r, m);
	return m->phase.v != PHASE_IN && !taken_out && rollout_is_done(m) && m->answers.v;
}

static bool joining(struct environment_record *r)
{
	bool any = false;
	for (uint32_t i = 0; i < r->members.n; i++)
		if (joins(r, &r->members.v[i])) {
			r->members.v[i].phase = OPT_INT(PHASE_JOIN);
			any = true;
		}
	return any;
}

void rollout_move(struct environment_record *r, int64_t from, int64_t to)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].phase.v == from)
			r->members.v[i].phase = OPT_INT(to);
}

uint32_t rollout_in_phase(const struct environment_record *r, int64_t phase)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->members.n; i++)
		n += r->members.v[i].phase.v == phase;
	return n;
}

uint32_t rollout_taking_part(const struct environment_record *r)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->members.n; i++)
		n += rollout_takes_part(r, &r->members.v[i]);
	return n;
}

/* Ids of those that take part, with commas between them. */
static struct str names_in(struct arena *a, const struct environment_record *r, int64_t phase)
{
	struct str all = S("");
	for (uint32_t i = 0; i < r->members.n; i++)
		if (rollout_takes_part(r, &r->members.v[i]) && r->members.v[i].phase.v == phase)
			all = ARENA_CAT(a, all, all.n ? S(",") : S(""), r->members.v[i].instance);
	return all;
}

/* As the balancer sees it. Absent: it is not registered. */
struct str rollout_target_state(const struct answer *a, struct str instance)
{
	for (uint32_t i = 0; i < a->all.n; i++)
		if (str_eq(a->all.v[i], instance))
			return a->states.v[i];
	return STR_NONE;
}

/* --- the steps of an operation */

static void say_batch(const struct scope *s, const struct environment_record *r, const char *text)
{
	if (r->round.v)
		environment_event(s, r, "INFO", arena_printf(s->arena, "Batch %lld: %s", (long long)r->round.v, text));
}

static void say_share(const struct scope *s, const struct environment_record *r)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->members.n; i++)
		n += rollout_takes_part(r, &r->members.v[i]) && rollout_is_done(&r->members.v[i]);
	if (r->round.v)
		environment_event(s, r, "INFO",
		                  arena_printf(s->arena, "Command execution completed on %u of %u instances in environment.", n,
		                               r->members.n));
}

static struct next begin(const struct scope *s, struct environment_record *r)
{
	if (step_is(r, "configure"))
		environment_event(s, r, "INFO",
		                  arena_printf(s->arena, "Updating environment %.*s's configuration settings.",
		                               STR_ARG(r->environment->environment_name)));
	else if (step_is(r, "deploy"))
		environment_event(s, r, "INFO", S("Deploying new version to instance(s)."));
	if (r->step.v == ONLY && !r->replaces.v)
		return step_go_on(r, settle_needed(r) ? ONLY_SETTLE : END);
	return step_go_on(r, settle_needed(r) ? SETTLE : START);
}

static struct next start(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_HOLD) {
		r->held = OPT_BOOL(true);
		return (struct next){.changed = true, .ask = ASK_HOLD};
	}
	r->round = OPT_INT(0);
	if (rollout_replaces(r))
		return step_is(r, "configure") ? step_go_on(r, RENEW) : immutable_begin(s, r);
	if (rolls(r) && rollout_policy_is(r, "RollingWithAdditionalBatch") && !step_is(r, "abort")) {
		r->batch = OPT_INT(r->members.n);
		r->extra = OPT_INT(batch_size(r, r->members.n));
		return step_go_on(r, GROW);
	}
	if (rolls(r))
		return step_go_on(r, PICK);
	members_want(r);
	return step_go_on(r, WORK);
}

/* A creation waits for as many as there shall be. */
static struct next fill(const struct scope *s, struct environment_record *r)
{
	if (!r->until.set) {
		r->until = OPT_TIME(s->now_ms + STEP_LAUNCH_MS);
		return (struct next){.changed = true};
	}
	if (r->members.n >= option_number(r, "aws:autoscaling:asg", "MinSize")) {
		r->until = (struct opt_time){0};
		return step_go_on(r, WORK);
	}
	if (s->now_ms >= r->until.ms)
		return step_failed(s, r,
		                   S("The EC2 instances failed to communicate with AWS Elastic Beanstalk, either because of "
		                     "configuration problems or a failed user data script."));
	return rollout_pause(ROLLOUT_POLL_MS);
}

static struct next renew(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind == ASK_VERSION && !str_set(a->code)) /* by the spot market or not */
		return step_ask(ASK_SIZES);
	if (a->kind != ASK_VERSION && a->kind != ASK_SIZES)
		return step_ask(ASK_VERSION);
	if (str_set(a->code))
		return step_failed(s, r, a->message);
	return batches_rolls(r) ? batches_begin(s, r) : immutable_begin(s, r);
}

static struct next end(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (r->held.v && a->kind != ASK_RELEASE)
		return step_ask(ASK_RELEASE);
	r->held = r->replaces = OPT_BOOL(false);
	return step_done(s, r);
}

/* --- an additional batch: the first that gets the version, before any other one is taken out */

static struct next grow(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_SIZES)
		return step_ask(ASK_SIZES);
	if (str_set(a->code))
		return step_failed(s, r, a->message);
	r->until = OPT_TIME(s->now_ms + STEP_LAUNCH_MS);
	return step_go_on(r, GROWN);
}

static struct next grown(const struct scope *s, struct environment_record *r)
{
	if (r->members.n >= r->batch.v + r->extra.v) {
		r->until = (struct opt_time){0};
		return step_go_on(r, WORK);
	}
	return s->now_ms < r->until.ms ? rollout_pause(ROLLOUT_POLL_MS) : step_late(s, r);
}

static struct next shrink(struct environment_record *r, const struct answer *a)
{
	if (a->kind == ASK_SIZES && !str_set(a->code))
		return step_go_on(r, SHRUNK);
	r->extra = OPT_INT(0);
	return (struct next){.changed = true, .ask = ASK_SIZES};
}

static struct next shrunk(const struct scope *s, struct environment_record *r)
{
	bool comes = false;
	for (uint32_t i = 0; i < r->members.n; i++)
		comes |= r->members.v[i].place.v == PLACE_COMING;
	if (!r->until.set) {
		r->until = OPT_TIME(s->now_ms + step_patience_ms(r));
		return (struct next){.changed = true};
	}
	if ((comes || r->members.n > r->batch.v) && s->now_ms < r->until.ms)
		return rollout_pause(ROLLOUT_POLL_MS);
	for (uint32_t i = 0; i < r->members.n; i++)
		r->members.v[i].place = OPT_INT(PLACE_OWN);
	r->batch = (struct opt_int){0};
	return step_go_on(r, END);
}

/* --- batches */

/* Of what is aborted, those that do not serve at present come first, all of them; then those that have got it. Others stay as they
 * are. */
static bool goes_back(const struct environment_record *r, const struct member *m, bool outside)
{
	return outside ? m->phase.v != PHASE_IN : m->wants.v + 1 == r->deployment.v;
}

static struct next pick(const struct scope *s, struct environment_record *r)
{
	int64_t size = batch_size(r, r->batch.set ? r->batch.v : r->members.n), n = 0;
	struct str all = S("");
	bool aborts = step_is(r, "abort"), outside = false;
	for (uint32_t i = 0; i < r->members.n && aborts; i++)
		outside |= r->members.v[i].phase.v != PHASE_IN && !rollout_takes_part(r, &r->members.v[i]);
	for (uint32_t i = 0; i < r->members.n && (outside || n < size); i++) {
		struct member *m = &r->members.v[i];
		if (rollout_takes_part(r, m) || (aborts && !goes_back(r, m, outside)))
			continue;
		m->phase = OPT_INT(PHASE_OUT);
		all = ARENA_CAT(s->arena, all, n++ ? S(", ") : S(""), m->instance);
	}
	if (!n)
		return r->batch.set ? step_go_on(r, SHRINK) : step_go_on(r, END);
	r->round = OPT_INT(r->round.v + 1);
	say_batch(s, r, arena_printf(s->arena, "Starting application deployment on instance(s) [%.*s].", STR_ARG(all)).p);
	return step_go_on(r, OUT);
}

static struct next take_out(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_DEREGISTER && rollout_in_phase(r, PHASE_OUT))
		return step_ask(ASK_DEREGISTER);
	rollout_move(r, PHASE_OUT, PHASE_WORK);
	say_batch(s, r, "De-registering instance(s) from the load balancer and waiting for them to go out of service.");
	return step_go_on(r, DRAIN);
}

static struct next drain(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_HEALTH)
		return step_ask_later(ASK_HEALTH, ROLLOUT_POLL_MS);
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].phase.v == PHASE_WORK && !rollout_takes_part(r, &r->members.v[i]) &&
		    str_set(rollout_target_state(a, r->members.v[i].instance)))
			return step_ask_later(ASK_HEALTH, ROLLOUT_POLL_MS);
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].phase.v == PHASE_WORK)
			r->members.v[i].wants = r->deployment;
	members_sum(r);
	say_batch(s, r, "Starting application deployment command execution.");
	r->until = (struct opt_time){0};
	return step_go_on(r, WORK);
}

static struct next work(const struct scope *s, struct environment_record *r)
{
	bool done = true, answers = true;
	if (!r->until.set) {
		r->until = OPT_TIME(s->now_ms + step_patience_ms(r));
		return (struct next){.changed = true};
	}
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct member *m = &r->members.v[i];
		if (!rollout_takes_part(r, m))
			continue;
		done &= rollout_is_done(m);
		answers &= m->answers.v;
		if (rollout_is_done(m) && str_set(m->failure))
			return step_unsuccessful(s, r);
	}
	bool late = s->now_ms >= r->until.ms;
	if (done && answers) {
		for (uint32_t i = 0; i < r->members.n; i++)
			if (rollout_takes_part(r, &r->members.v[i]) &&
			    ((!r->round.v && !rollout_replaces(r)) || r->members.v[i].phase.v != PHASE_IN))
				step_say_deployed(s, r, &r->members.v[i]);
		say_batch(s, r, "Completed application deployment command execution.");
		say_share(s, r);
		r->until = (struct opt_time){0};
		return step_go_on(r, rollout_replaces(r) ? immutable_worked(r) : JOIN);
	}
	if (late)
		return done ? step_done_badly(s, r) : step_late(s, r);
	/* its commands have succeeded: only a moment is left for it to answer */
	if (done && r->until.ms - s->now_ms > STEP_ANSWER_MS) {
		r->until = OPT_TIME(s->now_ms + STEP_ANSWER_MS);
		return (struct next){.changed = true};
	}
	return rollout_pause(ROLLOUT_POLL_MS);
}

static struct next join(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind == ASK_REGISTER && !str_set(a->code)) {
		if (rollout_replaces(r))
			environment_event(s, r, "INFO",
			                  arena_printf(s->arena, "Adding new instance(s) (%.*s) to the load balancer.",
			                               STR_ARG(names_in(s->arena, r, PHASE_JOIN))));
		rollout_move(r, PHASE_JOIN, PHASE_IN);
		say_batch(s, r, "Registering instance(s) with the load balancer and waiting for them to be healthy.");
		if (rollout_replaces(r))
			environment_event(s, r, "INFO",
			                  arena_printf(s->arena, "Waiting for instance(s) (%.*s) to pass health checks.",
			                               STR_ARG(names_in(s->arena, r, PHASE_IN))));
		return step_go_on(r, ARRIVE);
	}
	if (a->kind == ASK_REGISTER) /* one that has ended meanwhile is no member soon */
		return rollout_pause(ROLLOUT_POLL_MS);
	if (joining(r))
		return (struct next){.changed = true, .ask = ASK_REGISTER};
	return step_go_on(r, ARRIVE);
}

/* Until the balancer leads to them. */
static struct next arrive(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (!r->until.set) {
		r->until = OPT_TIME(s->now_ms + step_patience_ms(r));
		return (struct next){.changed = true};
	}
	bool waits = !environment_is_worker(r) && !str_is(option_value(r, ROLLOUT_COMMAND, "IgnoreHealthCheck"), "true");
	if (waits && a->kind != ASK_HEALTH)
		return step_ask_later(ASK_HEALTH, 200);
	for (uint32_t i = 0; waits && i < r->members.n; i++) {
		const struct member *m = &r->members.v[i];
		if (!rollout_takes_part(r, m) || str_is(rollout_target_state(a, m->instance), "healthy"))
			continue;
		if (s->now_ms >= r->until.ms)
			return step_done_badly(s, r);
		return m->phase.v == PHASE_IN ? step_ask_later(ASK_HEALTH, 200) : step_go_on(r, WORK);
	}
	r->until = (struct opt_time){0};
	if (batches_rolls(r))
		return batches_arrived(r);
	if (rollout_replaces(r))
		return immutable_arrived(s, r);
	say_batch(s, r, "Completed application deployment.");
	return step_go_on(r, rolls(r) ? PICK : END);
}

/* What the group says of members, before anything else is looked at. False: nothing. */
static bool see_members(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks, struct next *ret)
{
	*ret = step_ask(ASK_MEMBER);
	if (a->kind == ASK_NOTHING)
		return checks;
	*ret = (struct next){.changed = true};
	return a->kind == ASK_MEMBER && str_set(a->second) && members_take_both(s->arena, r, &a->all, &a->other);
}

/* A deployment has failed that had brought more members: those of them go that have not become any, and the group gets its size. */
static bool tidy(struct environment_record *r, const struct answer *a, struct next *ret)
{
	if (!r->batch.set)
		return false;
	if (a->kind == ASK_SIZES && !str_set(a->code)) {
		r->batch = r->extra = (struct opt_int){0};
		*ret = (struct next){.changed = true};
	} else if (str_set(a->code)) {
		*ret = rollout_pause(ROLLOUT_POLL_MS);
	} else if (a->kind == ASK_TERMINATE) {
		*ret = step_ask(ASK_MEMBER);
	} else if (member_unborn(r)) {
		*ret = step_ask(ASK_TERMINATE);
	} else {
		r->extra = OPT_INT(0);
		*ret = (struct next){.changed = true, .ask = ASK_SIZES};
	}
	return true;
}

/* What an operation with instances of its own has made goes, and its parts are told what they were told before. */
static struct next undo(struct environment_record *r, const struct answer *a)
{
	struct next n;
	if (immutable_tidy(r, a, &n) || tidy(r, a, &n))
		return n;
	if (r->replaces.v && a->kind == ASK_VERSION)
		return step_ask(ASK_SIZES);
	if (r->replaces.v && a->kind != ASK_SIZES) /* launched by the options of before again */
		return step_ask(ASK_VERSION);
	r->replaces = OPT_BOOL(false);
	return step_go_on(r, settle_needed(r) ? ONLY_SETTLE : END);
}

struct next rollout_step(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks,
                         const struct health_samples *samples)
{
	struct next seen;
	if (see_members(s, r, a, checks, &seen))
		return seen;
	if (r->step.v >= ROLLOUT_REPLACE)
		return batches_step(s, r, a);
	if (r->step.v >= REPLACE)
		return immutable_step(s, r, a, samples);
	if (r->step.v >= SETTLE)
		return settle_step(s, r, a, SETTLE, START);
	if (r->step.v >= ONLY_SETTLE && r->step.v < ROLLOUT_CREATED)
		return settle_step(s, r, a, ONLY_SETTLE, END);
	switch (r->step.v) {
	case START:
		return start(s, r, a);
	case RENEW:
		return renew(s, r, a);
	case ROLLOUT_UNDO:
		return undo(r, a);
	case END:
		return end(s, r, a);
	case ONLY:
	case BEGIN:
		return begin(s, r);
	case FILL:
		return fill(s, r);
	case GROW:
		return grow(s, r, a);
	case GROWN:
		return grown(s, r);
	case SHRINK:
		return shrink(r, a);
	case SHRUNK:
		return shrunk(s, r);
	case PICK:
		return pick(s, r);
	case OUT:
		return take_out(s, r, a);
	case DRAIN:
		return drain(s, r, a);
	case WORK:
		return work(s, r);
	case JOIN:
		return join(s, r, a);
	default:
		return arrive(s, r, a);
	}
}

/* --- without an operation */

static struct next watch(const struct scope *s, struct environment_record *r)
{
	uint32_t well = 0, ill = 0;
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct member *m = &r->members.v[i];
		bool fails = str_set(m->failure) || (m->phase.v == PHASE_IN && !m->answers.v);
		ill += fails;
		well += m->phase.v == PHASE_IN && !fails;
	}
	if (r->unwell.v)
		ill = ill ? ill : 1;
	return step_colour(s, r, !well || r->unwell.v >= r->members.n ? "Red" : ill ? "Yellow" : "Green");
}

struct next rollout_tend(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks)
{
	struct next n;
	bool joined = a->kind == ASK_REGISTER && !str_set(a->code);
	if (see_members(s, r, a, checks, &n))
		return n;
	if (immutable_tidy(r, a, &n) || tidy(r, a, &n))
		return n;
	/* its options are what they were, and so are those that its instances are launched by */
	if (r->replaces.v && a->kind == ASK_VERSION)
		return step_ask(ASK_SIZES);
	if (r->replaces.v && a->kind != ASK_SIZES)
		return step_ask(ASK_VERSION);
	if (r->replaces.v) {
		r->replaces = OPT_BOOL(false);
		return (struct next){.changed = true};
	}
	if (r->held.v && a->kind != ASK_RELEASE)
		return step_ask(ASK_RELEASE);
	if (r->held.v) {
		r->held = OPT_BOOL(false);
		return (struct next){.changed = true};
	}
	if (joined) {
		rollout_move(r, PHASE_JOIN, PHASE_IN);
		return (struct next){.changed = true, .ask = ASK_HEALTH};
	}
	if (a->kind != ASK_REGISTER && joining(r))
		return (struct next){.changed = true, .ask = ASK_REGISTER};
	if (a->kind == ASK_MEMBER && !str_set(a->code)) {
		n = a->unsettled ? step_ask_later(ASK_MEMBER, ROLLOUT_POLL_MS) : step_ask(ASK_HEALTH);
		return n;
	}
	bool changed = false;
	if (a->kind == ASK_HEALTH && !str_set(a->code) && !environment_is_worker(r)) {
		int64_t unwell = 0;
		for (uint32_t i = 0; i < r->members.n; i++) {
			struct str state = rollout_target_state(a, r->members.v[i].instance);
			unwell += r->members.v[i].phase.v == PHASE_IN && (str_is(state, "unhealthy") || !str_set(state));
		}
		changed = unwell != r->unwell.v;
		r->unwell = OPT_INT(unwell);
	}
	if (!health_enhanced(r))
		changed |= watch(s, r).changed;
	n = rollout_pause(TEND_MS);
	n.changed = changed;
	return n;
}
