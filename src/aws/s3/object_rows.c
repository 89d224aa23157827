/* Versions of a key.
 *
 * The current version is the node's own value, so that the usual read is one lookup and listings of current objects are one walk.
 * When it is replaced in a bucket with versions, it moves under the tail v<16 hex digits>: its sequence number counted down from
 * the top, so that a walk meets newer ones first. A version's id begins with the same digits, so it is found without an index; only
 * "null", of which a key has at most one, is looked for by walking. Removing the current version makes the newest of the others
 * current. */
#include "aws/s3/content.h"
#include "aws/s3/rows.h"
#include "base/clock.h"
#include "base/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct record_type object_type = {&state_s3_api, "Object"};

static struct str objects(struct arena *a, struct str bucket)
{
	return tree_root(a, "object", bucket);
}

static struct str version_tail(struct arena *a, int64_t seq)
{
	return arena_printf(a, "v%016" PRIx64, UINT64_MAX - (uint64_t)seq);
}

void object_read(struct arena *a, struct str bytes, struct state_s3_object *ret)
{
	*ret = (struct state_s3_object){0};
	if (!record_read(a, bytes, &object_type, ret))
		abort();
}

bool object_get(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct state_s3_object *ret)
{
	struct store_value value;
	if (!tree_get(t, a, objects(a, bucket), key, STR_NONE, &value))
		return false;
	object_read(a, value.value, ret);
	return true;
}

/* The version "null" among the older ones. */
static bool find_null(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct state_s3_object *ret,
                      struct str *ret_tail)
{
	struct str tail = STR_NONE, root = objects(a, bucket);
	struct store_value value;
	while (tree_next_tail(t, a, root, key, tail, &tail, &value)) {
		struct state_s3_object o;
		object_read(a, value.value, &o);
		if (!str_is(o.version_id, "null"))
			continue;
		*ret = o;
		*ret_tail = tail;
		return true;
	}
	return false;
}

bool object_get_version(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str version_id,
                        struct state_s3_object *ret, struct str *ret_tail)
{
	struct state_s3_object o;
	if (object_get(t, a, bucket, key, &o) && str_eq(o.version_id, version_id)) {
		*ret = o;
		*ret_tail = STR_NONE;
		return true;
	}
	if (str_is(version_id, "null"))
		return find_null(t, a, bucket, key, ret, ret_tail);
	struct store_value value;
	struct str tail = ARENA_CAT(a, S("v"), str_sub(version_id, 0, VERSION_TAIL_BYTES - 1));
	if (!tree_get(t, a, objects(a, bucket), key, tail, &value))
		return false;
	object_read(a, value.value, &o);
	if (!str_eq(o.version_id, version_id))
		return false;
	*ret = o;
	*ret_tail = tail;
	return true;
}

void object_put(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str tail,
                const struct state_s3_object *o)
{
	tree_put(t, a, objects(a, bucket), key, tail, record_write(a, &object_type, o));
}

/* Moves the current version behind the scenes. */
static void demote(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct state_s3_object *o,
                   int64_t now_ms)
{
	o->noncurrent_since = OPT_TIME(now_ms);
	object_put(t, a, bucket, key, version_tail(a, o->seq.v), o);
}

static void drop_null(struct store_txn *t, struct arena *a, struct str bucket, struct str key)
{
	struct state_s3_object o;
	struct str tail;
	if (!find_null(t, a, bucket, key, &o, &tail))
		return;
	content_drop(t, a, (enum content_kind)o.kind.v, o.content);
	tree_delete(t, a, objects(a, bucket), key, tail);
}

void object_install(struct store_txn *t, struct arena *a, enum versioning v, struct str bucket, struct str key,
                    struct state_s3_object *o, int64_t now_ms)
{
	struct state_s3_object old;
	bool there = object_get(t, a, bucket, key, &old);
	/* Microseconds keep versions made elsewhere apart in order; never less than what is there, even when the clock was set
	 * back. */
	int64_t seq = now_ms * 1000;
	if (there && old.seq.v >= seq)
		seq = old.seq.v + 1;
	o->seq = OPT_INT(seq);
	if (v == VERSIONING_ENABLED)
		o->version_id = ARENA_CAT(a, str_from_at(version_tail(a, seq), 1), id_hex(a, 16));
	else
		o->version_id = S("null");
	bool keep = there && v != VERSIONING_OFF && (v == VERSIONING_ENABLED || !str_is(old.version_id, "null"));
	if (keep)
		demote(t, a, bucket, key, &old, now_ms);
	else if (there)
		content_drop(t, a, (enum content_kind)old.kind.v, old.content);
	if (v == VERSIONING_SUSPENDED && keep)
		drop_null(t, a, bucket, key);
	object_put(t, a, bucket, key, STR_NONE, o);
}

void object_remove(struct store_txn *t, struct arena *a, enum versioning v, struct str bucket, struct str key, struct str owner,
                   int64_t now_ms, struct object_removal *ret)
{
	*ret = (struct object_removal){0};
	if (v != VERSIONING_OFF) {
		struct state_s3_object marker = {
		        .delete_marker = OPT_BOOL(true), .last_modified = OPT_TIME(now_ms / 1000 * 1000), .owner = owner};
		object_install(t, a, v, bucket, key, &marker, now_ms);
		*ret = (struct object_removal){.found = true, .marker = true, .version_id = marker.version_id};
		return;
	}
	struct state_s3_object old;
	if (!object_get(t, a, bucket, key, &old))
		return;
	ret->found = true;
	content_drop(t, a, (enum content_kind)old.kind.v, old.content);
	tree_delete(t, a, objects(a, bucket), key, STR_NONE);
}

void object_remove_version(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str version_id,
                           struct object_removal *ret)
{
	struct state_s3_object o;
	struct str tail, root = objects(a, bucket);
	*ret = (struct object_removal){.version_id = version_id};
	if (!object_get_version(t, a, bucket, key, version_id, &o, &tail))
		return;
	ret->found = true;
	ret->marker = o.delete_marker.v;
	content_drop(t, a, (enum content_kind)o.kind.v, o.content);
	struct store_value value;
	if (str_set(tail) || !tree_next_tail(t, a, root, key, STR_NONE, &tail, &value)) {
		tree_delete(t, a, root, key, tail);
		return;
	}
	object_read(a, value.value, &o);
	o.noncurrent_since = (struct opt_time){0};
	tree_delete(t, a, root, key, tail);
	object_put(t, a, bucket, key, STR_NONE, &o);
}
