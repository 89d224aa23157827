/* A measurement walks over all versions of all objects, some hundred a turn of the loop, and adds up what each has held since the
 * last one: from then on, or from its own beginning. What went in between is not seen any more. The sums are written in one
 * transaction with the time of the measurement, so whatever ends it early, the next one counts all of it once. */
#include "aws/s3/usage.h"

#include "aws/s3/access.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/meter.h"
#include "engine/metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { CLASSES = 6 };
#define DAY_MS INT64_C(86400000)
enum { TICK_US = 10 * 1000 * 1000, EVERY_MS = 3600 * 1000, SLICE_RECORDS = 500, KIB = 1024 };
#define WHAT S("s3")

struct sum {
	struct str account, region;
	const char *usage;
	unsigned __int128 byte_ms;
};

struct s3_usage {
	struct s3_state *s3;
	struct loop_timer *timer;
	struct arena arena, slice; /* of the measurement; of a turn of it, or its end */
	struct sum *sums;
	uint32_t count;
	int64_t from, to;
	uint64_t bytes[CLASSES], objects; /* of the bucket that it is at */
	size_t bucket_n, key_n;           /* how far it is */
	char bucket[64], key[S3_KEY_MAX_BYTES + 1];
};

static void tick(void *ctx);
static void turn(void *ctx);

static void wait_for_next(struct s3_usage *u)
{
	arena_reset(&u->arena);
	arena_reset(&u->slice);
	u->timer = loop_add_clock_timer(u->s3->cloud->loop, TICK_US, tick, u);
}

/* --- what a bucket has, for CloudWatch: once a day, as the first measurement of it found it */

static const struct {
	const char *class, *usage, *storage;
} classes[] = {
        {"STANDARD_IA", "S3/TimedStorage-SIA-ByteHrs", "StandardIAStorage"},
        {"ONEZONE_IA", "S3/TimedStorage-ZIA-ByteHrs", "OneZoneIAStorage"},
        {"GLACIER_IR", "S3/TimedStorage-GIR-ByteHrs", "GlacierInstantRetrievalStorage"},
        {"INTELLIGENT_TIERING", "S3/TimedStorage-INT-FA-ByteHrs", "IntelligentTieringFAStorage"},
        {"REDUCED_REDUNDANCY", "S3/TimedStorage-RRS-ByteHrs", "ReducedRedundancyStorage"},
        {"", "S3/TimedStorage-ByteHrs", "StandardStorage"}, /* all others */
};

static unsigned class_of(struct str class)
{
	unsigned i = 0;
	while (i + 1 < CLASSES && !str_is(class, classes[i].class))
		i++;
	return i;
}

static void put_metric(struct s3_usage *u, struct metric *m, const char *name, const char *unit, double x)
{
	struct metrics *to = u->s3->cloud->metrics;
	int64_t day_ms = u->to / DAY_MS * DAY_MS;
	struct metric_query q = {.metric = m, .from_ms = day_ms, .to_ms = day_ms + 1, .period_s = 300};
	m->name = str_from(name);
	m->unit = str_from(unit);
	/* A start of the cloud does not know whether it was said. */
	if (!metrics_read(to, &u->slice, &q).n)
		metrics_put_values(to, m, day_ms, 300, &(struct metric_value){x, 1}, 1);
}

static void publish(struct s3_usage *u, const struct state_s3_bucket *b)
{
	struct metric_dimension by[] = {{S("BucketName"), str_of(u->bucket, u->bucket_n)},
	                                {S("StorageType"), S("AllStorageTypes")}};
	struct metric m = {
	        .account = b->account, .region = b->region, .space = S("AWS/S3"), .dimensions = by, .dimension_count = 2};
	if (!u->s3->cloud->metrics)
		return;
	put_metric(u, &m, "NumberOfObjects", "Count", (double)u->objects);
	for (unsigned i = 0; i < CLASSES; i++)
		if (u->bytes[i]) {
			by[1].value = str_from(classes[i].storage);
			put_metric(u, &m, "BucketSizeBytes", "Bytes", (double)u->bytes[i]);
		}
}

/* --- what is stored */

static void add(struct s3_usage *u, const struct state_s3_bucket *b, const struct state_s3_object *o)
{
	int64_t from = o->last_modified.ms > u->from ? o->last_modified.ms : u->from;
	unsigned class = class_of(o->storage_class);
	const char *usage = classes[class].usage;
	if (!o->delete_marker.v) {
		u->bytes[class] += (uint64_t)o->size.v;
		u->objects++;
	}
	uint32_t i = 0;
	if (o->delete_marker.v || from >= u->to)
		return;
	while (i < u->count &&
	       !(u->sums[i].usage == usage && str_eq(u->sums[i].account, b->account) && str_eq(u->sums[i].region, b->region)))
		i++;
	if (i == u->count) {
		struct sum *more = arena_array(&u->arena, u->count + 1, sizeof(*more));
		if (u->count)
			memcpy(more, u->sums, u->count * sizeof(*more));
		u->sums = more;
		u->sums[u->count++] = (struct sum){
		        .account = arena_dup(&u->arena, b->account), .region = arena_dup(&u->arena, b->region), .usage = usage};
	}
	u->sums[i].byte_ms += (unsigned __int128)o->size.v * (unsigned __int128)(u->to - from);
}

static void written(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct s3_usage *u = ctx;
	if (result < 0)
		log_warn("s3: what is stored could not be written for the bill: %s", strerror(-result));
	wait_for_next(u);
}

static void write_sums(struct s3_usage *u)
{
	struct store_txn *t = store_begin(u->s3->cloud->store, &u->slice);
	for (uint32_t i = 0; i < u->count; i++)
		meter_spread(t, &u->slice, u->sums[i].account, u->sums[i].region, str_from(u->sums[i].usage),
		             (int64_t)(u->sums[i].byte_ms / KIB), u->from, u->to);
	meter_measure(t, &u->slice, WHAT, u->to);
	store_commit(t, written, u);
}

/* The bucket that the measurement is at, or the next one; false: none is left. */
static bool next_bucket(struct s3_usage *u, struct store_txn *t, struct state_s3_bucket *ret)
{
	struct arena *a = &u->slice;
	struct str under = KEY_UNDER(a, S("s3"), S("bucket")), key;
	struct store_value value;
	struct store_iter *i =
	        store_scan(t, ARENA_CAT(a, under, str_of(u->bucket, u->bucket_n)), store_prefix_end(a, under), false);
	while (store_next(i, &key, &value)) {
		struct str name = str_from_at(key, under.n);
		if (name.n >= sizeof(u->bucket) - 1 || !bucket_load(t, a, name, ret))
			continue;
		if (!str_eq(name, str_of(u->bucket, u->bucket_n))) {
			memcpy(u->bucket, name.p, name.n);
			u->bucket_n = name.n;
			u->key_n = 0;
		}
		return true;
	}
	return false;
}

static void turn(void *ctx)
{
	struct s3_usage *u = ctx;
	struct arena *a = &u->slice;
	struct state_s3_bucket b = {0};
	u->timer = NULL;
	arena_reset(a);
	struct store_txn *t = store_begin(u->s3->cloud->store, a);
	if (!next_bucket(u, t, &b)) {
		store_abort(t);
		write_sums(u);
		return;
	}
	struct str name, tail, last = STR_NONE, bucket = str_of(u->bucket, u->bucket_n);
	struct tree_walk w;
	struct store_value value;
	unsigned seen = 0;
	if (!u->key_n) {
		memset(u->bytes, 0, sizeof(u->bytes));
		u->objects = 0;
	}
	tree_walk(&w, t, a, tree_root(a, "object", bucket), u->key_n ? tree_after(a, str_of(u->key, u->key_n)) : STR_NONE);
	bool ended = true;
	while (tree_next(&w, &name, &tail, &value)) {
		struct state_s3_object o;
		if (seen++ >= SLICE_RECORDS && !str_eq(name, last)) {
			ended = false;
			break;
		}
		last = name;
		object_read(a, value.value, &o);
		add(u, &b, &o);
	}
	if (ended) {
		publish(u, &b);
		u->bucket[u->bucket_n++] = '!'; /* the least name behind this bucket's */
		u->key_n = 0;
	} else {
		u->key_n = last.n < sizeof(u->key) ? last.n : sizeof(u->key) - 1;
		memcpy(u->key, last.p, u->key_n);
	}
	store_abort(t);
	u->timer = loop_add_timer(u->s3->cloud->loop, 0, turn, u);
}

static void tick(void *ctx)
{
	struct s3_usage *u = ctx;
	struct store_txn *t = store_begin(u->s3->cloud->store, &u->slice);
	u->timer = NULL;
	u->to = clock_wall_ms();
	u->from = meter_measured(t, &u->slice, WHAT);
	store_abort(t);
	u->count = 0;
	u->bucket_n = u->key_n = 0;
	if (!u->from) {
		u->from = u->to;
		write_sums(u);
	} else if (u->to >= u->from + EVERY_MS) {
		turn(u);
	} else {
		wait_for_next(u);
	}
}

struct s3_usage *usage_start(struct s3_state *s)
{
	struct s3_usage *u = calloc(1, sizeof(*u));
	if (!u)
		abort();
	u->s3 = s;
	u->timer = loop_add_clock_timer(s->cloud->loop, 0, tick, u);
	return u;
}

void usage_stop(struct s3_usage *u)
{
	if (!u)
		return;
	loop_remove_timer(u->s3->cloud->loop, u->timer);
	arena_done(&u->arena);
	arena_done(&u->slice);
	free(u);
}

/* --- requests */

/* Writing and listing have one price, all other requests another; taking away is free. */
static const char *tier_of(const struct operation *op)
{
	struct str name = api_text(&s3_api, op->name), method = api_text(&s3_api, op->method);
	if (str_is(method, "DELETE") || str_is(name, "DeleteObjects"))
		return NULL;
	return str_is(method, "PUT") || str_is(method, "POST") || str_starts(name, S("List")) ? "S3/Requests-Tier1"
	                                                                                      : "S3/Requests-Tier2";
}

void usage_count_request(struct call *c)
{
	bool refused = str_set(c->error.code) && (c->error.receiver || c->error.status == 403 || c->error.status >= 500);
	const char *tier = c->op && c->row && c->in && !refused ? tier_of(c->op) : NULL;
	if (!tier)
		return;
	struct str bucket = s3_input_names(c, c->in).bucket, account = c->account, region = c->region;
	if (str_set(bucket))
		bucket_owner(s3_state(c), bucket, &account, &region);
	if (str_set(account) && account.n)
		meter_count_of(c->cloud->meter, account, region, str_set(bucket) ? bucket : S(""), str_from(tier), 1);
}
