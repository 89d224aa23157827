#include "aws/s3/content.h"

#include "aws/s3/stream.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "store/blob.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const struct record_type file_type = {&state_s3_api, "File"}, chain_type = {&state_s3_api, "Chain"};

static struct str bytes_key(struct arena *a, struct str id)
{
	return KEY(a, S("s3"), S("bytes"), id);
}

static struct str file_key(struct arena *a, struct str id)
{
	return KEY(a, S("s3"), S("file"), id);
}

static struct str chain_key(struct arena *a, struct str id)
{
	return KEY(a, S("s3"), S("chain"), id);
}

/* Begins with the time: contents of one moment lie side by side, so that a commit of many writes few pages of the store instead of
 * one for each. */
static struct str inline_id(struct arena *a)
{
	enum { TIME_BYTES = 6 };
	uint64_t ms = __builtin_bswap64((uint64_t)clock_machine_ms());
	char time[2 * TIME_BYTES + 1];
	hex_encode((const char *)&ms + sizeof(ms) - TIME_BYTES, TIME_BYTES, time);
	return ARENA_CAT(a, str_of(time, 2 * TIME_BYTES), id_hex(a, BLOB_ID_LEN - 2 * TIME_BYTES));
}

struct str content_add_inline(struct store_txn *t, struct arena *a, struct str bytes)
{
	struct str id = inline_id(a);
	store_put(t, bytes_key(a, id), bytes);
	return id;
}

void content_add_file(struct store_txn *t, struct arena *a, struct str id)
{
	record_put(t, a, file_key(a, id), &file_type, &(struct state_s3_file){.refs = OPT_INT(1)});
}

struct str content_add_chain(struct store_txn *t, struct arena *a, const struct state_s3_segments *segments)
{
	struct str id = id_hex(a, BLOB_ID_LEN);
	struct state_s3_chain chain = {.refs = OPT_INT(1), .segments = *segments};
	record_put(t, a, chain_key(a, id), &chain_type, &chain);
	return id;
}

struct str content_share(struct store_txn *t, struct arena *a, enum content_kind kind, struct str id)
{
	struct store_value value;
	struct state_s3_file file = {0};
	struct state_s3_chain chain = {0};
	switch (kind) {
	case CONTENT_NONE:
		break;
	case CONTENT_INLINE:
		if (store_get(t, bytes_key(a, id), &value))
			return content_add_inline(t, a, value.value);
		break;
	case CONTENT_FILE:
		if (!record_get(t, a, file_key(a, id), &file_type, &file))
			break;
		file.refs.v++;
		record_put(t, a, file_key(a, id), &file_type, &file);
		return id;
	case CONTENT_CHAIN:
		if (!record_get(t, a, chain_key(a, id), &chain_type, &chain))
			break;
		chain.refs.v++;
		record_put(t, a, chain_key(a, id), &chain_type, &chain);
		return id;
	}
	return id;
}

void content_drop(struct store_txn *t, struct arena *a, enum content_kind kind, struct str id)
{
	struct state_s3_file file = {0};
	struct state_s3_chain chain = {0};
	switch (kind) {
	case CONTENT_NONE:
		return;
	case CONTENT_INLINE:
		store_delete(t, bytes_key(a, id));
		return;
	case CONTENT_FILE:
		if (!record_get(t, a, file_key(a, id), &file_type, &file))
			return;
		if (--file.refs.v > 0)
			record_put(t, a, file_key(a, id), &file_type, &file);
		else
			store_delete(t, file_key(a, id));
		return;
	case CONTENT_CHAIN:
		if (!record_get(t, a, chain_key(a, id), &chain_type, &chain))
			return;
		if (--chain.refs.v > 0) {
			record_put(t, a, chain_key(a, id), &chain_type, &chain);
			return;
		}
		for (unsigned i = 0; i < chain.segments.n; i++)
			content_drop(t, a, (enum content_kind)chain.segments.v[i].kind.v, chain.segments.v[i].content);
		store_delete(t, chain_key(a, id));
		return;
	}
}

void content_segments(struct store_txn *t, struct arena *a, struct str id, struct state_s3_segments *ret)
{
	struct state_s3_chain chain = {0};
	if (record_get(t, a, chain_key(a, id), &chain_type, &chain))
		*ret = chain.segments;
	else
		*ret = (struct state_s3_segments){0};
}

static void add_piece(struct store_txn *t, struct arena *a, enum content_kind kind, struct str id, const struct cipher *k,
                      uint64_t offset, uint64_t length, struct content_piece *ret)
{
	struct store_value value;
	*ret = (struct content_piece){.offset = offset, .length = length, .cipher = *k};
	if (kind == CONTENT_FILE)
		ret->file = id;
	else if (kind == CONTENT_INLINE && store_get(t, bytes_key(a, id), &value))
		ret->bytes = arena_dup(a, value.value);
}

void content_pieces(struct store_txn *t, struct arena *a, enum content_kind kind, struct str id, const struct cipher *k,
                    uint64_t offset, uint64_t length, struct content_pieces *ret)
{
	struct state_s3_segments segments;
	*ret = (struct content_pieces){0};
	if (kind == CONTENT_NONE || length == 0)
		return;
	if (kind != CONTENT_CHAIN) {
		ret->v = arena_new(a, struct content_piece);
		ret->n = 1;
		add_piece(t, a, kind, id, k, offset, length, ret->v);
		return;
	}
	content_segments(t, a, id, &segments);
	ret->v = arena_array(a, segments.n, sizeof(*ret->v));
	uint64_t at = 0;
	for (unsigned i = 0; i < segments.n && at < offset + length; i++) {
		const struct state_s3_segment *s = &segments.v[i];
		uint64_t end = at + (uint64_t)s->size.v;
		if (end > offset && s->size.v > 0) {
			uint64_t from = offset > at ? offset : at;
			uint64_t to = end < offset + length ? end : offset + length;
			struct content_piece *piece = &ret->v[ret->n++];
			add_piece(t, a, (enum content_kind)s->kind.v, s->content, k, from - at, to - from, piece);
			cipher_set_nonce(&piece->cipher, s->nonce);
		}
		at = end;
	}
}

/* --- deleting files */

struct content_pin {
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
		log_warn("s3: content file %s could not be deleted: error %d", d->id, -d->result);
	free(d);
}

static void delete_file(struct s3_state *s, struct str id)
{
	struct deletion *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->blobs = s->cloud->blobs;
	memcpy(d->id, id.p, id.n < BLOB_ID_LEN ? id.n : BLOB_ID_LEN);
	work_add(s->cloud->work, deletion_run, deletion_done, d);
}

static void file_changed(void *ctx, const struct store_event *e)
{
	struct s3_state *s = ctx;
	if (str_set(e->value) || e->key.n < BLOB_ID_LEN)
		return;
	struct str id = str_from_at(e->key, e->key.n - BLOB_ID_LEN);
	struct content_pin *pin = map_get(&s->pins, id);
	if (pin)
		pin->doomed = true;
	else
		delete_file(s, id);
}

void content_pin(struct s3_state *s, const struct content_pieces *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (!str_set(p->v[i].file))
			continue;
		struct content_pin *pin = map_get(&s->pins, p->v[i].file);
		if (!pin) {
			pin = calloc(1, sizeof(*pin));
			if (!pin)
				abort();
			map_put(&s->pins, p->v[i].file, pin);
		}
		pin->count++;
	}
}

void content_unpin(struct s3_state *s, const struct content_pieces *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		struct content_pin *pin = str_set(p->v[i].file) ? map_get(&s->pins, p->v[i].file) : NULL;
		if (!pin || --pin->count > 0)
			continue;
		if (pin->doomed)
			delete_file(s, p->v[i].file);
		map_remove(&s->pins, p->v[i].file);
		free(pin);
	}
}

void content_start(struct s3_state *s)
{
	struct arena CLEAN_ARENA a = {0};
	struct str under = KEY_UNDER(&a, S("s3"), S("file"));
	s->file_watch =
	        store_watch(s->cloud->store, under, store_prefix_end(&a, under), store_revision(s->cloud->store), file_changed, s);
}

void content_stop(struct s3_state *s)
{
	struct str id;
	void *pin;
	size_t at = 0;
	store_unwatch(s->file_watch);
	while (map_next(&s->pins, &at, &id, &pin))
		free(pin);
	map_done(&s->pins);
}

bool content_wanted(struct store_txn *t, struct arena *a, struct str id)
{
	struct store_value value;
	return store_get(t, file_key(a, id), &value);
}

int content_reply(struct call *c, enum content_kind kind, struct str id, const struct cipher *k, uint64_t offset, uint64_t length)
{
	struct content_pieces pieces;
	content_pieces(call_txn(c), c->arena, kind, id, k, offset, length, &pieces);
	if (pieces.n == 0) {
		c->reply = (struct reply_body){.kind = REPLY_MEMORY, .fd = -1, .memory = S("")};
		return CALL_OK;
	}
	const struct content_piece *p = pieces.v;
	if (pieces.n > 1 || (p->cipher.set && str_set(p->file)))
		return stream_reply(c, &pieces, length);
	if (!str_set(p->file)) {
		if (p->offset + p->length > p->bytes.n)
			return call_broken(c, "content %.*s lacks bytes", STR_ARG(id));
		struct str bytes = str_sub(p->bytes, p->offset, p->length);
		if (p->cipher.set) {
			char *plain = arena_alloc(c->arena, p->length);
			cipher_apply(&p->cipher, p->offset, bytes.p, plain, p->length);
			bytes = str_of(plain, p->length);
		}
		c->reply = (struct reply_body){.kind = REPLY_MEMORY, .fd = -1, .memory = bytes};
		return CALL_OK;
	}
	int fd = blob_open(c->cloud->blobs, p->file);
	if (fd < 0)
		return call_broken(c, "content file %.*s cannot be opened: error %d", STR_ARG(p->file), -fd);
	c->reply = (struct reply_body){.kind = REPLY_FILE, .fd = fd, .offset = p->offset, .length = p->length};
	return CALL_OK;
}
