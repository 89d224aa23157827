#include "aws/s3/transfer.h"

#include "store/blob.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 * 1024, SLICE_BYTES = 8 * 1024 * 1024 };

struct transfer {
	struct call *call; /* NULL: let go of */
	struct s3_state *s3;
	struct arena arena;
	struct str source;
	struct content_pieces pieces;
	struct checksum checksum;
	struct cipher cipher; /* of what is kept */
	uint64_t kept_bytes;
	bool keep, running, done, committed;
	unsigned at;     /* piece */
	uint64_t passed; /* of it */
	int fd;
	struct blob *blob;
	struct hash md5_hash, sum_hash;
	size_t inline_used;
	int error;
	char blob_id[BLOB_ID_LEN + 1];
	unsigned char md5[HASH_MAX_BYTES], sum[HASH_MAX_BYTES];
	char inline_bytes[CONTENT_INLINE_MAX_BYTES];
	char buffer[BUFFER_BYTES];
};

static void transfer_free(struct transfer *t)
{
	if (t->fd >= 0)
		close(t->fd);
	blob_drop(t->blob);
	if (t->blob_id[0] && !t->committed)
		blob_delete(t->s3->cloud->blobs, str_from(t->blob_id));
	content_unpin(t->s3, &t->pieces);
	for (unsigned i = 0; i < t->pieces.n; i++)
		cipher_wipe(&t->pieces.v[i].cipher);
	cipher_wipe(&t->cipher);
	arena_done(&t->arena);
	free(t);
}

static void let_go(struct call *c)
{
	struct transfer *t = c->state;
	if (!t)
		return;
	c->state = NULL;
	t->call = NULL;
	if (!t->running)
		transfer_free(t);
}

static void decipher(struct transfer *t, const struct content_piece *p, struct str *bytes)
{
	if (!p->cipher.set || !bytes->n)
		return;
	cipher_apply(&p->cipher, p->offset + t->passed, bytes->p, t->buffer, bytes->n);
	bytes->p = t->buffer;
}

/* Bytes of the current piece into *ret; at most BUFFER_BYTES. */
static int read_some(struct transfer *t, const struct content_piece *p, struct str *ret)
{
	uint64_t left = p->length - t->passed;
	size_t want = left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES;
	if (!str_set(p->file)) {
		*ret = str_sub(p->bytes, p->offset + t->passed, want);
		if (ret->n == want)
			decipher(t, p, ret);
		return ret->n == want ? 0 : -EIO;
	}
	if (t->fd < 0)
		t->fd = blob_open(t->s3->cloud->blobs, p->file);
	if (t->fd < 0)
		return t->fd;
	ssize_t got;
	do
		got = pread(t->fd, t->buffer, want, (off_t)(p->offset + t->passed));
	while (got < 0 && errno == EINTR);
	*ret = str_of(t->buffer, got > 0 ? (size_t)got : 0);
	decipher(t, p, ret);
	return got > 0 ? 0 : got < 0 ? -errno : -EIO;
}

static int keep_some(struct transfer *t, struct str bytes)
{
	if (t->cipher.set) {
		cipher_apply(&t->cipher, t->kept_bytes, bytes.p, t->buffer, bytes.n);
		bytes.p = t->buffer;
	}
	t->kept_bytes += bytes.n;
	if (!t->blob && t->inline_used + bytes.n <= CONTENT_INLINE_MAX_BYTES) {
		memcpy(t->inline_bytes + t->inline_used, bytes.p, bytes.n);
		t->inline_used += bytes.n;
		return 0;
	}
	if (!t->blob) {
		int r = blob_create(t->s3->cloud->blobs, &t->blob);
		if (r >= 0 && t->inline_used)
			r = blob_write(t->blob, t->inline_bytes, t->inline_used);
		if (r < 0)
			return r;
	}
	return blob_write(t->blob, bytes.p, bytes.n);
}

/* On a thread: one slice. */
static void transfer_run(void *job)
{
	struct transfer *t = job;
	for (uint64_t slice = 0; slice < SLICE_BYTES && t->at < t->pieces.n && !t->error;) {
		const struct content_piece *p = &t->pieces.v[t->at];
		struct str bytes = STR_NONE;
		if (t->passed == p->length) {
			if (t->fd >= 0)
				close(t->fd);
			t->fd = -1;
			t->at++;
			t->passed = 0;
			continue;
		}
		t->error = read_some(t, p, &bytes);
		if (t->error)
			return;
		hash_add(&t->md5_hash, bytes.p, bytes.n);
		if (t->checksum.set)
			hash_add(&t->sum_hash, bytes.p, bytes.n);
		if (t->keep)
			t->error = keep_some(t, bytes);
		t->passed += bytes.n;
		slice += bytes.n;
	}
	if (t->at < t->pieces.n || t->error)
		return;
	hash_end(&t->md5_hash, t->md5);
	if (t->checksum.set)
		hash_end(&t->sum_hash, t->sum);
	if (t->blob) {
		struct blob *blob = t->blob;
		t->blob = NULL;
		t->error = blob_seal(blob, t->blob_id);
		if (t->error)
			t->blob_id[0] = '\0';
	}
	t->done = true;
}

static void transfer_ran(void *job)
{
	struct transfer *t = job;
	t->running = false;
	if (!t->call) {
		transfer_free(t);
		return;
	}
	if (!t->done && !t->error) {
		t->running = true;
		work_add(t->s3->cloud->work, transfer_run, transfer_ran, t);
		return;
	}
	t->done = true;
	call_resume(t->call);
}

int transfer_start(struct call *c, struct str source, const struct content_pieces *pieces, const struct checksum *k, bool keep,
                   const struct cipher *e, call_resume_fn *finish)
{
	bool again = c->state != NULL;
	let_go(c);
	struct transfer *t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->call = c;
	t->s3 = s3_state(c);
	t->checksum = *k;
	t->keep = keep;
	t->cipher = *e;
	t->fd = -1;
	t->source = arena_dup(&t->arena, source);
	t->pieces.n = pieces->n;
	t->pieces.v = arena_array(&t->arena, pieces->n ? pieces->n : 1, sizeof(*pieces->v));
	for (unsigned i = 0; i < pieces->n; i++) {
		t->pieces.v[i] = pieces->v[i];
		t->pieces.v[i].bytes = arena_dup(&t->arena, pieces->v[i].bytes);
		t->pieces.v[i].file = arena_dup(&t->arena, pieces->v[i].file);
	}
	content_pin(t->s3, &t->pieces);
	hash_init(&t->md5_hash, HASH_MD5);
	if (k->set)
		hash_init(&t->sum_hash, k->kind);
	c->state = t;
	if (!again)
		call_on_free(c, let_go);
	t->running = true;
	work_add(t->s3->cloud->work, transfer_run, transfer_ran, t);
	return call_wait(c, finish, let_go);
}

bool transfer_pending(const struct call *c, struct str source)
{
	const struct transfer *t = c->state;
	return t && t->done && str_eq(t->source, source);
}

int transfer_check(struct call *c)
{
	const struct transfer *t = c->state;
	return t->error ? call_broken(c, "a content cannot be copied: error %d", -t->error) : CALL_OK;
}

const unsigned char *transfer_md5(const struct call *c)
{
	const struct transfer *t = c->state;
	return t->md5;
}

struct str transfer_checksum(struct call *c)
{
	const struct transfer *t = c->state;
	return t->checksum.set ? checksum_text(c->arena, t->checksum.kind, t->sum) : STR_NONE;
}

const struct cipher *transfer_cipher(const struct call *c)
{
	const struct transfer *t = c->state;
	return &t->cipher;
}

static void on_committed(struct call *c)
{
	struct transfer *t = c->state;
	t->committed = true;
}

void transfer_store(struct call *c, enum content_kind *ret_kind, struct str *ret_id)
{
	struct transfer *t = c->state;
	if (!t->blob_id[0]) {
		*ret_kind = CONTENT_INLINE;
		*ret_id = content_add_inline(call_txn(c), c->arena, str_of(t->inline_bytes, t->inline_used));
		return;
	}
	*ret_kind = CONTENT_FILE;
	*ret_id = arena_dup(c->arena, str_from(t->blob_id));
	content_add_file(call_txn(c), c->arena, *ret_id);
	call_after_commit(c, on_committed);
}
