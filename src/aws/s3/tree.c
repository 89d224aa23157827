/* A key is root, the name escaped, and for a tail 0x00 and the tail. Escaping makes 0x00 of 0x01 0x01 and 0x01 of 0x01 0x02, so
 * 0x00 only ever separates, and sorts before everything that could continue the name. The marker of a node whose longer names live
 * elsewhere is a tail that sorts behind all others (they begin with letters). */
#include "aws/s3/tree.h"

#include "base/hash.h"
#include "core/record.h"

enum { CHUNK_BYTES = 340 };
#define MARKER S("~")

struct str tree_root(struct arena *a, const char *what, struct str bucket)
{
	return KEY_UNDER(a, S("s3"), str_from(what), bucket);
}

/* Takes the first chunk off *name; *ret is it, escaped. Returns false for the last one. */
static bool cut_chunk(struct arena *a, struct str *name, struct str *ret)
{
	char *out = arena_alloc(a, CHUNK_BYTES);
	size_t n = 0, used = 0;
	for (; used < name->n; used++) {
		unsigned char c = (unsigned char)name->p[used];
		if (n + (c <= 1 ? 2 : 1) > CHUNK_BYTES)
			break;
		if (c <= 1)
			out[n++] = 1;
		out[n++] = (char)(c <= 1 ? c + 1 : c);
	}
	*ret = str_of(out, n);
	*name = str_from_at(*name, used);
	return name->n > 0;
}

static struct str unescape(struct arena *a, struct str before, struct str s)
{
	char *out = arena_alloc(a, before.n + s.n + 1);
	size_t n = before.n;
	if (n)
		memcpy(out, before.p, n);
	for (size_t i = 0; i < s.n; i++)
		out[n++] = s.p[i] == 1 && i + 1 < s.n ? (char)(s.p[++i] - 1) : s.p[i];
	return str_of(out, n);
}

/* The root of the tree in which names that go on after this chunk live. */
static struct str deeper_root(struct arena *a, struct str root, struct str chunk)
{
	struct str digest = hash_hex(a, HASH_SHA256, ARENA_CAT(a, root, chunk));
	return KEY_UNDER(a, S("s3"), S("long"), str_sub(digest, 0, 40));
}

static struct str node_key(struct arena *a, struct str root, struct str chunk, struct str tail)
{
	return str_set(tail) ? ARENA_CAT(a, root, chunk, str_of("\0", 1), tail) : ARENA_CAT(a, root, chunk);
}

/* Walks down to the level where name's last chunk lives. */
static void descend(struct arena *a, struct str *root, struct str name, struct str *ret_chunk)
{
	while (cut_chunk(a, &name, ret_chunk))
		*root = deeper_root(a, *root, *ret_chunk);
}

bool tree_get(struct store_txn *t, struct arena *a, struct str root, struct str name, struct str tail, struct store_value *ret)
{
	struct str chunk;
	descend(a, &root, name, &chunk);
	return store_get(t, node_key(a, root, chunk, tail), ret);
}

void tree_put(struct store_txn *t, struct arena *a, struct str root, struct str name, struct str tail, struct str value)
{
	struct str chunk;
	while (cut_chunk(a, &name, &chunk)) {
		struct store_value there;
		struct str marker = node_key(a, root, chunk, MARKER);
		if (!store_get(t, marker, &there))
			store_put(t, marker, S(""));
		root = deeper_root(a, root, chunk);
	}
	store_put(t, node_key(a, root, chunk, tail), value);
}

void tree_delete(struct store_txn *t, struct arena *a, struct str root, struct str name, struct str tail)
{
	struct str roots[TREE_LEVELS], chunks[TREE_LEVELS];
	unsigned depth = 0;
	while (cut_chunk(a, &name, &chunks[depth])) {
		roots[depth++] = root;
		root = deeper_root(a, root, chunks[depth - 1]);
	}
	store_delete(t, node_key(a, root, chunks[depth], tail));
	/* A marker goes with the last of what it stands for. */
	while (depth-- > 0) {
		struct str key;
		struct store_value value;
		struct store_iter *i = store_scan(t, root, store_prefix_end(a, root), false);
		if (store_next(i, &key, &value))
			return;
		root = roots[depth];
		store_delete(t, node_key(a, root, chunks[depth], MARKER));
	}
}

bool tree_next_tail(struct store_txn *t, struct arena *a, struct str root, struct str name, struct str after, struct str *ret_tail,
                    struct store_value *ret)
{
	struct str chunk, key;
	descend(a, &root, name, &chunk);
	struct str first = node_key(a, root, chunk, S(""));
	struct str from = str_set(after) ? ARENA_CAT(a, first, after, str_of("\0", 1)) : first;
	struct store_iter *i = store_scan(t, from, node_key(a, root, chunk, MARKER), false);
	if (!store_next(i, &key, ret))
		return false;
	*ret_tail = arena_dup(a, str_from_at(key, first.n));
	return true;
}

void tree_seek(struct tree_walk *w, struct str from)
{
	struct arena *a = w->arena;
	struct str root = w->root, before = S(""), chunk = S("");
	struct str rest = str_set(from) ? from : S("");
	w->depth = 0;
	for (bool more = true; more;) {
		struct str held = rest;
		more = cut_chunk(a, &rest, &chunk);
		/* Levels above begin behind the marker of the chunk that the deeper ones go through. */
		struct str at = more ? ARENA_CAT(a, node_key(a, root, chunk, MARKER), str_of("\0", 1)) : ARENA_CAT(a, root, chunk);
		w->levels[w->depth++] = (struct tree_level){
		        .root = root, .before = before, .iter = store_scan(w->txn, at, store_prefix_end(a, root), false)};
		if (more) {
			before = ARENA_CAT(a, before, str_sub(held, 0, held.n - rest.n));
			root = deeper_root(a, root, chunk);
		}
	}
}

void tree_walk(struct tree_walk *w, struct store_txn *t, struct arena *a, struct str root, struct str from)
{
	*w = (struct tree_walk){.txn = t, .arena = a, .root = root};
	tree_seek(w, from);
}

bool tree_next(struct tree_walk *w, struct str *ret_name, struct str *ret_tail, struct store_value *ret)
{
	struct arena *a = w->arena;
	while (w->depth > 0) {
		struct tree_level *level = &w->levels[w->depth - 1];
		struct str key;
		if (!store_next(level->iter, &key, ret)) {
			w->depth--;
			continue;
		}
		struct str tail = str_from_at(key, level->root.n);
		struct str chunk = str_cut(&tail, '\0');
		struct str name = unescape(a, level->before, chunk);
		if (str_set(tail) && str_eq(tail, MARKER)) {
			struct str root = deeper_root(a, level->root, chunk);
			if (w->depth < TREE_LEVELS)
				w->levels[w->depth++] =
				        (struct tree_level){.root = root,
				                            .before = name,
				                            .iter = store_scan(w->txn, root, store_prefix_end(a, root), false)};
			continue;
		}
		*ret_name = name;
		*ret_tail = str_set(tail) ? arena_dup(a, tail) : STR_NONE;
		return true;
	}
	return false;
}

struct str tree_after_prefix(struct arena *a, struct str prefix)
{
	while (prefix.n && (unsigned char)prefix.p[prefix.n - 1] == 0xff)
		prefix.n--;
	if (!prefix.n)
		return STR_NONE;
	char *end = arena_dupz(a, prefix);
	end[prefix.n - 1]++;
	return str_of(end, prefix.n);
}

struct str tree_after(struct arena *a, struct str name)
{
	return ARENA_CAT(a, name, str_of("\0", 1));
}
