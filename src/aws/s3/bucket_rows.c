#include "aws/s3/rows.h"

#include "core/meter.h"

#include <stdlib.h>

static const struct record_type bucket_type = {&state_s3_api, "Bucket"}, owned_type = {&state_s3_api, "Owned"};

enum { CACHED_BUCKETS_MAX = 1000 };

/* A decoded record and the revision that it is of. */
struct bucket_cached {
	uint64_t modified;
	struct arena arena;
	struct state_s3_bucket bucket;
};

static struct str bucket_key(struct arena *a, struct str name)
{
	return KEY(a, S("s3"), S("bucket"), name);
}

static void cached_free(struct bucket_cached *b)
{
	if (!b)
		return;
	arena_done(&b->arena);
	free(b);
}

/* Every request reads its bucket twice or more (permission, then the operation), and a record holds whole policies and rule sets:
 * decoding it once a revision is what keeps small requests small. */
const struct state_s3_bucket *bucket_get(struct call *c, struct str name)
{
	struct s3_state *s = s3_state(c);
	struct store_value value;
	if (!store_get(call_txn(c), bucket_key(c->arena, name), &value))
		return NULL;
	struct bucket_cached *b = map_get(&s->buckets, name);
	if (b && b->modified == value.modified && value.modified)
		return &b->bucket;
	if (!value.modified || (!b && s->buckets.count >= CACHED_BUCKETS_MAX)) {
		struct state_s3_bucket *own = arena_new(c->arena, struct state_s3_bucket);
		if (!record_read(c->arena, value.value, &bucket_type, own))
			abort();
		return own;
	}
	if (!b) {
		b = calloc(1, sizeof(*b));
		if (!b)
			abort();
		map_put(&s->buckets, name, b);
	}
	arena_reset(&b->arena);
	b->bucket = (struct state_s3_bucket){0};
	if (!record_read(&b->arena, arena_dup(&b->arena, value.value), &bucket_type, &b->bucket))
		abort();
	b->modified = value.modified;
	return &b->bucket;
}

bool bucket_load(struct store_txn *t, struct arena *a, struct str name, struct state_s3_bucket *ret)
{
	return record_get(t, a, bucket_key(a, name), &bucket_type, ret);
}

void bucket_put(struct call *c, struct str name, const struct state_s3_bucket *b)
{
	struct store_value value;
	struct store_txn *t = call_txn(c);
	struct str owned = KEY(c->arena, S("s3"), S("owned"), b->account, name);
	record_put(t, c->arena, bucket_key(c->arena, name), &bucket_type, b);
	meter_tags(t, c->arena, b->account, b->region, name, &b->tags, c->now_ms);
	if (!store_get(t, owned, &value))
		record_put(t, c->arena, owned, &owned_type, &(struct state_s3_owned){.region = b->region, .created = b->created});
}

void bucket_delete(struct call *c, struct str name, const struct state_s3_bucket *b)
{
	store_delete(call_txn(c), bucket_key(c->arena, name));
	store_delete(call_txn(c), KEY(c->arena, S("s3"), S("owned"), b->account, name));
	meter_tags(call_txn(c), c->arena, b->account, b->region, name, NULL, c->now_ms);
}

const struct state_s3_bucket *bucket_seen(const struct s3_state *s, struct str name)
{
	const struct bucket_cached *b = map_get(&s->buckets, name);
	return b ? &b->bucket : NULL;
}

void bucket_owner(const struct s3_state *s, struct str name, struct str *ret_account, struct str *ret_region)
{
	const struct state_s3_bucket *b = bucket_seen(s, name);
	if (!b)
		return;
	*ret_account = b->account;
	*ret_region = b->region;
}

void bucket_cache_done(struct s3_state *s)
{
	struct str name;
	void *b;
	size_t at = 0;
	while (map_next(&s->buckets, &at, &name, &b))
		cached_free(b);
	map_done(&s->buckets);
}

enum versioning bucket_versioning(const struct state_s3_bucket *b)
{
	return str_is(b->versioning, "Enabled")     ? VERSIONING_ENABLED
	       : str_is(b->versioning, "Suspended") ? VERSIONING_SUSPENDED
	                                            : VERSIONING_OFF;
}
