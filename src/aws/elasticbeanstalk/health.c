/* Judges an environment by what its instances say, as AWS's enhanced health does: operations first, then silence, processes that do
 * not run, a version that could not be installed, what the load balancer finds, and the share of requests that fail. */
#include "health.h"

#include <stdio.h>

enum { SILENT_MS = 60 * 1000, FEW_REQUESTS = 60, WARNS = 10, DEGRADES = 20, IS_SEVERE = 40 };

bool health_enhanced(const struct environment_record *r)
{
	return str_is(option_value(r, "aws:elasticbeanstalk:healthreporting:system", "SystemType"), "enhanced");
}

const struct health_sample *health_sample_of(const struct health_samples *l, struct str instance)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_is(instance, l->v[i].instance))
			return &l->v[i];
	return NULL;
}

static int64_t stale_ms(const struct health_samples *l, struct str instance)
{
	const struct health_sample *one = health_sample_of(l, instance);
	return (one && one->at_ms > l->since_ms ? one->at_ms : l->since_ms) + SILENT_MS;
}

/* The first that will be: of those that are already nothing more is to be noticed. */
int64_t health_stale_ms(const struct environment_record *r, const struct health_samples *samples)
{
	int64_t first_ms = 0;
	for (uint32_t i = 0; i < r->members.n; i++) {
		int64_t ms = stale_ms(samples, r->members.v[i].instance);
		if (!i || ms < first_ms)
			first_ms = ms;
	}
	return first_ms;
}

static const char *colour_of(const char *status)
{
	static const struct {
		const char *status, *colour;
	} all[] = {{"Ok", "Green"}, {"Info", "Green"}, {"Warning", "Yellow"}, {"Degraded", "Red"}, {"Severe", "Red"}};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strcmp(all[i].status, status) == 0)
			return all[i].colour;
	return "Grey";
}

static void cause(struct arena *a, struct str_list *l, struct str text)
{
	*LIST_ADD(a, l) = text;
}

static struct verdict verdict(const char *status)
{
	return (struct verdict){.status = status, .colour = colour_of(status), .causes.set = true};
}

static struct verdict said(struct arena *a, const char *status, struct str text)
{
	struct verdict v = verdict(status);
	cause(a, &v.causes, text);
	return v;
}

static const char *name_of(struct str operation)
{
	return str_is(operation, "create")      ? "Initialization"
	       : str_is(operation, "terminate") ? "Environment termination"
	       : str_is(operation, "deploy")    ? "Application update"
	                                        : "Configuration update";
}

struct str health_done(struct arena *a, const struct environment_record *r, struct str operation, int64_t took_ms)
{
	bool failed = str_set(r->failure) && r->done.v >= r->deployment.v;
	int64_t s = took_ms / 1000;
	return arena_printf(a, " %s %s 0 seconds ago and took %lld second%s.", name_of(operation), failed ? "failed" : "completed",
	                    (long long)s, s == 1 ? "" : "s");
}

static struct verdict operating(struct arena *a, const struct environment_record *r, int64_t now_ms)
{
	const struct elasticbeanstalk_environment_description *e = r->environment;
	bool made = str_is(r->operation, "create");
	int64_t seconds = (now_ms - (made ? e->date_created.ms : e->date_updated.ms)) / 1000;
	struct str text = arena_printf(a, "%s in progress (running for %lld second%s).", name_of(r->operation), (long long)seconds,
	                               seconds == 1 ? "" : "s");
	return said(a, made ? "Pending" : "Info", text);
}

/* Of the requests of the last minute. */
static bool failing(struct arena *a, int64_t requests, int64_t failed, const char *text, struct verdict *ret)
{
	double share = requests ? 100.0 * (double)failed / (double)requests : 0;
	bool few = requests < FEW_REQUESTS;
	if (share < WARNS)
		return false;
	*ret = said(a,
	            few || share < DEGRADES ? "Warning"
	            : share < IS_SEVERE     ? "Degraded"
	                                    : "Severe",
	            arena_printf(a, "%.1f %% of the requests are %s.", share, text));
	if (few)
		cause(a, &ret->causes,
		      arena_printf(a, "Insufficient request rate (%lld.0 requests/min) to determine application health.",
		                   (long long)requests));
	return true;
}

static bool requests_fail(struct arena *a, const struct environment_record *r, const struct health_sample *of, struct verdict *ret)
{
	if (failing(a, of->minute, of->minute_classes[3], "failing with HTTP 5xx", ret))
		return true;
	return !document_ignores_4xx(document_of(a, r)) &&
	       failing(a, of->minute, of->minute_classes[2], "erroring with HTTP 4xx", ret);
}

/* What is wrong with one. FRESH: it has come to an environment that runs, and is not ready yet. */
enum trouble { WELL, FRESH, SILENT, WRONG_VERSION, NOT_RUNNING, TROUBLES };

static enum trouble trouble_of(const struct environment_record *r, const struct state_elasticbeanstalk_member *m,
                               const struct health_samples *samples, int64_t now_ms)
{
	if (now_ms >= stale_ms(samples, m->instance))
		return SILENT;
	if (m->done.v < m->wants.v)
		return environment_many(r) && m->phase.v == PHASE_NEW ? FRESH : WELL;
	return str_set(m->failure) ? WRONG_VERSION : m->answers.v ? WELL : NOT_RUNNING;
}

struct verdict health_judge_member(struct arena *a, const struct environment_record *r,
                                   const struct state_elasticbeanstalk_member *m, const struct health_samples *samples,
                                   int64_t now_ms)
{
	const struct health_sample *sample = health_sample_of(samples, m->instance);
	struct verdict v;
	if (str_set(r->operation))
		return operating(a, r, now_ms);
	switch (trouble_of(r, m, samples, now_ms)) {
	case SILENT:
		return said(a, "NoData", S("No data received from the instance."));
	case FRESH:
		return said(a, "Pending", S("Initialization in progress."));
	case WRONG_VERSION:
		return said(a, "Degraded", S("Application update failed."));
	case NOT_RUNNING:
		return said(a, "Severe",
		            sample && sample->stopped[0]
		                    ? arena_printf(a, "Following services are not running: %s.", sample->stopped)
		                    : S("Following services are not answering: proxy."));
	default:
		return sample && requests_fail(a, r, sample, &v) ? v : verdict("Ok");
	}
}

/* "all instances", "1 out of 3 instances" */
static struct str of_all(struct arena *a, uint32_t n, uint32_t all)
{
	return n >= all ? S("all instances") : arena_printf(a, "%u out of %u instances", n, all);
}

/* What one has all have: it is as bad as that. Of some it is a warning, and bad where it is more than half of them. */
static struct verdict shared(const char *status, uint32_t n, uint32_t all)
{
	return verdict(n >= all ? status : n * 2 > all ? "Degraded" : "Warning");
}

static struct verdict wrong_version(struct arena *a, const struct environment_record *r, uint32_t n)
{
	struct str which = of_all(a, n, r->members.n);
	struct verdict v = shared("Degraded", n, r->members.n);
	cause(a, &v.causes, ARENA_CAT(a, S("Command failed on "), which, S(".")));
	cause(a, &v.causes,
	      arena_printf(a, "Incorrect application version found on %.*s. Expected version \"%.*s\" (deployment %lld).",
	                   STR_ARG(which), STR_ARG(r->environment->version_label), (long long)r->deployment.v));
	return v;
}

static struct health_sample sum(const struct environment_record *r, const struct health_samples *samples)
{
	struct health_sample all = {0};
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct health_sample *one = health_sample_of(samples, r->members.v[i].instance);
		all.minute += one ? one->minute : 0;
		for (int k = 0; one && k < 4; k++)
			all.minute_classes[k] += one->minute_classes[k];
	}
	return all;
}

struct verdict health_judge(struct arena *a, const struct environment_record *r, const struct health_samples *samples,
                            int64_t now_ms)
{
	uint32_t n[TROUBLES] = {0}, all = r->members.n;
	struct verdict v;
	if (str_set(r->operation)) {
		v = operating(a, r, now_ms);
		if (!all)
			cause(a, &v.causes, S("There are no instances."));
		return v;
	}
	if (!all)
		return said(a, "Severe", S("There are no instances."));
	for (uint32_t i = 0; i < all; i++)
		n[trouble_of(r, &r->members.v[i], samples, now_ms)]++;
	if (n[SILENT] == all)
		return said(a, "Severe", S("None of the instances are sending data."));
	if (n[WRONG_VERSION])
		return wrong_version(a, r, n[WRONG_VERSION]);
	if (n[NOT_RUNNING]) {
		v = shared("Severe", n[NOT_RUNNING], all);
		cause(a, &v.causes, ARENA_CAT(a, S("Impaired services on "), of_all(a, n[NOT_RUNNING], all), S(".")));
		return v;
	}
	if (r->unwell.v > 0) {
		v = shared("Severe", (uint32_t)r->unwell.v, all);
		cause(a, &v.causes,
		      ARENA_CAT(a, S("ELB health is failing or not available for "), of_all(a, (uint32_t)r->unwell.v, all),
		                S(".")));
		return v;
	}
	if (n[SILENT]) {
		v = shared("Severe", n[SILENT], all);
		cause(a, &v.causes, ARENA_CAT(a, S("No data received from "), of_all(a, n[SILENT], all), S(".")));
		return v;
	}
	struct health_sample requests = sum(r, samples);
	if (requests_fail(a, r, &requests, &v))
		return v;
	if (environment_many(r) && all < option_number(r, "aws:autoscaling:asg", "MinSize"))
		return said(a, "Warning",
		            arena_printf(a, "%u active instance%s below Auto Scaling group minimum size %lld.", all,
		                         all == 1 ? " is" : "s are",
		                         (long long)option_number(r, "aws:autoscaling:asg", "MinSize")));
	return verdict("Ok");
}

static struct str texts(struct arena *a, const struct str_list *l)
{
	struct str all = S("");
	for (uint32_t i = 0; i < l->n; i++)
		all = ARENA_CAT(a, all, S(" "), l->v[i]);
	return all;
}

bool health_note(const struct scope *s, struct environment_record *r, const struct health_samples *samples, struct str done)
{
	struct elasticbeanstalk_environment_description *e = r->environment;
	struct verdict v = health_judge(s->arena, r, samples, s->now_ms);
	struct str status = str_from(v.status), request = r->request, from = e->health_status;
	if (str_eq(from, status) && str_is(e->health, v.colour))
		return false;
	bool well = !str_is(status, "Warning") && !str_is(status, "Degraded") && !str_is(status, "Severe");
	e->health_status = status;
	e->health = str_from(v.colour);
	/* these are of no call */
	r->request = STR_NONE;
	if (str_eq(from, status))
		;
	else if (str_set(from))
		environment_event(s, r, well ? "INFO" : "WARN",
		                  arena_printf(s->arena, "Environment health has transitioned from %.*s to %.*s.%.*s%.*s",
		                               STR_ARG(from), STR_ARG(status), STR_ARG(texts(s->arena, &v.causes)), STR_ARG(done)));
	else
		environment_event(s, r, "INFO",
		                  arena_printf(s->arena, "Environment health has transitioned to %.*s.%.*s", STR_ARG(status),
		                               STR_ARG(texts(s->arena, &v.causes))));
	r->request = request;
	return true;
}
