/* Bytes are copied into a ring of buffers. Two chains of jobs follow the loop around it: one computes the MD5, the other the
 * checksum and writes the file; a buffer is free again when both have passed it. Each chain has at most one job under way, which
 * takes all buffers that are full, so that digests see bytes in order and two threads work on one upload. When the body has ended
 * and both chains have caught up, a last job makes the file durable; then the call goes on. What stays within the first 8 KiB is
 * hashed on the spot and never sees a thread.
 *
 * The upload is on its own heap, because the client may leave while a job runs: it is then let go of by the call and freed by the
 * job's end. */
#include "aws/s3/upload.h"

#include "base/base64.h"
#include "base/log.h"
#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { SLOTS = 4, SLOT_BYTES = 256 * 1024, PUSH_MAX_BYTES = 64 * 1024, WRITEBACK_BYTES = 8 * 1024 * 1024 };

struct upload_chain {
	struct upload *upload;
	uint64_t passed; /* slots done with */
	uint64_t until;  /* the running job goes this far */
	bool running;
};

struct upload {
	struct call *call; /* NULL: let go of */
	struct cloud *cloud;
	call_resume_fn *finish;
	struct checksum checksum;
	struct cipher cipher;
	char *enciphered; /* a slot's bytes, where there is a cipher; the writing thread's */
	uint64_t limit_bytes, size_bytes;
	int status;   /* 1: under way; 0: arrived whole; negative errno */
	bool waiting; /* the call waits for call_resume() */
	bool ended, done, sealing, committed;
	int write_error; /* negative errno; set by threads */
	/* pulled bodies */
	struct str rest; /* of the piece at hand, for when a slot is free */
	int rest_status;
	bool asking, pumping;
	/* pushed ones */
	void *ctx;
	void (*more)(void *ctx);
	bool push_blocked;
	/* the ring */
	char *slots[SLOTS];
	size_t slot_used[SLOTS]; /* of those given to the chains */
	uint64_t full;           /* slots given to the chains so far; slot full % SLOTS is being filled ... */
	size_t filled;           /* ... this far */
	struct upload_chain md5_chain, write_chain;
	struct hash md5_hash, sum_hash;
	struct blob *blob;
	uint64_t writeback; /* the disk has been told to begin with what is before this; the writing thread's */
	/* the end */
	char blob_id[BLOB_ID_LEN + 1];
	unsigned char md5[HASH_MAX_BYTES], sum[HASH_MAX_BYTES];
	size_t inline_used, inline_room;
	char inline_bytes[]; /* a small content */
};

static void upload_step(struct upload *u);

static bool upload_idle(const struct upload *u)
{
	return !u->md5_chain.running && !u->write_chain.running && !u->sealing;
}

struct drop_job {
	struct blobs *blobs;
	char id[BLOB_ID_LEN + 1];
};

static void drop_run(void *job)
{
	struct drop_job *d = job;
	blob_delete(d->blobs, str_from(d->id));
}

/* Frees everything; a file that was made and not committed goes with it. */
static void upload_free(struct upload *u)
{
	blob_drop(u->blob);
	if (u->blob_id[0] && !u->committed) {
		struct drop_job *d = malloc(sizeof(*d));
		if (!d)
			abort();
		d->blobs = u->cloud->blobs;
		memcpy(d->id, u->blob_id, sizeof(d->id));
		work_add(u->cloud->work, drop_run, free, d);
	}
	for (int i = 0; i < SLOTS; i++)
		free(u->slots[i]);
	free(u->enciphered);
	cipher_wipe(&u->cipher);
	free(u);
}

static void let_go(struct call *c)
{
	struct upload *u = c->state;
	if (!u)
		return;
	c->state = NULL;
	u->call = NULL;
	if (!u->pumping && upload_idle(u))
		upload_free(u);
}

static void on_committed(struct call *c)
{
	struct upload *u = c->state;
	u->committed = true;
}

/* --- threads */

static void md5_run(void *job)
{
	struct upload_chain *chain = job;
	struct upload *u = chain->upload;
	for (uint64_t i = chain->passed; i < chain->until; i++)
		hash_add(&u->md5_hash, u->slots[i % SLOTS], u->slot_used[i % SLOTS]);
}

static int write_slot(struct upload *u, const char *bytes, size_t n)
{
	if (!u->cipher.set)
		return blob_write(u->blob, bytes, n);
	cipher_apply(&u->cipher, blob_size(u->blob), bytes, u->enciphered, n);
	return blob_write(u->blob, u->enciphered, n);
}

static void write_run(void *job)
{
	struct upload_chain *chain = job;
	struct upload *u = chain->upload;
	for (uint64_t i = chain->passed; i < chain->until && !u->write_error; i++) {
		u->write_error = write_slot(u, u->slots[i % SLOTS], u->slot_used[i % SLOTS]);
		if (u->checksum.set)
			hash_add(&u->sum_hash, u->slots[i % SLOTS], u->slot_used[i % SLOTS]);
	}
	/* The disk begins meanwhile, so that less is left to wait for at the end. A hint: a failure shows when the blob is sealed.
	 */
	uint64_t size = blob_size(u->blob);
	if (!u->write_error && size - u->writeback >= WRITEBACK_BYTES) {
		(void)sync_file_range(blob_fd(u->blob), (off_t)u->writeback, (off_t)(size - u->writeback), SYNC_FILE_RANGE_WRITE);
		u->writeback = size;
	}
}

static void seal_run(void *job)
{
	struct upload *u = job;
	struct blob *blob = u->blob;
	u->blob = NULL;
	u->write_error = blob_seal(blob, u->blob_id);
	if (u->write_error)
		u->blob_id[0] = '\0';
}

static void chain_done(void *job)
{
	struct upload_chain *chain = job;
	chain->running = false;
	chain->passed = chain->until;
	upload_step(chain->upload);
}

static void seal_done(void *job)
{
	struct upload *u = job;
	u->sealing = false;
	u->done = true;
	upload_step(u);
}

static void chain_run(struct upload *u, struct upload_chain *chain, void (*run)(void *job))
{
	if (chain->running || chain->passed == u->full)
		return;
	chain->running = true;
	chain->until = u->full;
	work_add(u->cloud->work, run, chain_done, chain);
}

/* --- the loop */

static void hash_start(struct upload *u)
{
	hash_init(&u->md5_hash, HASH_MD5);
	if (u->checksum.set)
		hash_init(&u->sum_hash, u->checksum.kind);
}

static void hash_finish(struct upload *u)
{
	hash_end(&u->md5_hash, u->md5);
	if (u->checksum.set)
		hash_end(&u->sum_hash, u->sum);
}

/* Slots that a chain still needs. */
static uint64_t slots_busy(const struct upload *u)
{
	return u->full - (u->md5_chain.passed < u->write_chain.passed ? u->md5_chain.passed : u->write_chain.passed);
}

static bool slot_free(const struct upload *u)
{
	return slots_busy(u) < SLOTS;
}

static void slot_give(struct upload *u)
{
	u->slot_used[u->full++ % SLOTS] = u->filled;
	u->filled = 0;
}

/* The bytes so far turn out to be no small content: they move into the ring. */
static int become_file(struct upload *u)
{
	int r = blob_create(u->cloud->blobs, &u->blob);
	if (r < 0)
		return r;
	hash_start(u);
	u->slots[0] = malloc(SLOT_BYTES);
	u->enciphered = u->cipher.set ? malloc(SLOT_BYTES) : NULL;
	if (!u->slots[0] || (u->cipher.set && !u->enciphered))
		abort();
	if (u->inline_used)
		memcpy(u->slots[0], u->inline_bytes, u->inline_used);
	u->filled = u->inline_used;
	return 0;
}

/* Takes bytes off *piece as long as there is room. */
static void take(struct upload *u, struct str *piece)
{
	if (u->status < 0) {
		*piece = STR_NONE;
		return;
	}
	if (u->size_bytes + piece->n > u->limit_bytes) {
		u->status = -EFBIG;
		*piece = STR_NONE;
		return;
	}
	if (!u->blob) {
		if (u->inline_used + piece->n <= u->inline_room) {
			if (piece->n)
				memcpy(u->inline_bytes + u->inline_used, piece->p, piece->n);
			u->inline_used += piece->n;
			u->size_bytes += piece->n;
			*piece = STR_NONE;
			return;
		}
		int r = become_file(u);
		if (r < 0) {
			u->status = r;
			*piece = STR_NONE;
			return;
		}
	}
	while (piece->n && slot_free(u)) {
		unsigned slot = u->full % SLOTS;
		if (!u->slots[slot]) {
			u->slots[slot] = malloc(SLOT_BYTES);
			if (!u->slots[slot])
				abort();
		}
		size_t room = SLOT_BYTES - u->filled, n = piece->n < room ? piece->n : room;
		memcpy(u->slots[slot] + u->filled, piece->p, n);
		u->filled += n;
		u->size_bytes += n;
		*piece = str_from_at(*piece, n);
		if (u->filled == SLOT_BYTES)
			slot_give(u);
	}
}

static void body_ended(struct upload *u, int status)
{
	u->ended = true;
	if (u->status > 0)
		u->status = status;
	if (u->status == 0 && u->blob && u->filled)
		slot_give(u);
}

static void on_piece(void *ctx, struct str piece, int status)
{
	struct upload *u = ctx;
	u->asking = false;
	u->rest = piece;
	u->rest_status = status;
	upload_step(u);
}

/* Brings a pulled body on as far as there is room. */
static void pull(struct upload *u)
{
	while (!u->ended && !u->asking && u->call) {
		if (u->rest.n)
			take(u, &u->rest);
		if (u->rest.n)
			return;
		if (u->rest_status <= 0 || u->status < 0) {
			body_ended(u, u->rest_status);
			return;
		}
		u->asking = true;
		body_next(u->call->body, on_piece, u);
	}
}

/* Does whatever can be done now; called after every event. */
static void upload_step(struct upload *u)
{
	if (u->pumping)
		return;
	u->pumping = true;
	if (u->write_error && u->status >= 0)
		u->status = u->write_error;
	if (!u->more)
		pull(u);
	if (!u->call) {
		u->pumping = false;
		if (upload_idle(u))
			upload_free(u);
		return;
	}
	if (u->blob && u->status >= 0) {
		chain_run(u, &u->md5_chain, md5_run);
		chain_run(u, &u->write_chain, write_run);
	}
	bool more = u->more && u->push_blocked && !u->ended && slots_busy(u) + 1 < SLOTS;
	if (u->ended && !u->done && upload_idle(u)) {
		if (u->status < 0) {
			u->done = true;
		} else if (!u->blob) {
			hash_start(u);
			hash_add(&u->md5_hash, u->inline_bytes, u->inline_used);
			if (u->checksum.set)
				hash_add(&u->sum_hash, u->inline_bytes, u->inline_used);
			hash_finish(u);
			u->done = true;
		} else if (u->md5_chain.passed == u->full && u->write_chain.passed == u->full) {
			hash_finish(u);
			u->sealing = true;
			work_add(u->cloud->work, seal_run, seal_done, u);
		}
	}
	u->pumping = false;
	if (more) {
		u->push_blocked = false;
		u->more(u->ctx);
	} else if (u->done && u->waiting) {
		u->waiting = false;
		call_resume(u->call);
	}
}

/* A body of this length (UINT64_MAX: unknown) is kept in memory when it is small, and else not at all. */
static struct upload *upload_new(struct call *c, const struct checksum *k, const struct cipher *e, uint64_t length,
                                 uint64_t limit_bytes, call_resume_fn *finish)
{
	size_t room = length <= CONTENT_INLINE_MAX_BYTES ? (size_t)length : length == UINT64_MAX ? CONTENT_INLINE_MAX_BYTES : 0;
	struct upload *u = malloc(sizeof(*u) + room);
	if (!u)
		abort();
	*u = (struct upload){.inline_room = room};
	u->call = c;
	u->cloud = c->cloud;
	u->finish = finish;
	u->checksum = *k;
	u->cipher = *e;
	u->limit_bytes = limit_bytes;
	u->status = u->rest_status = 1;
	u->md5_chain.upload = u->write_chain.upload = u;
	c->state = u;
	call_on_free(c, let_go);
	return u;
}

int upload_length(struct call *c, uint64_t *ret)
{
	int64_t length = c->body ? body_length(c->body) : 0;
	if (length >= 0) {
		*ret = (uint64_t)length;
		return CALL_OK;
	}
	if (!str_set(call_header(c, S("transfer-encoding"))) || str_set(call_header(c, S("x-amz-decoded-content-length"))))
		return s3_fail(c, S3_MISSING_LENGTH);
	s3_fail(c, S3_NOT_IMPLEMENTED_HEADER);
	return call_field(c, "Header", S("Transfer-Encoding"));
}

int upload_receive(struct call *c, const struct checksum *k, const struct cipher *e, uint64_t limit_bytes, call_resume_fn *finish)
{
	int64_t length = c->body ? body_length(c->body) : 0;
	struct upload *u = upload_new(c, k, e, length < 0 ? UINT64_MAX : (uint64_t)length, limit_bytes, finish);
	if (!c->body)
		u->rest_status = 0;
	/* Also when everything has come at once the call waits, for no time: finish is then a step of its own, which can run again
	 * after a lost race without the body. */
	u->waiting = true;
	int said = call_wait(c, finish, let_go);
	upload_step(u);
	return said;
}

int upload_begin(struct call *c, const struct checksum *k, const struct cipher *e, uint64_t limit_bytes, call_resume_fn *finish,
                 void *ctx, void (*more)(void *ctx))
{
	struct upload *u = upload_new(c, k, e, UINT64_MAX, limit_bytes, finish);
	u->ctx = ctx;
	u->more = more;
	u->waiting = true;
	return call_wait(c, finish, let_go);
}

bool upload_push(struct call *c, struct str piece)
{
	struct upload *u = c->state;
	take(u, &piece);
	if (u->status < 0)
		return true; /* the rest is swallowed; the end says why */
	/* The next piece has to fit whole: into what is left of this slot, or into it and the next. */
	bool room = !u->blob || slots_busy(u) + 1 < SLOTS || (slot_free(u) && SLOT_BYTES - u->filled >= PUSH_MAX_BYTES);
	u->push_blocked = !room;
	upload_step(u);
	return room;
}

void upload_end(struct call *c, int status)
{
	struct upload *u = c->state;
	body_ended(u, status);
	upload_step(u);
}

int upload_status(const struct call *c)
{
	const struct upload *u = c->state;
	return u->status;
}

void *upload_ctx(const struct call *c)
{
	const struct upload *u = c->state;
	return u ? u->ctx : NULL;
}

bool upload_pending(const struct call *c)
{
	const struct upload *u = c->state;
	return u && u->done;
}

uint64_t upload_size(const struct call *c)
{
	const struct upload *u = c->state;
	return u->size_bytes;
}

const unsigned char *upload_md5(const struct call *c)
{
	const struct upload *u = c->state;
	return u->md5;
}

const struct cipher *upload_cipher(const struct call *c)
{
	const struct upload *u = c->state;
	return &u->cipher;
}

void upload_checksum(struct call *c, struct str *ret_algorithm, struct str *ret_value)
{
	const struct upload *u = c->state;
	*ret_algorithm = u->checksum.set ? str_from(checksum_name(u->checksum.kind)) : STR_NONE;
	*ret_value = u->checksum.set ? checksum_text(c->arena, u->checksum.kind, u->sum) : STR_NONE;
}

static int upload_failed(struct call *c, const struct upload *u)
{
	if (u->status == -EFBIG)
		return s3_fail(c, S3_ENTITY_TOO_LARGE);
	if (u->write_error || u->status == -ENOSPC || u->status == -EMFILE || u->status == -EIO || !c->body)
		return call_broken(c, "an object's content cannot be written: error %d",
		                   u->write_error ? -u->write_error : -u->status);
	struct str code = STR_NONE, message = STR_NONE;
	body_error(c->body, u->status, &code, &message);
	if (!str_set(code))
		return s3_fail(c, S3_INCOMPLETE_BODY);
	unsigned status_code = str_is(code, "SignatureDoesNotMatch") ? 403 : 400;
	return call_fail(c, arena_dupz(c->arena, code), status_code, "%.*s", STR_ARG(message));
}

int upload_check(struct call *c, struct str content_md5)
{
	const struct upload *u = c->state;
	if (u->status < 0 || u->write_error)
		return upload_failed(c, u);
	if (str_set(content_md5)) {
		struct str want = base64_decode(c->arena, content_md5);
		if (!str_set(want) || want.n != 16)
			return s3_fail(c, S3_INVALID_DIGEST);
		if (memcmp(want.p, u->md5, 16) != 0)
			return s3_fail(c, S3_BAD_DIGEST);
	}
	const struct checksum *k = &u->checksum;
	struct str expected = k->expected;
	if (k->set && k->in_trailer) {
		expected = body_trailer(c->body, str_from(checksum_header(k->kind)));
		if (!str_set(expected))
			return call_fail(
			        c, "MalformedTrailerError", 400,
			        "The request contained trailing data that was not well-formed or did not conform to our published schema.");
	}
	if (k->set && str_set(expected)) {
		unsigned char want[HASH_MAX_BYTES];
		if (!checksum_bytes(c->arena, k->kind, str_trim(expected), want))
			return call_fail(c, "InvalidRequest", 400, "Value for %s header is invalid.", checksum_header(k->kind));
		if (memcmp(want, u->sum, hash_size(k->kind)) != 0)
			return call_fail(c, "BadDigest", 400, "The %s you specified did not match the calculated checksum.",
			                 checksum_name(k->kind));
	}
	return CALL_OK;
}

void upload_store(struct call *c, enum content_kind *ret_kind, struct str *ret_id)
{
	struct upload *u = c->state;
	if (!u->blob_id[0]) {
		struct str bytes = str_of(u->inline_bytes, u->inline_used);
		if (u->cipher.set) {
			char *to = arena_alloc(c->arena, bytes.n ? bytes.n : 1);
			cipher_apply(&u->cipher, 0, bytes.p, to, bytes.n);
			bytes.p = to;
		}
		*ret_kind = CONTENT_INLINE;
		*ret_id = content_add_inline(call_txn(c), c->arena, bytes);
		return;
	}
	*ret_kind = CONTENT_FILE;
	*ret_id = arena_dup(c->arena, str_from(u->blob_id));
	content_add_file(call_txn(c), c->arena, *ret_id);
	call_after_commit(c, on_committed);
}
