#include "aws/s3/content.h"
#include "aws/s3/rows.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct record_type upload_type = {&state_s3_api, "Upload"}, part_type = {&state_s3_api, "Segment"};

static struct str part_key(struct arena *a, struct str upload_id, int64_t number)
{
	return KEY(a, S("s3"), S("part"), upload_id, arena_printf(a, "%05" PRId64, number));
}

bool upload_get(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str upload_id,
                struct state_s3_upload *ret)
{
	struct store_value value;
	/* An id of our own making only: it becomes part of a key. */
	if (upload_id.n < 16 || upload_id.n > 64 || !tree_get(t, a, tree_root(a, "upload", bucket), key, upload_id, &value))
		return false;
	*ret = (struct state_s3_upload){0};
	if (!record_read(a, value.value, &upload_type, ret))
		abort();
	return true;
}

void upload_put(struct store_txn *t, struct arena *a, struct str bucket, struct str key, const struct state_s3_upload *u)
{
	tree_put(t, a, tree_root(a, "upload", bucket), key, u->upload_id, record_write(a, &upload_type, u));
}

void upload_delete(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str upload_id)
{
	tree_delete(t, a, tree_root(a, "upload", bucket), key, upload_id);
}

bool part_get(struct store_txn *t, struct arena *a, struct str upload_id, int64_t number, struct state_s3_segment *ret)
{
	*ret = (struct state_s3_segment){0};
	return record_get(t, a, part_key(a, upload_id, number), &part_type, ret);
}

void part_put(struct store_txn *t, struct arena *a, struct str upload_id, const struct state_s3_segment *p)
{
	record_put(t, a, part_key(a, upload_id, p->number.v), &part_type, p);
}

void part_delete(struct store_txn *t, struct arena *a, struct str upload_id, int64_t number)
{
	store_delete(t, part_key(a, upload_id, number));
}

void part_walk(struct part_walk *w, struct store_txn *t, struct arena *a, struct str upload_id, int64_t after)
{
	struct str under = KEY_UNDER(a, S("s3"), S("part"), upload_id);
	*w = (struct part_walk){store_scan(t, part_key(a, upload_id, after + 1), store_prefix_end(a, under), false), a};
}

bool part_next(struct part_walk *w, struct state_s3_segment *ret)
{
	struct str key;
	struct store_value value;
	if (!store_next(w->iter, &key, &value))
		return false;
	*ret = (struct state_s3_segment){0};
	if (!record_read(w->arena, value.value, &part_type, ret))
		abort();
	return true;
}

void upload_discard(struct store_txn *t, struct arena *a, struct str bucket, struct str key, struct str upload_id)
{
	struct part_walk w;
	struct state_s3_segment p;
	part_walk(&w, t, a, upload_id, 0);
	while (part_next(&w, &p)) {
		content_drop(t, a, (enum content_kind)p.kind.v, p.content);
		part_delete(t, a, upload_id, p.number.v);
	}
	upload_delete(t, a, bucket, key, upload_id);
}
