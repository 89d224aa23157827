/* Looks after environments: one step at a time towards what their records say, by other services' operations. Nothing but the
 * record says how far it has come, so a new api asks for the same step again. */
#include "health.h"

#include "aws/ec2/ec2.h"
#include "aws/elbv2/elbv2.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "core/rounds.h"
#include "elasticbeanstalk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

enum { EDIT_AGAIN_US = 1000000, MINUTE_US = 60 * 1000000 };

struct environment_keeper {
	struct round_item round; /* first: rounds.h */
	struct environment_keepers *all;
	struct str account, region, id;
	struct arena arena, scratch; /* scratch: of the step under way, and of its question */
	const struct principal *owner;
	struct loop_timer *timer;
	struct environment_record record;
	struct scope scope;
	struct next next;
	enum ask_kind later; /* is asked when the timer is over */
	bool asking, checks, gone;
	struct arena answers;
	struct answer answer;
	struct str cname; /* as it is in the map of names */
	uint32_t address;
	struct str balancer;           /* its DNS name; absent: it has none, but an address */
	struct health_samples samples; /* of those that were members lately */
	bool minute_over;              /* nothing has been said of it yet: the next report brings the figures */
};

struct environment_keepers {
	struct cloud *cloud;
	struct events *events;
	struct map environments; /* by key */
	struct map cnames;
	struct store_watch *watch;
	struct ec2_instances_watch *instances;
	struct rounds rounds;
	struct health_lines *lines;
	struct loop_timer *minute;
};

static void mark(struct environment_keeper *k)
{
	rounds_mark(&k->all->rounds, &k->round);
}

/* --- asking */

static void answered(void *ctx, struct call *sub)
{
	struct environment_keeper *k = ctx;
	arena_reset(&k->answers); /* not before: the record that the question is about has words of the last answer */
	k->asking = false;
	if (str_set(sub->error.code)) {
		k->answer.code = arena_dup(&k->answers, sub->error.code);
		k->answer.message = arena_dup(&k->answers, str_set(sub->error.message) ? sub->error.message : S(""));
		k->answer.ours = sub->error.receiver || str_is(sub->error.code, "RequestLimitExceeded") ||
		                 str_is(sub->error.code, "Throttling");
		if (k->answer.ours)
			log_warn("elasticbeanstalk: %.*s: %.*s", STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	} else {
		environment_take(&k->answers, &k->answer, sub);
	}
	mark(k);
}

static void ask(struct environment_keeper *k, enum ask_kind kind)
{
	const struct question q = {k->all->cloud, k->owner, k->region, answered, k};
	k->answer = (struct answer){.kind = kind};
	k->asking = kind != ASK_NOTHING;
	if (k->asking)
		environment_ask(&q, &k->scratch, &k->record, kind);
}

/* --- steps */

static void run_step(void *item);

static void woken(void *ctx)
{
	struct environment_keeper *k = ctx;
	enum ask_kind later = k->later;
	k->timer = NULL;
	k->later = ASK_NOTHING;
	if (later) {
		ask(k, later);
		return;
	}
	k->checks = true;
	mark(k);
}

/* Another one may have got the name meanwhile. */
static void forget_name(struct environment_keeper *k)
{
	if (str_set(k->cname) && map_get(&k->all->cnames, k->cname) == k)
		map_remove(&k->all->cnames, k->cname);
	k->cname = STR_NONE;
}

static void note_name(struct environment_keeper *k)
{
	const struct elasticbeanstalk_environment_description *e = k->record.environment;
	struct in_addr at;
	struct str balancer = e && str_set(k->record.balancer_name) ? k->record.balancer_name : STR_NONE;
	bool live = e && !str_is(e->status, "Terminated") &&
	            (str_set(balancer) || (str_set(k->record.address) && str_set(k->record.instance)));
	k->address =
	        live && !str_set(balancer) && inet_aton(arena_dupz(&k->scratch, k->record.address), &at) ? ntohl(at.s_addr) : 0;
	if (!str_eq(k->balancer, balancer))
		k->balancer = str_set(balancer) ? arena_dup(&k->arena, balancer) : STR_NONE;
	if (live && str_eq(k->cname, e->cname))
		return;
	forget_name(k);
	if (live) {
		k->cname = arena_dup(&k->arena, e->cname);
		map_put(&k->all->cnames, k->cname, k);
	}
}

/* What members said that are none any more. */
static void forget_samples(struct environment_keeper *k)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < k->samples.n; i++)
		if (member_find(&k->record, str_from(k->samples.v[i].instance)))
			k->samples.v[left++] = k->samples.v[i];
	k->samples.n = left;
}

static void keeper_free(struct environment_keeper *k)
{
	forget_name(k);
	loop_remove_timer(k->all->cloud->loop, k->timer);
	principal_unref(k->owner);
	free(k->samples.v);
	arena_done(&k->scratch);
	arena_done(&k->answers);
	arena_done(&k->arena);
	free(k);
}

static void stepped(void *ctx, int result, uint64_t revision)
{
	struct environment_keeper *k = ctx;
	struct loop *l = k->all->cloud->loop;
	(void)revision;
	if (result == -EAGAIN) {
		k->checks = true;
		run_step(k);
		return;
	}
	if (result < 0) {
		log_error("elasticbeanstalk: an environment's state could not be written, and is tried again: %s",
		          strerror(-result));
		loop_add_timer(l, EDIT_AGAIN_US, run_step, k);
		return;
	}
	note_name(k);
	forget_samples(k);
	k->answer = (struct answer){0};
	if (k->next.over && !k->round.dirty) {
		struct arena CLEAN_ARENA a = {0};
		struct scope s = {.arena = &a, .account = k->account, .region = k->region};
		map_remove(&k->all->environments, environment_key(&s, k->id));
		keeper_free(k);
		return;
	}
	k->round.busy = false;
	if (k->next.wait_ms) {
		k->later = k->next.ask;
		k->timer = loop_add_clock_timer(l, k->next.wait_ms * 1000, woken, k);
	} else if (k->next.ask) {
		ask(k, k->next.ask);
	}
	if (k->round.dirty || (k->next.changed && !k->next.ask))
		mark(k);
}

static void run_step(void *item)
{
	struct environment_keeper *k = item;
	if (k->asking || k->later) { /* its answer, or its time, comes and marks it */
		k->round.busy = false;
		return;
	}
	loop_remove_timer(k->all->cloud->loop, k->timer);
	k->timer = NULL;
	arena_reset(&k->scratch);
	k->record = (struct environment_record){0};
	k->scope = (struct scope){.arena = &k->scratch,
	                          .cloud = k->all->cloud,
	                          .account = k->account,
	                          .region = k->region,
	                          .now_ms = clock_wall_ms()};
	k->scope.txn = store_begin(k->all->cloud->store, &k->scratch);
	k->next = (struct next){.over = true};
	if (environment_find(&k->scope, k->id, &k->record)) {
		bool checks = k->checks && k->answer.kind == ASK_NOTHING;
		k->next = environment_step(&k->scope, &k->record, &k->answer, checks, &k->samples);
		if (checks)
			k->checks = false;
		if (k->next.changed && str_is(k->record.environment->status, "Terminated"))
			environment_forget(&k->scope, &k->record);
		else if (k->next.changed)
			environment_put(&k->scope, &k->record);
	}
	store_commit(k->scope.txn, stepped, k);
}

/* --- finding what there is */

static struct environment_keeper *keeper_of(struct environment_keepers *all, struct arena *a, struct str key)
{
	struct str_list parts = record_key_parts(a, key);
	struct environment_keeper *k = map_get(&all->environments, key);
	if (k || parts.n != 5)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k)
		abort();
	k->all = all;
	k->account = arena_dup(&k->arena, parts.v[2]);
	k->region = arena_dup(&k->arena, parts.v[3]);
	k->id = arena_dup(&k->arena, parts.v[4]);
	k->checks = true;
	k->samples.since_ms = clock_wall_ms();
	/* The role that AWS makes for Elastic Beanstalk in an account may do what an environment needs. */
	k->owner = principal_new(PRINCIPAL_ROOT, k->account);
	map_put(&all->environments, key, k);
	return k;
}

static void environment_changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	struct environment_keeper *k = keeper_of(ctx, &a, e->key);
	if (k)
		mark(k);
}

static void instance_changed(void *ctx, struct str account, struct str region, struct str id)
{
	struct environment_keepers *all = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	(void)id;
	while (map_next(&all->environments, &at, &key, &value)) {
		struct environment_keeper *k = value;
		if (str_eq(k->account, account) && str_eq(k->region, region)) {
			k->checks = true;
			mark(k);
		}
	}
}

unsigned elasticbeanstalk_addresses(const struct cloud *cloud, struct str vpc, struct str cname, uint32_t *out, unsigned max)
{
	struct environment_keepers *all = cloud_state(cloud, &elasticbeanstalk_service);
	const struct environment_keeper *k = all ? map_get(&all->cnames, cname) : NULL;
	if (k && str_set(k->balancer))
		return elbv2_named_addresses(cloud, vpc, k->balancer, out, max);
	if (!k || !k->address || !max)
		return 0;
	out[0] = k->address;
	return 1;
}

static struct environment_keeper *keeper_at(const struct cloud *cloud, struct str key)
{
	return map_get(&((struct environment_keepers *)cloud_state(cloud, &elasticbeanstalk_service))->environments, key);
}

struct health_samples environment_samples(const struct cloud *cloud, struct str key)
{
	const struct environment_keeper *k = keeper_at(cloud, key);
	return k ? k->samples : (struct health_samples){.since_ms = clock_wall_ms()};
}

/* What the minute that is over was like, for those who are told by the minute. */
static void tell_minute(struct environment_keeper *k)
{
	struct arena CLEAN_ARENA a = {0};
	const struct scope s = {
	        .arena = &a, .cloud = k->all->cloud, .account = k->account, .region = k->region, .now_ms = clock_wall_ms()};
	const struct elasticbeanstalk_environment_description *e = k->record.environment;
	k->minute_over = false;
	if (!e || str_is(e->status, "Terminated") || !health_enhanced(&k->record))
		return;
	measure_environment(&s, &k->record, &k->samples);
	if (beside_streams_health(&k->record))
		health_lines_add(k->all->lines, &s, &k->record, &k->samples);
}

/* Where no instance has said anything since the last time, that is what there is to tell. */
static void minute_over(void *ctx)
{
	struct environment_keepers *all = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	all->minute = loop_add_clock_timer(all->cloud->loop, MINUTE_US, minute_over, all);
	while (map_next(&all->environments, &at, &key, &value)) {
		struct environment_keeper *k = value;
		if (k->minute_over)
			tell_minute(k);
		k->minute_over = true;
	}
}

void environment_sampled(const struct cloud *cloud, struct str key, const struct health_sample *sample)
{
	struct environment_keeper *k = keeper_at(cloud, key);
	if (!k)
		return;
	struct health_sample *known = (struct health_sample *)health_sample_of(&k->samples, str_from(sample->instance));
	if (!known) {
		k->samples.v = realloc(k->samples.v, (k->samples.n + 1) * sizeof(*k->samples.v));
		if (!k->samples.v)
			abort();
		known = &k->samples.v[k->samples.n++];
	}
	*known = *sample;
	if (k->minute_over)
		tell_minute(k);
}

void environment_look(const struct cloud *cloud, struct str key)
{
	struct environment_keeper *k = keeper_at(cloud, key);
	if (k)
		mark(k);
}

struct events *environments_events(struct cloud *cloud)
{
	return ((struct environment_keepers *)cloud_state(cloud, &elasticbeanstalk_service))->events;
}

struct environment_keepers *environments_keep(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct environment_keepers *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->cloud = cloud;
	all->events = events_new();
	all->lines = health_lines_new(cloud);
	all->minute = loop_add_clock_timer(cloud->loop, MINUTE_US, minute_over, all);
	all->rounds = (struct rounds){.loop = cloud->loop, .items = &all->environments, .step = run_step};
	struct str under = KEY_UNDER(&a, S("elasticbeanstalk"), S("environment")), last = store_prefix_end(&a, under), key;
	all->watch = store_watch(cloud->store, under, last, store_revision(cloud->store), environment_changed, all);
	all->instances = ec2_watch_instances(cloud, instance_changed, all);
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, last, false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct environment_keeper *k = keeper_of(all, &a, key);
		if (k)
			mark(k);
	}
	store_abort(t);
	return all;
}

void environments_let_go(struct environment_keepers *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	ec2_unwatch_instances(all->instances);
	rounds_end(&all->rounds);
	loop_remove_timer(all->cloud->loop, all->minute);
	health_lines_free(all->lines);
	while (map_next(&all->environments, &at, &key, &value))
		keeper_free(value);
	map_done(&all->environments);
	map_done(&all->cnames);
	events_free(all->events);
	free(all);
}
