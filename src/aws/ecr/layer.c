#include "aws/ecr/upload.h"

#include "base/log.h"
#include "store/blob.h"

#include <errno.h>
#include <stdlib.h>

enum { TOUCH_MS = 3600 * 1000 };

static struct str layer_key(struct arena *a, const struct ecr_place *p, struct str digest)
{
	return KEY(a, S("ecr"), S("layer"), p->account, p->region, p->name, digest);
}

static struct str content_key(struct arena *a, struct str digest)
{
	return KEY(a, S("ecr"), S("content"), digest);
}

static struct str file_key(struct arena *a, struct str blob)
{
	return KEY(a, S("ecr"), S("file"), blob);
}

bool ecr_find_layer(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest,
                    struct state_ecr_layer_record *ret)
{
	return ecr_digest_good(digest) && record_get(t, a, layer_key(a, p, digest), ECR_ROW("Layer"), ret);
}

bool ecr_find_content(struct store_txn *t, struct arena *a, struct str digest, struct state_ecr_content_record *ret)
{
	return ecr_digest_good(digest) && record_get(t, a, content_key(a, digest), ECR_ROW("Content"), ret);
}

bool ecr_layer_add(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest, struct str blob,
                   uint64_t size, int64_t now_ms)
{
	struct state_ecr_layer_record layer;
	struct state_ecr_content_record content = {0};
	if (ecr_find_layer(t, a, p, digest, &layer)) {
		ecr_layer_touch(t, a, p, digest, now_ms);
		return false;
	}
	bool known = ecr_find_content(t, a, digest, &content);
	if (!known) {
		content = (struct state_ecr_content_record){.blob = blob, .size = OPT_INT((int64_t)size)};
		store_put(t, file_key(a, blob), digest);
	}
	content.refs = OPT_INT(content.refs.v + 1);
	record_put(t, a, content_key(a, digest), ECR_ROW("Content"), &content);
	layer = (struct state_ecr_layer_record){.size = content.size, .refs = OPT_INT(0), .idle = OPT_TIME(now_ms)};
	record_put(t, a, layer_key(a, p, digest), ECR_ROW("Layer"), &layer);
	ecr_count(t, a, p, layer.size.v, 0, now_ms);
	return !known;
}

void ecr_layer_touch(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest, int64_t now_ms)
{
	struct state_ecr_layer_record layer;
	if (!ecr_find_layer(t, a, p, digest, &layer) || layer.refs.v > 0 || now_ms - layer.idle.ms < TOUCH_MS)
		return;
	layer.idle = OPT_TIME(now_ms);
	record_put(t, a, layer_key(a, p, digest), ECR_ROW("Layer"), &layer);
}

void ecr_layer_ref(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest, struct str media_type,
                   int by, int64_t now_ms)
{
	struct state_ecr_layer_record layer;
	if (!ecr_find_layer(t, a, p, digest, &layer))
		return; /* one that may not be distributed */
	layer.refs = OPT_INT(layer.refs.v + by);
	if (str_set(media_type))
		layer.media_type = media_type;
	if (layer.refs.v == 0)
		layer.idle = OPT_TIME(now_ms);
	record_put(t, a, layer_key(a, p, digest), ECR_ROW("Layer"), &layer);
}

void ecr_layer_drop(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest, int64_t now_ms)
{
	struct state_ecr_layer_record layer;
	struct state_ecr_content_record content;
	if (!ecr_find_layer(t, a, p, digest, &layer))
		return;
	store_delete(t, layer_key(a, p, digest));
	ecr_count(t, a, p, -layer.size.v, 0, now_ms);
	if (!ecr_find_content(t, a, digest, &content))
		return;
	if (--content.refs.v > 0) {
		record_put(t, a, content_key(a, digest), ECR_ROW("Content"), &content);
		return;
	}
	store_delete(t, content_key(a, digest));
	store_delete(t, file_key(a, content.blob));
}

/* --- files go after the commit that removed their record, and after their last reader */

struct pin {
	unsigned count;
	bool doomed; /* its record is gone: delete with the last pin */
};

struct deletion {
	struct blobs *blobs;
	char id[BLOB_ID_LEN + 1];
	int result;
};

static void deletion_run(void *job)
{
	struct deletion *d = job;
	d->result = blob_delete(d->blobs, str_from(d->id));
}

static void deletion_done(void *job)
{
	struct deletion *d = job;
	if (d->result < 0 && d->result != -ENOENT)
		log_warn("ecr: content file %s could not be deleted: error %d", d->id, -d->result);
	free(d);
}

void ecr_delete_file(struct ecr_state *s, struct str blob)
{
	struct deletion *d = calloc(1, sizeof(*d));
	if (!d)
		die("out of memory (ecr)");
	d->blobs = s->cloud->blobs;
	memcpy(d->id, blob.p, blob.n < BLOB_ID_LEN ? blob.n : BLOB_ID_LEN);
	work_add(s->cloud->work, deletion_run, deletion_done, d);
}

void ecr_pin(struct ecr_state *s, struct str blob)
{
	struct pin *pin = map_get(&s->pins, blob);
	if (!pin) {
		pin = calloc(1, sizeof(*pin));
		if (!pin)
			die("out of memory (ecr)");
		map_put(&s->pins, blob, pin);
	}
	pin->count++;
}

void ecr_unpin(struct ecr_state *s, struct str blob)
{
	struct pin *pin = map_get(&s->pins, blob);
	if (!pin || --pin->count > 0)
		return;
	if (pin->doomed)
		ecr_delete_file(s, blob);
	map_remove(&s->pins, blob);
	free(pin);
}

static void file_changed(void *ctx, const struct store_event *e)
{
	struct ecr_state *s = ctx;
	if (str_set(e->value) || e->key.n < BLOB_ID_LEN)
		return;
	struct str id = str_from_at(e->key, e->key.n - BLOB_ID_LEN);
	struct pin *pin = map_get(&s->pins, id);
	if (pin)
		pin->doomed = true;
	else
		ecr_delete_file(s, id);
}

void ecr_layers_start(struct ecr_state *s)
{
	struct arena CLEAN_ARENA a = {0};
	struct str under = KEY_UNDER(&a, S("ecr"), S("file"));
	s->file_watch =
	        store_watch(s->cloud->store, under, store_prefix_end(&a, under), store_revision(s->cloud->store), file_changed, s);
}

void ecr_layers_stop(struct ecr_state *s)
{
	struct str id;
	void *pin;
	size_t at = 0;
	store_unwatch(s->file_watch);
	while (map_next(&s->pins, &at, &id, &pin))
		free(pin);
	map_done(&s->pins);
}

bool ecr_wants_blob(struct store_txn *t, struct arena *a, struct str id)
{
	struct store_value v;
	return store_get(t, file_key(a, id), &v) || ecr_upload_wants(t, a, id);
}
