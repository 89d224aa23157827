/* A request's pieces are copied into a ring of buffers; a thread takes all that are full, hashes them and appends them to the file.
 * A buffer is free again when it has passed. At most one job of an upload is under way, so bytes are hashed in order. When the
 * client leaves in the middle, what has come so far is written and counts: the registry's clients ask how far they got and go on.
 *
 * Completion compares digests, then makes the file durable on a thread, unless the cloud has that content already, and only then
 * writes records. The file becomes the registry's with the commit; if that never comes, it goes with the upload. */
#include "aws/ecr/upload.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { SLOTS = 4, SLOT_BYTES = 256 * 1024, UPLOADS_MAX = 1000, WRITEBACK_BYTES = 8 * 1024 * 1024 };

struct ecr_upload {
	struct ecr_state *s;
	struct arena arena;
	struct ecr_place place;
	char id[37];
	int64_t touched_ms;
	struct call *call; /* that brings it on; NULL: none does */
	bool ended;        /* out of the table: freed when idle */
	/* content */
	struct blob *blob; /* NULL: nothing has come yet, or it is sealed */
	struct hash hash;
	uint64_t size, writeback;
	int error; /* negative errno: the file is lost; set by the thread */
	bool small_part, last_small;
	/* the ring */
	char *slots[SLOTS];
	size_t slot_used[SLOTS], filled;
	uint64_t full, passed, until;
	bool running;
	/* the body at hand */
	struct str rest;
	int rest_status, body_status;
	bool memory, asking, pumping, body_ended, waiting;
	/* the end */
	struct str digest;
	call_resume_fn *finish;
	bool sealing, sealed;
	char blob_id[BLOB_ID_LEN + 1];
	bool adopted, committed;
};

static void step(struct ecr_upload *u);

/* --- life */

static bool idle(const struct ecr_upload *u)
{
	return !u->running && !u->sealing && !u->pumping;
}

static void slots_free(struct ecr_upload *u)
{
	for (int i = 0; i < SLOTS; i++) {
		free(u->slots[i]);
		u->slots[i] = NULL;
	}
}

static void upload_free(struct ecr_upload *u)
{
	blob_drop(u->blob);
	if (u->blob_id[0] && !(u->adopted && u->committed))
		ecr_delete_file(u->s, str_from(u->blob_id));
	slots_free(u);
	arena_done(&u->arena);
	free(u);
}

static void end(struct ecr_upload *u)
{
	if (!u->ended)
		map_remove(&u->s->uploads, str_from(u->id));
	u->ended = true;
}

struct ecr_upload *ecr_upload_begin(struct call *c, const struct ecr_place *p)
{
	struct ecr_state *s = ecr_state(c);
	if (s->uploads.count >= UPLOADS_MAX) {
		call_fail(c, "LimitExceededException", 0, "There are %d uploads under way, which is the limit.", UPLOADS_MAX);
		return NULL;
	}
	struct ecr_upload *u = calloc(1, sizeof(*u));
	if (!u)
		die("out of memory (ecr)");
	u->s = s;
	u->place = (struct ecr_place){arena_dup(&u->arena, p->account), arena_dup(&u->arena, p->region),
	                              arena_dup(&u->arena, p->name)};
	id_uuid_to(u->id);
	u->touched_ms = c->now_ms;
	hash_init(&u->hash, HASH_SHA256);
	map_put(&s->uploads, str_from(u->id), u);
	return u;
}

struct ecr_upload *ecr_upload_find(struct call *c, const struct ecr_place *p, struct str id)
{
	struct ecr_upload *u = map_get(&ecr_state(c)->uploads, id);
	bool here =
	        u && str_eq(u->place.account, p->account) && str_eq(u->place.region, p->region) && str_eq(u->place.name, p->name);
	return here ? u : NULL;
}

struct str ecr_upload_id(const struct ecr_upload *u)
{
	return str_of(u->id, 36);
}

uint64_t ecr_upload_size(const struct ecr_upload *u)
{
	return u->size;
}

bool ecr_upload_busy(const struct ecr_upload *u)
{
	return u->call || !idle(u);
}

void ecr_upload_cancel(struct ecr_upload *u)
{
	end(u);
	upload_free(u);
}

void ecr_upload_part(struct ecr_upload *u, bool small)
{
	u->small_part = u->small_part || u->last_small;
	u->last_small = small;
}

bool ecr_upload_has_small_part(const struct ecr_upload *u)
{
	return u->small_part;
}

struct ecr_upload *ecr_upload_of(const struct call *c)
{
	return c->state;
}

/* --- threads */

static void write_run(void *job)
{
	struct ecr_upload *u = job;
	for (uint64_t i = u->passed; i < u->until && !u->error; i++) {
		hash_add(&u->hash, u->slots[i % SLOTS], u->slot_used[i % SLOTS]);
		u->error = blob_write(u->blob, u->slots[i % SLOTS], u->slot_used[i % SLOTS]);
	}
	/* The disk begins meanwhile, so that less is left to wait for at the end. A hint: a failure shows when the blob is sealed.
	 */
	uint64_t size = blob_size(u->blob);
	if (!u->error && size - u->writeback >= WRITEBACK_BYTES) {
		(void)sync_file_range(blob_fd(u->blob), (off_t)u->writeback, (off_t)(size - u->writeback), SYNC_FILE_RANGE_WRITE);
		u->writeback = size;
	}
}

static void write_done(void *job)
{
	struct ecr_upload *u = job;
	u->running = false;
	u->passed = u->until;
	step(u);
}

static void seal_run(void *job)
{
	struct ecr_upload *u = job;
	struct blob *blob = u->blob;
	u->blob = NULL;
	u->error = blob_seal(blob, u->blob_id);
	if (u->error)
		u->blob_id[0] = '\0';
}

static void seal_done(void *job)
{
	struct ecr_upload *u = job;
	u->sealing = false;
	u->sealed = true;
	step(u);
}

/* --- the loop */

static bool slot_free(const struct ecr_upload *u)
{
	return u->full - u->passed < SLOTS;
}

static void slot_give(struct ecr_upload *u)
{
	u->slot_used[u->full++ % SLOTS] = u->filled;
	u->filled = 0;
}

/* Takes bytes off *piece as long as there is room. */
static void take(struct ecr_upload *u, struct str *piece)
{
	if (!u->error && !u->blob)
		u->error = blob_create(u->s->cloud->blobs, &u->blob);
	if (!u->error && u->size + piece->n > (uint64_t)ECR_LAYER_BYTES_MAX)
		u->error = -EFBIG;
	if (u->error)
		*piece = STR_NONE;
	while (piece->n && slot_free(u)) {
		unsigned slot = u->full % SLOTS;
		if (!u->slots[slot] && !(u->slots[slot] = malloc(SLOT_BYTES)))
			die("out of memory (ecr)");
		size_t room = SLOT_BYTES - u->filled, n = piece->n < room ? piece->n : room;
		memcpy(u->slots[slot] + u->filled, piece->p, n);
		u->filled += n;
		u->size += n;
		*piece = str_from_at(*piece, n);
		if (u->filled == SLOT_BYTES)
			slot_give(u);
	}
}

static void body_over(struct ecr_upload *u, int status)
{
	u->body_ended = true;
	u->body_status = status;
	if (u->filled && !u->error)
		slot_give(u);
}

static void on_piece(void *ctx, struct str piece, int status)
{
	struct ecr_upload *u = ctx;
	u->asking = false;
	u->rest = piece;
	u->rest_status = status;
	step(u);
}

static void pull(struct ecr_upload *u)
{
	while (!u->body_ended && !u->asking && u->call) {
		if (u->rest.n)
			take(u, &u->rest);
		if (u->rest.n)
			return;
		if (u->rest_status <= 0 || u->error) {
			body_over(u, u->rest_status);
			return;
		}
		u->asking = true;
		body_next(u->call->body, on_piece, u);
	}
}

/* Does whatever can be done now; called after every event. */
static void step(struct ecr_upload *u)
{
	if (u->pumping)
		return;
	u->pumping = true;
	pull(u);
	if (!u->running && u->passed < u->full) {
		if (u->error) {
			u->passed = u->full;
		} else {
			u->running = true;
			u->until = u->full;
			work_add(u->s->cloud->work, write_run, write_done, u);
		}
	}
	u->pumping = false;
	bool done = u->body_ended && idle(u) && u->passed == u->full;
	if (!done)
		return;
	if (u->call && u->waiting) {
		u->waiting = false;
		call_resume(u->call);
		return;
	}
	if (u->call)
		return;
	slots_free(u);
	if (u->ended)
		upload_free(u);
}

/* The call is over, or its client is gone: what has come counts. */
static void let_go(struct call *c)
{
	struct ecr_upload *u = c->state;
	if (!u)
		return;
	c->state = NULL;
	u->call = NULL;
	u->asking = u->waiting = false;
	u->rest = STR_NONE;
	u->touched_ms = clock_wall_ms();
	if (!u->body_ended)
		body_over(u, -ECONNRESET);
	/* Nobody waits any more for what was being completed. */
	if (u->sealing || u->sealed || u->committed || u->error)
		end(u);
	step(u);
}

int ecr_upload_receive(struct call *c, struct ecr_upload *u, struct str bytes, call_resume_fn *finish)
{
	u->call = c;
	u->memory = str_set(bytes);
	u->rest = bytes;
	u->rest_status = u->memory || !c->body ? 0 : 1;
	u->body_ended = false;
	u->waiting = true;
	c->state = u;
	call_on_free(c, let_go);
	int said = call_wait(c, finish, let_go);
	step(u);
	return said;
}

static int fail_write(struct call *c, struct ecr_upload *u)
{
	end(u);
	if (u->error == -EFBIG)
		return call_fail(c, "SIZE_INVALID", 413, "A layer may have at most %lld bytes.", (long long)ECR_LAYER_BYTES_MAX);
	if (u->error == -ENOSPC || u->error == -EDQUOT)
		return call_fail(c, "ServiceUnavailable", 503, "The disk that holds this cloud's content is full.");
	return call_broken(c, "a layer's content cannot be written: error %d", -u->error);
}

int ecr_upload_received(struct call *c, struct ecr_upload *u)
{
	if (u->error)
		return fail_write(c, u);
	if (u->body_status < 0)
		return call_fail(c, "SIZE_INVALID", 400, "The body of the request did not arrive completely.");
	return CALL_OK;
}

static void on_committed(struct call *c)
{
	struct ecr_upload *u = c->state;
	u->committed = true;
}

/* Runs until the content is there and the records are written; again after each wait and each lost race. */
static int complete(struct call *c)
{
	struct ecr_upload *u = c->state;
	struct state_ecr_content_record content;
	if (u->error)
		return fail_write(c, u);
	u->adopted = false;
	if (!ecr_find_content(call_txn(c), c->arena, u->digest, &content) && !u->sealed) {
		if (!u->blob)
			u->error = blob_create(u->s->cloud->blobs, &u->blob);
		if (u->error)
			return fail_write(c, u);
		u->sealing = true;
		u->waiting = true;
		int said = call_wait(c, complete, let_go);
		work_add(u->s->cloud->work, seal_run, seal_done, u);
		return said;
	}
	struct state_ecr_repository_record r;
	if (ecr_get_for_push(c, &u->place, &r) != CALL_OK)
		return CALL_FAIL;
	u->adopted = ecr_layer_add(call_txn(c), c->arena, &u->place, u->digest, str_from(u->blob_id), u->size, c->now_ms);
	call_after_commit(c, on_committed);
	return u->finish(c);
}

int ecr_upload_complete(struct call *c, struct ecr_upload *u, struct str digest, call_resume_fn *finish)
{
	if (c->state != u) { /* no body came with this call */
		c->state = u;
		u->call = c;
		u->body_ended = true;
		call_on_free(c, let_go);
	}
	if (!str_set(u->digest)) {
		unsigned char sum[HASH_MAX_BYTES];
		char hex[65];
		struct hash hash = u->hash;
		hash_end(&hash, sum);
		hex_encode(sum, 32, hex);
		if (!str_eq(str_from_at(digest, 7), str_from(hex))) {
			end(u);
			return call_fail(c, "DIGEST_INVALID", 400, "The digest of what arrived is sha256:%s, not %.*s.", hex,
			                 STR_ARG(digest));
		}
		u->digest = arena_dup(&u->arena, digest);
	}
	u->finish = finish;
	return complete(c);
}

/* --- those that nobody goes on with */

void ecr_uploads_sweep(struct ecr_state *s, int64_t before_ms)
{
	struct str id;
	void *value;
	size_t at = 0;
	while (map_next(&s->uploads, &at, &id, &value)) {
		struct ecr_upload *u = value;
		if (ecr_upload_busy(u) || u->touched_ms > before_ms)
			continue;
		ecr_upload_cancel(u);
		at = 0;
	}
}

void ecr_uploads_stop(struct ecr_state *s)
{
	struct str id;
	void *value;
	size_t at = 0;
	while (map_next(&s->uploads, &at, &id, &value)) {
		struct ecr_upload *u = value;
		blob_drop(u->blob);
		slots_free(u);
		arena_done(&u->arena);
		free(u);
	}
	map_done(&s->uploads);
}
