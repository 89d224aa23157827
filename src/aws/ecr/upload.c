/* A request's pieces are copied into a ring of buffers; a thread takes all that are full, hashes them and appends them to the file.
 * A buffer is free again when it has passed. At most one job of an upload is under way, so bytes are hashed in order. When the
 * client leaves in the middle, what has come so far is written and counts: the registry's clients ask how far they got and go on.
 *
 * Completion compares digests, then makes the file durable on a thread, unless the cloud has that content already, and only then
 * writes records. The file becomes the registry's with the commit; if that never comes, it goes with the upload. */
#include "aws/ecr/upload_state.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { WRITEBACK_BYTES = 8 * 1024 * 1024 };

/* --- life */

static bool idle(const struct ecr_upload *u)
{
	return !u->running && !u->flushing && !u->sealing && !u->pumping;
}

static void slots_free(struct ecr_upload *u)
{
	for (int i = 0; i < UPLOAD_SLOTS; i++) {
		free(u->slots[i]);
		u->slots[i] = NULL;
	}
}

int upload_open(struct ecr_upload *u)
{
	if (u->blob)
		return 0;
	if (!u->begun_id[0])
		return blob_create(u->s->cloud->blobs, &u->blob);
	int r = blob_resume(u->s->cloud->blobs, str_from(u->begun_id), u->size, &u->blob);
	if (r == 0)
		u->begun_id[0] = '\0';
	return r;
}

static void upload_free(struct ecr_upload *u)
{
	if (u->begun_id[0])
		(void)upload_open(u);
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
	upload_forget(u);
}

struct ecr_upload *upload_new(struct ecr_state *s, const struct ecr_place *p, struct str id, int64_t now_ms)
{
	struct ecr_upload *u = calloc(1, sizeof(*u));
	if (!u)
		die("out of memory (ecr)");
	u->s = s;
	u->place = (struct ecr_place){arena_dup(&u->arena, p->account), arena_dup(&u->arena, p->region),
	                              arena_dup(&u->arena, p->name)};
	memcpy(u->id, id.p, id.n < sizeof(u->id) ? id.n : sizeof(u->id) - 1);
	u->touched_ms = now_ms;
	hash_init(&u->hash, HASH_SHA256);
	map_put(&s->uploads, str_from(u->id), u);
	return u;
}

struct ecr_upload *ecr_upload_begin(struct call *c, const struct ecr_place *p)
{
	struct ecr_state *s = ecr_state(c);
	char id[37];
	if (c->state) /* this handler has run before, and lost a race */
		return c->state;
	if (s->uploads.count >= UPLOADS_MAX) {
		call_fail(c, "LimitExceededException", 0, "There are %d uploads under way, which is the limit.", UPLOADS_MAX);
		return NULL;
	}
	id_uuid_to(id);
	struct ecr_upload *u = upload_new(s, p, str_from(id), c->now_ms);
	upload_hold(c, u);
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
		hash_add(&u->hash, u->slots[i % UPLOAD_SLOTS], u->slot_used[i % UPLOAD_SLOTS]);
		u->error = blob_write(u->blob, u->slots[i % UPLOAD_SLOTS], u->slot_used[i % UPLOAD_SLOTS]);
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
	upload_step(u);
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
	upload_step(u);
}

/* --- the loop */

static bool slot_free(const struct ecr_upload *u)
{
	return u->full - u->passed < UPLOAD_SLOTS;
}

static void slot_give(struct ecr_upload *u)
{
	u->slot_used[u->full++ % UPLOAD_SLOTS] = u->filled;
	u->filled = 0;
}

/* Takes bytes off *piece as long as there is room. */
static void take(struct ecr_upload *u, struct str *piece)
{
	if (!u->error)
		u->error = upload_open(u);
	if (!u->error && u->size + piece->n > (uint64_t)ECR_LAYER_BYTES_MAX)
		u->error = -EFBIG;
	if (u->error)
		*piece = STR_NONE;
	while (piece->n && slot_free(u)) {
		unsigned slot = u->full % UPLOAD_SLOTS;
		if (!u->slots[slot] && !(u->slots[slot] = malloc(UPLOAD_SLOT_BYTES)))
			die("out of memory (ecr)");
		size_t room = UPLOAD_SLOT_BYTES - u->filled, n = piece->n < room ? piece->n : room;
		memcpy(u->slots[slot] + u->filled, piece->p, n);
		u->filled += n;
		u->size += n;
		*piece = str_from_at(*piece, n);
		if (u->filled == UPLOAD_SLOT_BYTES)
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
	upload_step(u);
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

void upload_step(struct ecr_upload *u)
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
void upload_let_go(struct call *c)
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
	/* Nobody waits any more for what was being completed, and nobody knows of what was never answered. */
	if (u->sealing || u->sealed || u->committed || u->cancelled || u->error || !u->kept)
		end(u);
	upload_step(u);
}

void upload_hold(struct call *c, struct ecr_upload *u)
{
	if (c->state == u)
		return;
	c->state = u;
	u->call = c;
	u->body_ended = true;
	call_on_free(c, upload_let_go);
}

int ecr_upload_receive(struct call *c, struct ecr_upload *u, struct str bytes, call_resume_fn *finish)
{
	upload_hold(c, u);
	u->memory = str_set(bytes);
	u->rest = bytes;
	u->rest_status = u->memory || !c->body ? 0 : 1;
	u->body_ended = false;
	u->waiting = true;
	int said = call_wait(c, finish, upload_let_go);
	upload_step(u);
	return said;
}

int upload_fail_write(struct call *c, struct ecr_upload *u)
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
		return upload_fail_write(c, u);
	if (u->body_status < 0)
		return call_fail(c, "SIZE_INVALID", 400, "The body of the request did not arrive completely.");
	return CALL_OK;
}

static void on_committed(struct call *c)
{
	struct ecr_upload *u = c->state;
	u->committed = true;
	u->kept = false;
}

/* Runs until the content is there and the records are written; again after each wait and each lost race. */
static int complete(struct call *c)
{
	struct ecr_upload *u = c->state;
	struct state_ecr_content_record content;
	if (u->error)
		return upload_fail_write(c, u);
	u->adopted = false;
	if (!ecr_find_content(call_txn(c), c->arena, u->digest, &content) && !u->sealed) {
		u->error = upload_open(u);
		if (u->error)
			return upload_fail_write(c, u);
		u->sealing = true;
		u->waiting = true;
		int said = call_wait(c, complete, upload_let_go);
		work_add(u->s->cloud->work, seal_run, seal_done, u);
		return said;
	}
	struct state_ecr_repository_record r;
	if (ecr_get_for_push(c, &u->place, &r) != CALL_OK)
		return CALL_FAIL;
	u->adopted = ecr_layer_add(call_txn(c), c->arena, &u->place, u->digest, str_from(u->blob_id), u->size, c->now_ms);
	upload_unrecord(call_txn(c), c->arena, u);
	call_after_commit(c, on_committed);
	return u->finish(c);
}

int ecr_upload_complete(struct call *c, struct ecr_upload *u, struct str digest, call_resume_fn *finish)
{
	upload_hold(c, u);
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
		end(u);
		upload_free(u);
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
		if (u->kept)
			blob_leave(u->blob);
		else
			blob_drop(u->blob);
		slots_free(u);
		arena_done(&u->arena);
		free(u);
	}
	map_done(&s->uploads);
}
