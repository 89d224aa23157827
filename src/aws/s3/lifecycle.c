/* The job walks bucket by bucket, first the objects, then the uploads under way. One slice is one transaction: it looks at some
 * hundred records, decides what goes, writes that, and commits; the next one goes on behind the last key. A slice that lost a race
 * is done again. */
#include "aws/s3/lifecycle.h"

#include "aws/s3/content.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { TICK_US = 2 * 1000 * 1000, SLICE_RECORDS = 500 };
#define DAY_MS (86400 * INT64_C(1000))

struct lifecycle {
	struct s3_state *s3;
	struct loop_timer *timer;
	struct arena arena;     /* of the slice under way */
	int64_t day;            /* last looked on this day since 1970 */
	bool changed;           /* rules have: look again */
	bool running;           /* a run is under way */
	bool uploads;           /* the bucket's objects are done, now its uploads */
	size_t bucket_n, key_n; /* how far the run is */
	char bucket[64], key[S3_KEY_MAX_BYTES + 1];
};

enum deed { DEED_EXPIRE, DEED_REMOVE_VERSION, DEED_ABORT };
struct task {
	enum deed deed;
	struct str key, id; /* version or upload */
	struct task *next;
};

static void run_slice(void *ctx);

static void tick(void *ctx)
{
	struct lifecycle *l = ctx;
	int64_t day = clock_wall_ms() / DAY_MS;
	if (day == l->day && !l->changed) {
		l->timer = loop_add_clock_timer(l->s3->cloud->loop, TICK_US, tick, l);
		return;
	}
	l->day = day;
	l->changed = l->uploads = false;
	l->bucket_n = l->key_n = 0;
	l->running = true;
	l->timer = NULL;
	run_slice(l);
}

struct lifecycle *lifecycle_start(struct s3_state *s)
{
	struct lifecycle *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->s3 = s;
	l->day = -1;
	l->timer = loop_add_clock_timer(s->cloud->loop, TICK_US, tick, l);
	return l;
}

void lifecycle_stop(struct lifecycle *l)
{
	if (!l)
		return;
	loop_remove_timer(l->s3->cloud->loop, l->timer);
	arena_done(&l->arena);
	free(l);
}

void lifecycle_soon(struct lifecycle *l)
{
	l->changed = true;
}

static void add_task(struct lifecycle *l, struct task **tasks, enum deed deed, struct str key, struct str id)
{
	struct task *t = arena_new(&l->arena, struct task);
	*t = (struct task){.deed = deed, .key = key, .id = id, .next = *tasks};
	*tasks = t;
}

/* Has some rule's time come for a current version? *ret_marker: a rule wants lone delete markers gone. */
static bool current_expired(const struct s3_bucket_lifecycle_configuration *k, struct str key, const struct state_s3_object *o,
                            int64_t now_ms)
{
	for (unsigned i = 0; i < k->rules.n; i++) {
		const struct s3_lifecycle_rule *r = &k->rules.v[i];
		if (!lifecycle_applies(r, key, &o->tags, o->size.v))
			continue;
		if (lifecycle_expires(r, o->last_modified.ms) <= now_ms)
			return true;
		if (o->delete_marker.v && r->expiration && r->expiration->expired_object_delete_marker.v)
			return true;
	}
	return false;
}

/* `newer`: how many noncurrent versions of the key are newer than this one. */
static bool version_expired(const struct s3_bucket_lifecycle_configuration *k, struct str key, const struct state_s3_object *o,
                            unsigned newer, int64_t now_ms)
{
	for (unsigned i = 0; i < k->rules.n; i++) {
		const struct s3_lifecycle_rule *r = &k->rules.v[i];
		const struct s3_noncurrent_version_expiration *n = r->noncurrent_version_expiration;
		if (!n || !lifecycle_applies(r, key, &o->tags, o->size.v))
			continue;
		if (newer >= (unsigned)n->newer_noncurrent_versions.v &&
		    lifecycle_midnight(o->noncurrent_since.ms, n->noncurrent_days.v) <= now_ms)
			return true;
	}
	return false;
}

/* Keeps where the run is; the next slice begins behind this key. */
static void stand_at(struct lifecycle *l, struct str key)
{
	l->key_n = key.n < sizeof(l->key) ? key.n : sizeof(l->key) - 1;
	memcpy(l->key, key.p, l->key_n);
	l->key[l->key_n] = '\0';
}

static bool look_at_objects(struct lifecycle *l, struct store_txn *t, const struct state_s3_bucket *b, struct str bucket,
                            int64_t now_ms, struct task **tasks)
{
	struct arena *a = &l->arena;
	struct str root = tree_root(a, "object", bucket), name, tail, last = STR_NONE;
	struct tree_walk w;
	struct store_value value;
	unsigned seen = 0, newer = 0;
	tree_walk(&w, t, a, root, l->key_n ? tree_after(a, str_of(l->key, l->key_n)) : STR_NONE);
	while (tree_next(&w, &name, &tail, &value)) {
		struct state_s3_object o;
		if (!str_set(last) || !str_eq(name, last)) {
			if (seen >= SLICE_RECORDS) {
				stand_at(l, last);
				return false;
			}
			last = name;
			newer = 0;
		}
		seen++;
		object_read(a, value.value, &o);
		if (str_set(tail)) {
			if (version_expired(b->lifecycle, name, &o, newer++, now_ms))
				add_task(l, tasks, DEED_REMOVE_VERSION, name, o.version_id);
			continue;
		}
		if (!current_expired(b->lifecycle, name, &o, now_ms))
			continue;
		struct str older;
		if (!o.delete_marker.v)
			add_task(l, tasks, DEED_EXPIRE, name, STR_NONE);
		else if (!tree_next_tail(t, a, root, name, STR_NONE, &older, &value))
			add_task(l, tasks, DEED_REMOVE_VERSION, name, o.version_id);
	}
	return true;
}

static bool look_at_uploads(struct lifecycle *l, struct store_txn *t, const struct state_s3_bucket *b, struct str bucket,
                            int64_t now_ms, struct task **tasks)
{
	static const struct record_type upload_type = {&state_s3_api, "Upload"};
	static const struct str_map no_tags;
	struct arena *a = &l->arena;
	struct str name, upload_id, last = STR_NONE;
	struct tree_walk w;
	struct store_value value;
	unsigned seen = 0;
	tree_walk(&w, t, a, tree_root(a, "upload", bucket), l->key_n ? tree_after(a, str_of(l->key, l->key_n)) : STR_NONE);
	while (tree_next(&w, &name, &upload_id, &value)) {
		if (seen++ >= SLICE_RECORDS && !str_eq(name, last)) {
			stand_at(l, last);
			return false;
		}
		last = name;
		struct state_s3_upload u = {0};
		if (!record_read(a, value.value, &upload_type, &u))
			abort();
		for (unsigned i = 0; i < b->lifecycle->rules.n; i++) {
			const struct s3_lifecycle_rule *r = &b->lifecycle->rules.v[i];
			if (r->abort_incomplete_multipart_upload && lifecycle_applies(r, name, &no_tags, 0) &&
			    lifecycle_midnight(u.initiated.ms, r->abort_incomplete_multipart_upload->days_after_initiation.v) <=
			            now_ms) {
				add_task(l, tasks, DEED_ABORT, name, upload_id);
				break;
			}
		}
	}
	return true;
}

static void carry_out(struct lifecycle *l, struct store_txn *t, const struct state_s3_bucket *b, struct str bucket,
                      const struct task *task, int64_t now_ms)
{
	struct object_removal gone;
	switch (task->deed) {
	case DEED_EXPIRE:
		object_remove(t, &l->arena, bucket_versioning(b), bucket, task->key, b->account, now_ms, &gone);
		object_tell_expired(t, &l->arena, b, bucket, task->key, &gone, false, now_ms);
		break;
	case DEED_REMOVE_VERSION:
		object_remove_version(t, &l->arena, bucket, task->key, task->id, &gone);
		object_tell_expired(t, &l->arena, b, bucket, task->key, &gone, true, now_ms);
		break;
	case DEED_ABORT:
		upload_discard(t, &l->arena, bucket, task->key, task->id);
		break;
	}
}

static void slice_done(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct lifecycle *l = ctx;
	if (result < 0 && result != -EAGAIN) {
		/* The disk is full or broken: others say so louder. Look again tomorrow. */
		log_warn("s3: lifecycle run stopped: error %d", -result);
		l->running = false;
	}
	l->timer = loop_add_clock_timer(l->s3->cloud->loop, l->running ? 0 : TICK_US, l->running ? run_slice : tick, l);
}

/* The next bucket with rules; false: none is left. */
static bool next_bucket(struct lifecycle *l, struct store_txn *t, struct state_s3_bucket *ret)
{
	struct arena *a = &l->arena;
	struct str under = KEY_UNDER(a, S("s3"), S("bucket")), key;
	struct store_value value;
	struct str from = l->bucket_n ? ARENA_CAT(a, under, str_of(l->bucket, l->bucket_n)) : under;
	struct store_iter *i = store_scan(t, from, store_prefix_end(a, under), false);
	while (store_next(i, &key, &value)) {
		struct str name = str_from_at(key, under.n);
		*ret = (struct state_s3_bucket){0};
		if (name.n >= sizeof(l->bucket) || !bucket_load(t, a, name, ret) || !ret->lifecycle)
			continue;
		if (!str_eq(name, str_of(l->bucket, l->bucket_n))) {
			memcpy(l->bucket, name.p, name.n);
			l->bucket_n = name.n;
			l->key_n = 0;
			l->uploads = false;
		}
		return true;
	}
	return false;
}

static void run_slice(void *ctx)
{
	struct lifecycle *l = ctx;
	struct lifecycle before = *l;
	l->timer = NULL;
	arena_reset(&l->arena);
	struct store_txn *t = store_begin(l->s3->cloud->store, &l->arena);
	struct state_s3_bucket b;
	struct task *tasks = NULL;
	int64_t now_ms = clock_wall_ms();
	if (!next_bucket(l, t, &b)) {
		store_abort(t);
		arena_done(&l->arena);
		l->running = false;
		l->timer = loop_add_clock_timer(l->s3->cloud->loop, TICK_US, tick, l);
		return;
	}
	struct str bucket = arena_dup(&l->arena, str_of(l->bucket, l->bucket_n));
	bool finished =
	        l->uploads ? look_at_uploads(l, t, &b, bucket, now_ms, &tasks) : look_at_objects(l, t, &b, bucket, now_ms, &tasks);
	if (tasks) {
		for (const struct task *task = tasks; task; task = task->next)
			carry_out(l, t, &b, bucket, task, now_ms);
		/* The same stretch again until nothing in it is left to do: this commit may lose a race. */
		l->uploads = before.uploads && l->bucket_n == before.bucket_n && memcmp(l->bucket, before.bucket, l->bucket_n) == 0;
		l->key_n = l->bucket_n == before.bucket_n && memcmp(l->bucket, before.bucket, l->bucket_n) == 0 ? before.key_n : 0;
		memcpy(l->key, before.key, sizeof(l->key));
	} else if (finished && !l->uploads) {
		l->uploads = true;
		l->key_n = 0;
	} else if (finished) {
		/* The least name behind this bucket's. */
		l->bucket[l->bucket_n++] = '!';
		l->key_n = 0;
		l->uploads = false;
	}
	store_commit(t, slice_done, l);
}
