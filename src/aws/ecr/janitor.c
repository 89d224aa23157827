/* What goes by itself: images that a lifecycle policy expires, blobs that no image needs, uploads that nobody goes on with. All of
 * it on the cloud's clock, once an hour of it, and at once when a policy has been put.
 *
 * One repository is one transaction, which reads the counts of what it removes: a push that gets in between makes it run again. A
 * blob that no image needs stays a day from when it came, was last asked about or lost its last image: a client that was told that
 * it is there has that long to put the manifest that needs it. */
#include "aws/ecr/lifecycle.h"
#include "aws/ecr/upload.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { TICK_US = 2 * 1000 * 1000, HOUR_MS = 3600 * 1000, IDLE_MS = 24 * HOUR_MS, BATCH = 200 };

struct janitor {
	struct ecr_state *s;
	struct loop_timer *timer;
	struct arena arena; /* of the repository at hand */
	int64_t hour;       /* last looked in this hour since 1970 */
	bool changed;
	bool more; /* the repository at hand has more to remove */
	struct buf at, done;
};

static void look_at_next(void *ctx);

static void tick(void *ctx)
{
	struct janitor *j = ctx;
	int64_t now_ms = clock_wall_ms(), hour = now_ms / HOUR_MS;
	ecr_uploads_sweep(j->s, now_ms - IDLE_MS);
	if (hour == j->hour && !j->changed) {
		j->timer = loop_add_clock_timer(j->s->cloud->loop, TICK_US, tick, j);
		return;
	}
	j->hour = hour;
	j->changed = false;
	buf_clear(&j->done);
	look_at_next(j);
}

struct lifecycle_image *ecr_lifecycle_images(struct store_txn *t, struct arena *a, const struct ecr_place *p, unsigned *ret_n)
{
	struct {
		struct lifecycle_image *v;
		uint32_t n;
		bool set;
	} all = {0};
	struct str under = ecr_under(a, "image", p), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_ecr_image_record image, subject;
		record_read(a, v.value, ECR_ROW("Image"), &image);
		bool held = image.parents.v > 0 || (str_set(image.subject) && ecr_find_image(t, a, p, image.subject, &subject));
		*LIST_ADD(a, &all) = (struct lifecycle_image){image.digest, image.tags, image.pushed.ms, held, 0};
	}
	*ret_n = all.n;
	return all.v;
}

/* An expired image takes along what is about it. */
static void remove_with_referrers(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest,
                                  int64_t now_ms, int depth)
{
	struct state_ecr_image_record image;
	struct str under = ARENA_CAT(a, ecr_under(a, "referrer", p), digest, str_of("", 1)), key;
	struct str_list about = {0};
	struct store_value v;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	while (depth > 0 && store_next(i, &key, &v))
		*LIST_ADD(a, &about) = arena_dup(a, str_from_at(key, under.n));
	for (uint32_t k = 0; k < about.n; k++)
		remove_with_referrers(t, a, p, about.v[k], now_ms, depth - 1);
	if (ecr_find_image(t, a, p, digest, &image) && image.parents.v == 0)
		ecr_remove_image(t, a, p, &image, now_ms);
}

static void expire(struct janitor *j, struct store_txn *t, const struct ecr_place *p, struct state_ecr_repository_record *r,
                   int64_t now_ms)
{
	struct lifecycle_rules rules;
	struct str why;
	unsigned n, gone = 0;
	if (!ecr_lifecycle_read(&j->arena, r->lifecycle, &rules, &why))
		return;
	struct lifecycle_image *images = ecr_lifecycle_images(t, &j->arena, p, &n);
	ecr_lifecycle_apply(&rules, images, n, now_ms);
	for (unsigned i = 0; i < n; i++) {
		if (!images[i].priority)
			continue;
		if (gone++ == BATCH) {
			j->more = true;
			break;
		}
		remove_with_referrers(t, &j->arena, p, images[i].digest, now_ms, 4);
	}
	if (r->lifecycle_evaluated.ms / HOUR_MS != now_ms / HOUR_MS || !r->lifecycle_evaluated.set) {
		r->lifecycle_evaluated = OPT_TIME(now_ms);
		record_put(t, &j->arena, ecr_repository_key(&j->arena, p), ECR_ROW("Repository"), r);
	}
}

static void drop_idle(struct janitor *j, struct store_txn *t, const struct ecr_place *p, int64_t now_ms)
{
	struct arena *a = &j->arena;
	struct str under = ecr_under(a, "layer", p), key;
	struct store_value v;
	struct str_list idle = {0};
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	while (store_next(i, &key, &v)) {
		struct state_ecr_layer_record layer;
		record_read(a, v.value, ECR_ROW("Layer"), &layer);
		if (layer.refs.v > 0 || now_ms - layer.idle.ms < IDLE_MS)
			continue;
		if (idle.n == BATCH) {
			j->more = true;
			break;
		}
		*LIST_ADD(a, &idle) = arena_dup(a, str_from_at(key, under.n));
	}
	for (uint32_t k = 0; k < idle.n; k++)
		ecr_layer_drop(t, a, p, idle.v[k], now_ms);
}

static void looked(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct janitor *j = ctx;
	if (result < 0 && result != -EAGAIN)
		log_warn("ecr: a repository's leftovers stay: error %d", -result);
	if (result != -EAGAIN && (!j->more || result < 0)) {
		buf_clear(&j->done);
		buf_add_str(&j->done, buf_str(&j->at));
	}
	j->timer = loop_add_timer(j->s->cloud->loop, 0, look_at_next, j);
}

static void look_at_next(void *ctx)
{
	struct janitor *j = ctx;
	struct arena *a = &j->arena;
	struct state_ecr_repository_record r;
	struct store_value v;
	struct str key;
	int64_t now_ms = clock_wall_ms();
	arena_reset(a);
	j->timer = NULL;
	j->more = false;
	struct store_txn *t = store_begin(j->s->cloud->store, a);
	struct str under = KEY_UNDER(a, S("ecr"), S("repository"));
	struct str from = j->done.n ? ARENA_CAT(a, buf_str(&j->done), str_of("", 1)) : under;
	/* The next key is found by a look of its own: a new repository beside this one is no reason to do this again. */
	struct store_txn *look = store_begin(j->s->cloud->store, a);
	bool found = store_next(store_scan(look, from, store_prefix_end(a, under), false), &key, &v);
	if (found)
		key = arena_dup(a, key);
	store_abort(look);
	if (!found) {
		store_abort(t);
		arena_done(a);
		j->timer = loop_add_clock_timer(j->s->cloud->loop, TICK_US, tick, j);
		return;
	}
	buf_clear(&j->at);
	buf_add_str(&j->at, key);
	struct str_list parts = record_key_parts(a, key);
	struct ecr_place p = {parts.v[2], parts.v[3], parts.v[4]};
	if (ecr_find_repository(t, a, &p, &r)) {
		if (str_set(r.lifecycle))
			expire(j, t, &p, &r, now_ms);
		drop_idle(j, t, &p, now_ms);
	}
	store_commit(t, looked, j);
}

struct janitor *ecr_janitor_start(struct ecr_state *s)
{
	struct janitor *j = calloc(1, sizeof(*j));
	if (!j)
		die("out of memory (ecr)");
	j->s = s;
	j->hour = -1;
	buf_init(&j->at, 1024);
	buf_init(&j->done, 1024);
	j->timer = loop_add_clock_timer(s->cloud->loop, TICK_US, tick, j);
	return j;
}

void ecr_janitor_stop(struct janitor *j)
{
	if (!j)
		return;
	loop_remove_timer(j->s->cloud->loop, j->timer);
	arena_done(&j->arena);
	buf_done(&j->at);
	buf_done(&j->done);
	free(j);
}

void ecr_janitor_soon(struct janitor *j)
{
	j->changed = true;
}
