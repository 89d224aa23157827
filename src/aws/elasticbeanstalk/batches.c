/* Changes that need other instances behind a load balancer, in batches (aws:autoscaling:updatepolicy:rollingupdate): some of the
 * old ones leave the balancer and end, the group brings as many new ones, and these serve before the next ones go. Where too few
 * would be left in service, one batch of new ones comes first, and goes at the end. */
#include "rollout.h"

enum { PICK_OLD = ROLLOUT_REPLACE, LEAVE, DRAIN_OLD, END_OLD, FILL_UP, REST };

#define POLICY "aws:autoscaling:updatepolicy:rollingupdate"
#define GROUP "aws:autoscaling:asg"
#define member state_elasticbeanstalk_member

bool batches_rolls(const struct environment_record *r)
{
	return step_is(r, "configure") && r->replaces.v && str_is(option_value(r, POLICY, "RollingUpdateEnabled"), "true") &&
	       !str_is(option_value(r, POLICY, "RollingUpdateType"), "Immutable");
}

bool batches_duration(struct str text, int64_t *ret_ms)
{
	int64_t ms = 0, n = -1;
	if (!str_starts(text, S("PT")) || text.n == 2 || text.n > 20)
		return false;
	for (size_t i = 2; i < text.n; i++) {
		char c = text.p[i];
		if (c >= '0' && c <= '9') {
			n = (n < 0 ? 0 : n) * 10 + (c - '0');
			if (n > 1000000)
				return false;
			continue;
		}
		int64_t unit_ms = c == 'H' ? 3600000 : c == 'M' ? 60000 : c == 'S' ? 1000 : 0;
		if (!unit_ms || n < 0)
			return false;
		ms += n * unit_ms;
		n = -1;
	}
	if (n >= 0)
		return false;
	*ret_ms = ms;
	return true;
}

static int64_t duration_ms(const struct environment_record *r, const char *name)
{
	int64_t ms = 0;
	struct str said = option_value(r, POLICY, name);
	return str_set(said) && batches_duration(said, &ms) ? ms : 0;
}

static bool said(const struct environment_record *r, const char *name, int64_t *ret)
{
	struct str value = option_value(r, POLICY, name);
	return str_set(value) && str_to_i64(value, ret);
}

static int64_t batch_size(const struct environment_record *r)
{
	int64_t n = (option_number(r, GROUP, "MinSize") + 2) / 3;
	said(r, "MaxBatchSize", &n);
	return n < 1 ? 1 : n;
}

/* As many shall be in service all the time. */
static int64_t in_service(const struct environment_record *r)
{
	int64_t least = option_number(r, GROUP, "MinSize"), most = option_number(r, GROUP, "MaxSize") - 1;
	int64_t n = least < most ? least : most;
	said(r, "MinInstancesInService", &n);
	return n < 0 ? 0 : n;
}

static uint32_t old_ones(const struct environment_record *r)
{
	return r->members.n - rollout_taking_part(r);
}

struct next batches_begin(const struct scope *s, struct environment_record *r)
{
	int64_t there = r->members.n, size = batch_size(r), least = in_service(r), more;
	size = size < there ? size : there;
	more = least + size - there;
	more = more < 0 ? 0 : more < size ? more : size;
	environment_event(s, r, "INFO",
	                  arena_printf(s->arena,
	                               "Rolling update initiated. Terminating %lld obsolete instance(s) in batches of %lld, while "
	                               "keeping at least %lld instance(s) in service.",
	                               (long long)there, (long long)size, (long long)least));
	r->batch = OPT_INT(there);
	r->extra = OPT_INT(more);
	return step_go_on(r, more ? GROW : PICK_OLD);
}

static struct next pick(const struct scope *s, struct environment_record *r)
{
	int64_t size = batch_size(r), n = 0;
	struct str all = S("");
	for (uint32_t i = 0; i < r->members.n && n < size; i++) {
		struct member *m = &r->members.v[i];
		if (rollout_takes_part(r, m))
			continue;
		m->phase = OPT_INT(PHASE_OUT);
		all = ARENA_CAT(s->arena, all, n++ ? S(", ") : S(""), m->instance);
	}
	if (!n) {
		r->environment->abortable_operation_in_progress = OPT_BOOL(false);
		return step_go_on(r, SHRINK);
	}
	environment_event(s, r, "INFO",
	                  arena_printf(s->arena, "Terminating instance(s) [%.*s]; replacing with %lld new instance(s).",
	                               STR_ARG(all), (long long)n));
	return step_go_on(r, LEAVE);
}

static struct next leave(struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_DEREGISTER && rollout_in_phase(r, PHASE_OUT))
		return step_ask(ASK_DEREGISTER);
	rollout_move(r, PHASE_OUT, PHASE_WORK);
	return step_go_on(r, DRAIN_OLD);
}

static struct next drain(struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_HEALTH)
		return step_ask_later(ASK_HEALTH, ROLLOUT_POLL_MS);
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].phase.v == PHASE_WORK && str_set(rollout_target_state(a, r->members.v[i].instance)))
			return step_ask_later(ASK_HEALTH, ROLLOUT_POLL_MS);
	return step_go_on(r, END_OLD);
}

const struct member *batches_leaving(const struct environment_record *r)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].phase.v == PHASE_WORK && !rollout_takes_part(r, &r->members.v[i]))
			return &r->members.v[i];
	return NULL;
}

static struct next end_old(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	const struct member *old = batches_leaving(r);
	int64_t patience_ms = duration_ms(r, "Timeout");
	if (!old) {
		r->until = OPT_TIME(s->now_ms + (patience_ms ? patience_ms : STEP_LAUNCH_MS));
		return step_go_on(r, FILL_UP);
	}
	if (a->kind != ASK_REPLACE)
		return step_ask(ASK_REPLACE);
	if (str_set(a->code) && str_find(a->message, S("not found")) < 0)
		return step_ask_later(ASK_REPLACE, ROLLOUT_POLL_MS);
	uint32_t at = (uint32_t)(old - r->members.v);
	for (uint32_t i = at + 1; i < r->members.n; i++)
		r->members.v[i - 1] = r->members.v[i];
	r->members.n--;
	members_sum(r);
	return (struct next){.changed = true};
}

static struct next fill_up(const struct scope *s, struct environment_record *r)
{
	if (r->members.n < r->batch.v + r->extra.v)
		return s->now_ms < r->until.ms ? rollout_pause(ROLLOUT_POLL_MS) : step_late(s, r);
	r->until = (struct opt_time){0};
	return step_go_on(r, WORK);
}

struct next batches_arrived(struct environment_record *r)
{
	r->until = (struct opt_time){0};
	return step_go_on(r, old_ones(r) ? REST : PICK_OLD);
}

static struct next rest(const struct scope *s, struct environment_record *r)
{
	if (!r->until.set) {
		r->until = OPT_TIME(s->now_ms + duration_ms(r, "PauseTime"));
		return (struct next){.changed = true};
	}
	if (s->now_ms < r->until.ms)
		return rollout_pause(r->until.ms - s->now_ms);
	r->until = (struct opt_time){0};
	return step_go_on(r, PICK_OLD);
}

struct next batches_step(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	switch (r->step.v) {
	case PICK_OLD:
		return pick(s, r);
	case LEAVE:
		return leave(r, a);
	case DRAIN_OLD:
		return drain(r, a);
	case END_OLD:
		return end_old(s, r, a);
	case FILL_UP:
		return fill_up(s, r);
	default:
		return rest(s, r);
	}
}
