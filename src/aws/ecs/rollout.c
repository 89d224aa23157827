/* The rolling algorithm. Between `lower` and `upper` a deployment moves: it starts tasks while there is room below the upper bound,
 * and stops old ones while enough healthy tasks stay above the lower. Old tasks that serve nobody (pending, unhealthy) go first. */
#include "aws/ecs/rollout.h"

enum { BREAKER_LEAST = 3, BREAKER_MOST = 200, FREE_FAILURES = 3, BACKOFF_FIRST_MS = 10 * 1000, BACKOFF_MOST_MS = 15 * 60 * 1000 };

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t not_negative(int64_t n)
{
	return n > 0 ? n : 0;
}

static int64_t total(const struct rollout_count *n)
{
	return n->pending + n->settling + n->healthy + n->unhealthy;
}

/* Takes up to `want` of one kind out of what is there. */
static int64_t take(int64_t *there, int64_t *want)
{
	int64_t n = least(*there, not_negative(*want));
	*there -= n;
	*want -= n;
	return n;
}

/* Old tasks: those that serve nobody at once, the others as far as enough healthy ones remain. Settling ones run and may serve, so
 * they stay until there are enough without them. */
static void stop_others(struct rollout_view *left, int64_t spare, struct rollout_step *ret)
{
	struct rollout_count *o = &left->others;
	ret->stop.pending = o->pending;
	ret->stop.unhealthy = o->unhealthy;
	ret->stop.settling = spare >= 0 ? o->settling : 0;
	o->pending = o->unhealthy = 0;
	o->settling -= ret->stop.settling;
	ret->stop.healthy = take(&o->healthy, &spare);
}

/* More than desired: what is the least worth first. */
static void scale_in(struct rollout_view *left, struct rollout_step *ret)
{
	struct rollout_count *p = &left->primary;
	int64_t excess = total(p) - left->desired - p->unhealthy;
	ret->stop_primary.pending = take(&p->pending, &excess);
	ret->stop_primary.settling = take(&p->settling, &excess);
	ret->stop_primary.healthy = take(&p->healthy, &excess);
}

struct rollout_step rollout_next(const struct rollout_view *v)
{
	struct rollout_view left = *v;
	struct rollout_step step = {0};
	int64_t lower = (v->desired * v->minimum_percent + 99) / 100, upper = v->desired * v->maximum_percent / 100;
	int64_t healthy = v->primary.healthy + v->others.healthy;
	scale_in(&left, &step);
	stop_others(&left, healthy - step.stop_primary.healthy - lower, &step);
	/* A replacement of an unhealthy task is started first where there is room; it goes when it is not missed, or when it is in
	 * the way. */
	int64_t good = left.primary.pending + left.primary.settling + left.primary.healthy;
	int64_t room = upper - total(&left.primary) - total(&left.others);
	int64_t missing = not_negative(v->desired - good);
	step.start = least(missing, not_negative(room));
	int64_t in_the_way = not_negative(missing - step.start),
	        not_missed = left.primary.healthy >= v->desired ? left.primary.unhealthy : 0;
	int64_t unhealthy = not_missed > in_the_way ? not_missed : in_the_way;
	step.stop_primary.unhealthy = take(&left.primary.unhealthy, &unhealthy);
	bool moves = step.start || total(&step.stop) || total(&step.stop_primary);
	bool waits = v->primary.pending || v->primary.settling || v->others.settling;
	step.complete =
	        !moves && !v->primary.pending && !v->primary.unhealthy && !total(&v->others) && total(&v->primary) == v->desired;
	step.stuck = !moves && !waits && !step.complete;
	return step;
}

int64_t rollout_breaker_threshold(enum rollout_threshold type, int64_t value, int64_t desired)
{
	int64_t part = type == ROLLOUT_COUNT ? value : (desired * value + 99) / 100;
	if (type == ROLLOUT_BOUNDED_PERCENT)
		return part < BREAKER_LEAST ? BREAKER_LEAST : least(part, BREAKER_MOST);
	return part < 1 ? 1 : part; /* a breaker that opens before anything has failed is none */
}

int64_t rollout_backoff_ms(int64_t failed_in_a_row)
{
	int64_t wait = BACKOFF_FIRST_MS;
	if (failed_in_a_row < FREE_FAILURES)
		return 0;
	for (int64_t i = FREE_FAILURES; i < failed_in_a_row && wait < BACKOFF_MOST_MS; i++)
		wait *= 2;
	return least(wait, BACKOFF_MOST_MS);
}
