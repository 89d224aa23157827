/* The record of an upload, by which the next process goes on with it: where its bytes are, how many of them are on the disk, and
 * how far their digest had come. It is written when a request that brought the upload on is answered. Bytes beyond it are cut off
 * when the upload is taken up again, because nobody was told that they had arrived. */
#include "aws/ecr/upload_state.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

static struct str upload_key(struct arena *a, const struct ecr_upload *u)
{
	return KEY(a, S("ecr"), S("upload"), u->place.account, u->place.region, u->place.name, str_from(u->id));
}

static struct str begun_key(struct arena *a, struct str blob)
{
	return KEY(a, S("ecr"), S("begun"), blob);
}

bool ecr_upload_wants(struct store_txn *t, struct arena *a, struct str id)
{
	struct store_value v;
	return store_get(t, begun_key(a, id), &v);
}

/* The file that its bytes go to; absent: none has come. */
static struct str file_of(const struct ecr_upload *u)
{
	return u->blob ? str_from(blob_id(u->blob)) : u->begun_id[0] ? str_from(u->begun_id) : STR_NONE;
}

/* --- keeping */

static void on_kept(struct call *c)
{
	struct ecr_upload *u = c->state;
	u->kept = true;
}

static int keep(struct call *c)
{
	struct ecr_upload *u = c->state;
	char hash[2 * sizeof(u->hash.state) + 1];
	if (u->error)
		return upload_fail_write(c, u);
	hex_encode(u->hash.state, sizeof(u->hash.state), hash);
	const struct state_ecr_upload_record r = {.blob = file_of(u),
	                                          .size = OPT_INT((int64_t)u->size),
	                                          .hash = str_from(hash),
	                                          .small_part = OPT_INT(u->small_part),
	                                          .last_small = OPT_INT(u->last_small),
	                                          .touched = OPT_TIME(c->now_ms)};
	record_put(call_txn(c), c->arena, upload_key(c->arena, u), ECR_ROW("Upload"), &r);
	if (str_set(r.blob))
		store_put(call_txn(c), begun_key(c->arena, r.blob), S(""));
	call_after_commit(c, on_kept);
	return u->finish(c);
}

static void flush_run(void *job)
{
	struct ecr_upload *u = job;
	u->error = blob_flush(u->blob);
}

static void flush_done(void *job)
{
	struct ecr_upload *u = job;
	u->flushing = false;
	upload_step(u);
}

int ecr_upload_keep(struct call *c, struct ecr_upload *u, call_resume_fn *finish)
{
	upload_hold(c, u);
	u->finish = finish;
	if (!u->blob || u->error)
		return keep(c);
	u->flushing = true;
	u->waiting = true;
	int said = call_wait(c, keep, upload_let_go);
	work_add(u->s->cloud->work, flush_run, flush_done, u);
	return said;
}

/* --- ending */

void upload_unrecord(struct store_txn *t, struct arena *a, const struct ecr_upload *u)
{
	struct str file = file_of(u);
	store_delete(t, upload_key(a, u));
	if (u->blob_id[0])
		file = str_from(u->blob_id);
	if (str_set(file))
		store_delete(t, begun_key(a, file));
}

struct forgetting {
	struct arena arena;
};

static void forgotten(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct forgetting *f = ctx;
	if (result < 0)
		log_warn("ecr: the record of an upload that has ended stays: error %d", -result);
	arena_done(&f->arena);
	free(f);
}

void upload_forget(struct ecr_upload *u)
{
	if (!u->kept)
		return;
	u->kept = false;
	struct forgetting *f = calloc(1, sizeof(*f));
	if (!f)
		die("out of memory (ecr)");
	struct store_txn *t = store_begin(u->s->cloud->store, &f->arena);
	upload_unrecord(t, &f->arena, u);
	store_commit(t, forgotten, f);
}

static void on_cancelled(struct call *c)
{
	struct ecr_upload *u = c->state;
	u->cancelled = true;
	u->kept = false;
}

void ecr_upload_cancel(struct call *c, struct ecr_upload *u)
{
	upload_hold(c, u);
	upload_unrecord(call_txn(c), c->arena, u);
	call_after_commit(c, on_cancelled);
}

/* --- at the start */

void ecr_uploads_start(struct ecr_state *s)
{
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(s->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("ecr"), S("upload")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_ecr_upload_record r;
		struct str_list parts = record_key_parts(&a, key);
		const struct ecr_place p = {parts.v[2], parts.v[3], parts.v[4]};
		record_read(&a, v.value, ECR_ROW("Upload"), &r);
		struct ecr_upload *u = upload_new(s, &p, parts.v[5], r.touched.ms);
		u->kept = true;
		u->size = (uint64_t)r.size.v;
		u->small_part = r.small_part.v;
		u->last_small = r.last_small.v;
		if (str_set(r.blob))
			memcpy(u->begun_id, r.blob.p, r.blob.n < BLOB_ID_LEN ? r.blob.n : BLOB_ID_LEN);
		if (!hex_decode(r.hash, u->hash.state, sizeof(u->hash.state)))
			u->error = -EIO;
	}
	store_abort(t);
}
