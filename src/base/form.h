/* application/x-www-form-urlencoded: names and values in order, decoded. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

struct form_pair {
	struct str name, value; /* views of the source, or in the arena */
};
struct form {
	struct form_pair *v;
	size_t n;
};

enum { FORM_PAIRS_MAX = 20000 };

/* False: a bad percent escape, or more than FORM_PAIRS_MAX pairs. A name without '=' has the value "". */
bool form_parse(struct arena *a, struct str text, struct form *ret);
/* The first value of that name, or STR_NONE. */
struct str form_get(const struct form *f, struct str name);
/* Appends "name=value", with '&' before it unless b holds nothing. */
void form_put(struct buf *b, struct str name, struct str value);
