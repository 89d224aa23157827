#include "core/record.h"

#include "base/buf.h"
#include "base/log.h"
#include "wire/wire.h"

/* 0x00 ends a part; inside a part 0x00 and 0x01 are written as two bytes, so that no part can hold an end and order is kept. */
enum { PART_END = 0x00, PART_ESCAPE = 0x01 };

static size_t part_escapes(struct str part)
{
	size_t n = 0;
	for (size_t i = 0; i < part.n; i++)
		n += (unsigned char)part.p[i] <= PART_ESCAPE;
	return n;
}

static char *part_put(char *to, struct str part, bool plain)
{
	if (plain && part.n)
		memcpy(to, part.p, part.n);
	if (plain)
		return to + part.n;
	for (size_t i = 0; i < part.n; i++) {
		unsigned char b = (unsigned char)part.p[i];
		if (b <= PART_ESCAPE) {
			*to++ = PART_ESCAPE;
			b++;
		}
		*to++ = (char)b;
	}
	return to;
}

static struct str key_build(struct arena *a, const struct str *parts, size_t count, bool under)
{
	size_t n = 0, escapes = 0;
	for (size_t i = 0; i < count; i++) {
		n += parts[i].n + 1;
		escapes += part_escapes(parts[i]);
	}
	char *p = arena_alloc(a, n + escapes + 1), *to = p;
	for (size_t i = 0; i < count; i++) {
		to = part_put(to, parts[i], escapes == 0);
		if (under || i + 1 < count)
			*to++ = PART_END;
	}
	return str_of(p, (size_t)(to - p));
}

struct str record_key(struct arena *a, const struct str *parts, size_t count)
{
	return key_build(a, parts, count, false);
}

struct str record_key_under(struct arena *a, const struct str *parts, size_t count)
{
	return key_build(a, parts, count, true);
}

struct str_list record_key_parts(struct arena *a, struct str key)
{
	struct str_list parts = {0};
	while (str_set(key)) {
		struct str raw = str_cut(&key, PART_END);
		char *p = arena_alloc(a, raw.n + 1), *to = p;
		for (size_t i = 0; i < raw.n; i++) {
			bool escaped = raw.p[i] == PART_ESCAPE && i + 1 < raw.n;
			*to++ = escaped ? (char)(raw.p[++i] - 1) : raw.p[i];
		}
		*LIST_ADD(a, &parts) = str_of(p, (size_t)(to - p));
	}
	return parts;
}

static const struct shape *record_shape(const struct record_type *type)
{
	const struct shape *s = api_shape_named(type->api, str_from(type->shape));
	if (!s)
		die("no record shape %s", type->shape);
	return s;
}

bool record_read(struct arena *a, struct str bytes, const struct record_type *type, void *ret)
{
	const struct shape *s = record_shape(type);
	memset(ret, 0, s->size);
	/* Values of the store end with their transaction; the struct must not. */
	return wire_record_read(a, type->api, s, arena_dup(a, bytes), ret);
}

struct str record_write(struct arena *a, const struct record_type *type, const void *value)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 16u << 20);
	wire_record_write(a, type->api, record_shape(type), value, &b);
	if (b.overflow)
		die("a %s record of more than 16 MiB", type->shape);
	return arena_dup(a, buf_str(&b));
}

bool record_get_rev(struct store_txn *t, struct arena *a, struct str key, const struct record_type *type, void *ret,
                    uint64_t *ret_modified)
{
	struct store_value v;
	if (!store_get(t, key, &v))
		return false;
	if (!record_read(a, v.value, type, ret))
		die("a stored %s record cannot be read", type->shape);
	if (ret_modified)
		*ret_modified = v.modified;
	return true;
}

bool record_get(struct store_txn *t, struct arena *a, struct str key, const struct record_type *type, void *ret)
{
	return record_get_rev(t, a, key, type, ret, NULL);
}

void record_put(struct store_txn *t, struct arena *a, struct str key, const struct record_type *type, const void *value)
{
	store_put(t, key, record_write(a, type, value));
}

struct store_watch *record_follow(struct store *store, struct str prefix, store_watch_fn *fn, void *ctx)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str end = store_prefix_end(&a, prefix);
	struct store_txn *t = store_begin(store, &a);
	struct store_iter *it = store_scan(t, prefix, end, false);
	struct store_event e = {.created = true};
	struct store_value value;
	while (store_next(it, &e.key, &value)) {
		e.value = value.value;
		e.revision = value.modified;
		fn(ctx, &e);
	}
	store_abort(t);
	return store_watch(store, prefix, end, store_revision(store), fn, ctx);
}
