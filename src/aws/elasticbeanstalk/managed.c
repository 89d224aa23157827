/* Managed updates: once a week, in a window of two hours by the cloud's clock, an environment that wishes for it is brought to the
 * platform's newest version, or gets other instances of the same one. Both are a change of configuration that needs other
 * instances: a new machine image is a newer version of every platform, and new instances come from the newest. What has been done,
 * and what is being done (the last of them, which has no end), lies in the record. */
#include "environment.h"

#include "base/hash.h"
#include "base/id.h"

#define MANAGED "aws:elasticbeanstalk:managedactions"
#define UPDATES MANAGED ":platformupdate"
enum { RUNS_KEPT = 20, PAGE = 100, MINUTE_MS = 60 * 1000, WINDOW_MS = 120 * MINUTE_MS };
#define WEEK_MS ((int64_t)7 * 24 * 3600 * 1000)

struct action {
	struct str id, type, description;
	struct str stack, arn; /* of an update */
	int64_t window_ms;     /* when the window begins in which it is done, or is due */
	bool due;
};

static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; /* as the first days of 1970 were */

/* "Tue:09:00", since the week's beginning. Negative: it is none. */
static int64_t start_of(struct str text)
{
	int64_t hour, minute;
	struct str rest = text, day = str_cut(&rest, ':'), hours = str_set(rest) ? str_cut(&rest, ':') : S("");
	if (!str_set(rest) || hours.n != 2 || rest.n != 2 || !str_to_i64(hours, &hour) || !str_to_i64(rest, &minute) || hour < 0 ||
	    hour > 23 || minute < 0 || minute > 59)
		return -1;
	for (int i = 0; i < 7; i++)
		if (str_is(day, days[i]))
			return ((i * 24 + hour) * 60 + minute) * MINUTE_MS;
	return -1;
}

static struct state_elasticbeanstalk_managed_run *last_run(const struct environment_record *r)
{
	return r->managed_runs.n ? &r->managed_runs.v[r->managed_runs.n - 1] : NULL;
}

static bool enabled(const struct environment_record *r)
{
	return str_is(option_value(r, MANAGED, "ManagedActionsEnabled"), "true");
}

static struct str id_of(struct arena *a, const struct environment_record *r, struct str what)
{
	struct str h = hash_hex(a, HASH_SHA256, ARENA_CAT(a, r->environment->environment_id, S("/"), what));
	return ARENA_CAT(a, str_sub(h, 0, 8), S("-"), str_sub(h, 8, 4), S("-"), str_sub(h, 12, 4), S("-"), str_sub(h, 16, 4),
	                 S("-"), str_sub(h, 20, 12));
}

/* The number up to the last dot. */
static struct str minor_of(struct str version)
{
	ptrdiff_t dot = str_rfind_char(version, '.');
	return dot < 0 ? version : str_sub(version, 0, (size_t)dot);
}

static struct str version_of(struct str arn)
{
	ptrdiff_t slash = str_rfind_char(arn, '/');
	return slash < 0 ? S("") : str_from_at(arn, (size_t)slash + 1);
}

/* A newer version of its platform that it may be brought to. */
static bool find_update(struct cloud *cloud, struct arena *a, struct str region, const struct environment_record *r,
                        struct action *ret)
{
	const struct elasticbeanstalk_environment_description *e = r->environment;
	const struct platform *p = platform_of(e->solution_stack_name), *now = p ? platform_now(cloud, a, p) : NULL;
	struct str arn = now ? platform_arn(a, region, now) : STR_NONE;
	struct str from = version_of(e->platform_arn), to = now ? str_from(now->version) : S("");
	if (!now || str_eq(arn, e->platform_arn))
		return false;
	if (!str_eq(minor_of(from), minor_of(to)) && !str_is(option_value(r, UPDATES, "UpdateLevel"), "minor"))
		return false;
	*ret = (struct action){.id = id_of(a, r, arn),
	                       .type = S("PlatformUpdate"),
	                       .description = ARENA_CAT(a, S("Platform update from version "), from, S(" to "), to),
	                       .stack = platform_stack(a, now),
	                       .arn = arn};
	return true;
}

static bool find_action(struct cloud *cloud, struct arena *a, struct str region, const struct environment_record *r, int64_t now_ms,
                        struct action *ret)
{
	int64_t start = start_of(option_value(r, MANAGED, "PreferredStartTime"));
	const struct state_elasticbeanstalk_managed_run *last = last_run(r);
	if (!enabled(r) || start < 0)
		return false;
	int64_t week = now_ms - (now_ms - start) % WEEK_MS; /* when the last window began */
	bool open = now_ms < week + WINDOW_MS && (!last || last->began.ms < week) && r->environment->date_created.ms < week;
	if (!open)
		week += WEEK_MS;
	if (!find_update(cloud, a, region, r, ret)) {
		if (!str_is(option_value(r, UPDATES, "InstanceRefreshEnabled"), "true"))
			return false;
		*ret = (struct action){.id = id_of(a, r, arena_printf(a, "refresh/%lld", (long long)week)),
		                       .type = S("InstanceRefresh"),
		                       .description = S("Instance refresh")};
	}
	ret->window_ms = week;
	ret->due = open;
	return true;
}

/* --- doing it */

static void begin(const struct scope *s, struct environment_record *r, const struct action *n)
{
	struct state_elasticbeanstalk_managed_run *runs = r->managed_runs.v;
	if (r->managed_runs.n >= RUNS_KEPT) {
		for (uint32_t i = 1; i < r->managed_runs.n; i++)
			runs[i - 1] = runs[i];
		r->managed_runs.n--;
	}
	*LIST_ADD(s->arena, &r->managed_runs) = (struct state_elasticbeanstalk_managed_run){.id = n->id,
	                                                                                    .type = n->type,
	                                                                                    .description = n->description,
	                                                                                    .began = OPT_TIME(s->now_ms),
	                                                                                    .stack = n->stack,
	                                                                                    .arn = n->arn};
	r->managed_runs.set = true;
	const struct environment_record before = *r;
	environment_begin_as(s, r, S("configure"), S("Updating"), id_uuid(s->arena));
	r->deploying = r->environment->version_label;
	environment_event(s, r, "INFO", ARENA_CAT(s->arena, S("Managed platform update is in progress: "), n->description, S(".")));
	change_begin(s, r, &before, CHANGE_INSTANCES);
}

bool managed_due(const struct scope *s, struct environment_record *r, int64_t *ret_wait_ms)
{
	struct action n;
	*ret_wait_ms = 0;
	if (str_set(r->operation) || !str_is(r->environment->status, "Ready") ||
	    !find_action(s->cloud, s->arena, s->region, r, s->now_ms, &n))
		return false;
	if (n.due)
		begin(s, r, &n);
	else
		*ret_wait_ms = n.window_ms - s->now_ms;
	return n.due;
}

static struct state_elasticbeanstalk_managed_run *running(const struct environment_record *r)
{
	struct state_elasticbeanstalk_managed_run *last = last_run(r);
	return last && !last->ended.set ? last : NULL;
}

void managed_failed(struct environment_record *r, struct str why)
{
	struct state_elasticbeanstalk_managed_run *run = running(r);
	if (run && !str_set(run->failure))
		run->failure = why;
}

void managed_ended(const struct scope *s, struct environment_record *r)
{
	struct state_elasticbeanstalk_managed_run *run = running(r);
	if (!run)
		return;
	run->ended = OPT_TIME(s->now_ms);
	if (str_set(run->failure)) {
		environment_event(s, r, "ERROR", ARENA_CAT(s->arena, S("Managed platform update failed: "), run->failure));
		return;
	}
	if (str_set(run->arn)) {
		r->environment->platform_arn = run->arn;
		r->environment->solution_stack_name = run->stack;
	}
	environment_event(s, r, "INFO", S("Managed platform update completed successfully."));
}

/* --- what is asked of it */

int managed_check(struct call *c, const struct environment_record *r)
{
	const char *why = NULL, *what = "ManagedActionsEnabled";
	struct str start = option_value(r, MANAGED, "PreferredStartTime");
	if (str_set(start) && start.n && start_of(start) < 0)
		what = "PreferredStartTime", why = "It is a day and a time of it in UTC, as Tue:09:00.";
	else if (enabled(r) && (!str_set(start) || !start.n || !str_set(option_value(r, UPDATES, "UpdateLevel"))))
		why = "A PreferredStartTime and an UpdateLevel are needed.";
	else if (enabled(r) && !str_is(option_value(r, "aws:elasticbeanstalk:healthreporting:system", "SystemType"), "enhanced"))
		why = "Managed updates need enhanced health.";
	if (!why)
		return CALL_OK;
	return call_fail(c, "ConfigurationValidationException", 400,
	                 "Configuration validation exception: Invalid option value (Namespace: '" MANAGED
	                 "', OptionName: '%s'): %s",
	                 what, why);
}

int elasticbeanstalk_describe_environment_managed_actions(
        struct call *c, const struct elasticbeanstalk_describe_environment_managed_actions_request *in,
        struct elasticbeanstalk_describe_environment_managed_actions_result *out)
{
	struct environment_record r;
	struct action n;
	if (environment_get(c, in->environment_id, in->environment_name, &r) != CALL_OK)
		return CALL_FAIL;
	out->managed_actions.set = true;
	const struct state_elasticbeanstalk_managed_run *run = running(&r);
	struct elasticbeanstalk_managed_action one = {.status = S("Scheduled")};
	if (run)
		one = (struct elasticbeanstalk_managed_action){.action_id = run->id,
		                                               .action_description = run->description,
		                                               .action_type = run->type,
		                                               .status = S("Running")};
	else if (find_action(c->cloud, c->arena, c->region, &r, c->now_ms, &n))
		one = (struct elasticbeanstalk_managed_action){.action_id = n.id,
		                                               .action_description = n.description,
		                                               .action_type = n.type,
		                                               .status = n.due ? S("Pending") : S("Scheduled"),
		                                               .window_start_time = OPT_TIME(n.window_ms)};
	if (str_set(one.action_id) && (!str_set(in->status) || str_eq(in->status, one.status)))
		*LIST_ADD(c->arena, &out->managed_actions) = one;
	return CALL_OK;
}

int elasticbeanstalk_describe_environment_managed_action_history(
        struct call *c, const struct elasticbeanstalk_describe_environment_managed_action_history_request *in,
        struct elasticbeanstalk_describe_environment_managed_action_history_result *out)
{
	struct environment_record r;
	struct page p;
	if (environment_get(c, in->environment_id, in->environment_name, &r) != CALL_OK ||
	    beanstalk_page(c, in->max_items, in->next_token, PAGE, &p) != CALL_OK)
		return CALL_FAIL;
	out->managed_action_history_items.set = true;
	bool pass = !str_set(p.after);
	for (uint32_t i = r.managed_runs.n; i-- > 0;) {
		const struct state_elasticbeanstalk_managed_run *m = &r.managed_runs.v[i];
		struct str at = arena_printf(c->arena, "%lld", (long long)m->began.ms);
		if (!m->ended.set || !pass) {
			pass = pass || str_eq(at, p.after);
			continue;
		}
		if (!p.left--) {
			out->next_token =
			        beanstalk_token(c, arena_printf(c->arena, "%lld", (long long)r.managed_runs.v[i + 1].began.ms));
			break;
		}
		*LIST_ADD(c->arena, &out->managed_action_history_items) = (struct elasticbeanstalk_managed_action_history_item){
		        .action_id = m->id,
		        .action_type = m->type,
		        .action_description = m->description,
		        .failure_type = str_set(m->failure) ? S("UpdateCancelled") : STR_NONE,
		        .status = str_set(m->failure) ? S("Failed") : S("Completed"),
		        .failure_description = m->failure,
		        .executed_time = m->began,
		        .finished_time = m->ended};
	}
	return CALL_OK;
}

int elasticbeanstalk_apply_environment_managed_action(struct call *c,
                                                      const struct elasticbeanstalk_apply_environment_managed_action_request *in,
                                                      struct elasticbeanstalk_apply_environment_managed_action_result *out)
{
	struct scope s = beanstalk_scope(c);
	struct environment_record r;
	struct action n;
	if (environment_get(c, in->environment_id, in->environment_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_set(r.operation) || !str_is(r.environment->status, "Ready"))
		return call_fail(
		        c, "ManagedActionInvalidStateException", 400,
		        "Cannot apply managed action %.*s: Environment named %.*s is in an invalid state for this operation. "
		        "Must be Ready.",
		        STR_ARG(in->action_id), STR_ARG(r.environment->environment_name));
	if (!find_action(c->cloud, c->arena, c->region, &r, c->now_ms, &n) || !str_eq(n.id, in->action_id))
		return beanstalk_invalid(c, "No managed action with the ID '%.*s' was found for the environment.",
		                         STR_ARG(in->action_id));
	begin(&s, &r, &n);
	environment_put(&s, &r);
	*out = (struct elasticbeanstalk_apply_environment_managed_action_result){n.id, n.description, n.type, S("Running")};
	return CALL_OK;
}
