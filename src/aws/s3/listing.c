#include "aws/s3/listing.h"

#include <inttypes.h>

enum { LISTING_MAX = 1000 };

void listing_begin(struct listing *l, struct call *c, const char *what, struct str bucket, struct str prefix, struct str delimiter,
                   struct str after)
{
	struct arena *a = c->arena;
	*l = (struct listing){
	        .arena = a, .prefix = str_set(prefix) ? prefix : S(""), .delimiter = delimiter, .last_prefix = STR_NONE};
	struct str from = l->prefix;
	if (str_set(after) && after.n && str_cmp(after, l->prefix) >= 0) {
		/* Behind a common prefix that has been listed lies everything under it. */
		size_t least = l->prefix.n + delimiter.n;
		bool grouped = str_set(delimiter) && delimiter.n && after.n >= least && str_starts(after, l->prefix) &&
		               str_ends(after, delimiter) &&
		               str_find(str_from_at(after, l->prefix.n), delimiter) == (ptrdiff_t)(after.n - least);
		from = grouped ? tree_after_prefix(a, after) : tree_after(a, after);
	}
	tree_walk(&l->walk, call_txn(c), a, tree_root(a, what, bucket), from);
	if (!str_set(from))
		l->walk.depth = 0;
}

bool listing_next(struct listing *l, listing_counts_fn *counts, struct listing_entry *ret)
{
	struct listing_entry e;
	while (tree_next(&l->walk, &e.name, &e.tail, &e.value)) {
		e.is_prefix = false;
		if (!str_starts(e.name, l->prefix)) {
			if (str_cmp(e.name, l->prefix) > 0)
				return false;
			continue;
		}
		if (counts && !counts(&e))
			continue;
		ptrdiff_t cut =
		        str_set(l->delimiter) && l->delimiter.n ? str_find(str_from_at(e.name, l->prefix.n), l->delimiter) : -1;
		if (cut < 0) {
			*ret = e;
			return true;
		}
		struct str common = str_sub(e.name, 0, l->prefix.n + (size_t)cut + l->delimiter.n);
		struct str next = tree_after_prefix(l->arena, common);
		/* One seek passes over everything under the prefix, however much that is. */
		if (str_set(next))
			tree_seek(&l->walk, next);
		else
			l->walk.depth = 0;
		*ret = (struct listing_entry){.is_prefix = true, .name = common, .tail = STR_NONE};
		return true;
	}
	return false;
}

/* As forms spell it, but for '/' and '*', which stay. */
struct str listing_text(struct arena *a, struct str encoding_type, struct str text)
{
	static const char digits[] = "0123456789ABCDEF";
	if (!str_set(text) || !str_is(encoding_type, "url"))
		return text;
	char *out = arena_alloc(a, 3 * text.n + 1), *to = out;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (ascii_is_alnum((char)c) || (c && strchr("-_./*", c))) {
			*to++ = (char)c;
		} else if (c == ' ') {
			*to++ = '+';
		} else {
			*to++ = '%';
			*to++ = digits[c >> 4];
			*to++ = digits[c & 15];
		}
	}
	return str_of(out, (size_t)(to - out));
}

int listing_check(struct call *c, struct str encoding_type, struct opt_int max, const char *max_name, int64_t *ret_max)
{
	if (str_set(encoding_type) && !str_is(encoding_type, "url"))
		return s3_bad_argument(c, "Invalid Encoding Method specified in Request", "encoding-type", encoding_type);
	if (max.set && max.v < 0)
		return s3_bad_argument(
		        c, arena_printf(c->arena, "Argument %s must be an integer between 0 and 2147483647", max_name).p, max_name,
		        arena_printf(c->arena, "%" PRId64, max.v));
	*ret_max = max.set && max.v < LISTING_MAX ? max.v : LISTING_MAX;
	return CALL_OK;
}

struct s3_owner *listing_owner(struct arena *a, struct str account)
{
	struct s3_owner *o = arena_new(a, struct s3_owner);
	o->id = s3_canonical_id(a, account);
	return o;
}
