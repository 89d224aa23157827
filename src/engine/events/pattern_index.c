/* A pattern waits under the values of one of its fields that names nothing but exact ones. An event is walked once: each of its
 * values is looked up with its path. */
#include "engine/events/pattern_tree.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 512 };

struct pattern_shelf {
	struct pattern_entry **v;
	unsigned n, room;
};

/* Path and value as a key: names end with 1, the value begins with its kind. */
struct key {
	char bytes[KEY_MAX];
	size_t n;
	bool full;
};

static void key_add(struct key *k, struct str s, char end)
{
	if (k->full || k->n + s.n + 1 > KEY_MAX) {
		k->full = true;
		return;
	}
	memcpy(k->bytes + k->n, s.p ? s.p : "", s.n);
	k->n += s.n;
	k->bytes[k->n++] = end;
}

static struct str key_of(struct key *k, enum json_token kind, struct str text)
{
	key_add(k, text, (char)(2 + kind));
	return k->full ? STR_NONE : str_of(k->bytes, k->n);
}

static void shelf_add(struct pattern_shelf *s, struct pattern_entry *e)
{
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 4;
		s->v = realloc(s->v, s->room * sizeof(*s->v));
		if (!s->v)
			abort();
	}
	s->v[s->n++] = e;
}

static void shelf_remove(struct pattern_shelf *s, const struct pattern_entry *e)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->v[i] == e) {
			s->v[i] = s->v[--s->n];
			return;
		}
}

static struct pattern_shelf *shelf_new(void)
{
	struct pattern_shelf *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	return s;
}

static void shelf_free(struct pattern_shelf *s)
{
	if (s)
		free(s->v);
	free(s);
}

/* --- the field under which a pattern waits */

struct choice {
	struct pattern_index *index;
	const struct test *tests; /* NULL: none has been found */
	struct key path;
	size_t crowd;
};

static bool all_exact(const struct test *tests)
{
	for (const struct test *t = tests; t; t = t->next)
		if (t->kind != TEST_EXACT)
			return false;
	return true;
}

/* How many wait there already; SIZE_MAX: it cannot be asked. */
static size_t crowd_of(const struct pattern_index *x, const struct key *path, const struct test *tests)
{
	size_t n = 0;
	for (const struct test *t = tests; t; t = t->next) {
		struct key k = *path;
		struct str key = key_of(&k, t->value, t->text);
		if (!str_set(key))
			return SIZE_MAX;
		const struct pattern_shelf *s = map_get(&x->under, key);
		n += 1 + (s ? s->n : 0);
	}
	return n;
}

static void choose(struct choice *c, const struct fields *f, const struct key *path)
{
	for (const struct field *one = f->first; one; one = one->next) {
		struct key below = *path;
		key_add(&below, one->name, 1);
		if (one->fields) {
			choose(c, one->fields, &below);
		} else if (!below.full && all_exact(one->tests)) {
			size_t crowd = crowd_of(c->index, &below, one->tests);
			if (crowd < c->crowd) {
				c->crowd = crowd;
				c->tests = one->tests;
				c->path = below;
			}
		}
	}
}

void pattern_index_add(struct pattern_index *x, struct pattern_entry *e)
{
	struct choice c = {.index = x, .crowd = SIZE_MAX};
	struct key root = {.n = 0};
	choose(&c, &e->pattern->all, &root);
	e->round = 0;
	if (!c.tests) {
		if (!x->other)
			x->other = shelf_new();
		shelf_add(x->other, e);
		return;
	}
	for (const struct test *t = c.tests; t; t = t->next) {
		struct key k = c.path;
		struct str key = key_of(&k, t->value, t->text);
		struct pattern_shelf *s = map_get(&x->under, key);
		if (!s)
			map_put(&x->under, key, s = shelf_new());
		shelf_add(s, e);
	}
}

/* It is wherever it could be: which field was chosen depends on what was there then. */
static void remove_below(struct pattern_index *x, const struct fields *f, const struct key *path, struct pattern_entry *e)
{
	for (const struct field *one = f->first; one; one = one->next) {
		struct key below = *path;
		key_add(&below, one->name, 1);
		if (one->fields)
			remove_below(x, one->fields, &below, e);
		for (const struct test *t = one->tests; t; t = t->next) {
			struct key k = below;
			struct str key = key_of(&k, t->value, t->text);
			struct pattern_shelf *s = str_set(key) ? map_get(&x->under, key) : NULL;
			if (!s)
				continue;
			shelf_remove(s, e);
			if (!s->n)
				shelf_free(map_remove(&x->under, key));
		}
	}
}

void pattern_index_remove(struct pattern_index *x, struct pattern_entry *e)
{
	struct key root = {.n = 0};
	if (x->other)
		shelf_remove(x->other, e);
	remove_below(x, &e->pattern->all, &root, e);
}

void pattern_index_done(struct pattern_index *x)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&x->under, &at, &key, &value))
		shelf_free(value);
	map_done(&x->under);
	shelf_free(x->other);
	*x = (struct pattern_index){0};
}

/* --- asking */

struct asking {
	struct pattern_index *index;
	const struct json_value *event;
	pattern_found_fn *fn;
	void *ctx;
	struct key path;
};

static void look_at(struct asking *q, const struct pattern_shelf *s)
{
	for (unsigned i = 0; s && i < s->n; i++) {
		struct pattern_entry *e = s->v[i];
		if (e->round == q->index->round)
			continue;
		e->round = q->index->round;
		if (event_pattern_match(e->pattern, q->event))
			q->fn(q->ctx, e->owner);
	}
}

static void walk(struct asking *q, const struct json_value *v)
{
	size_t n = q->path.n;
	if (v->kind == JSON_OBJECT) {
		json_each(v, member)
		{
			key_add(&q->path, member->key, 1);
			if (!q->path.full)
				walk(q, member);
			q->path.n = n;
			q->path.full = false;
		}
	} else if (v->kind == JSON_ARRAY) {
		json_each(v, one) walk(q, one);
	} else {
		struct str key = key_of(&q->path, v->kind, v->text);
		if (str_set(key))
			look_at(q, map_get(&q->index->under, key));
		q->path.n = n;
		q->path.full = false;
	}
}

void pattern_index_match(struct pattern_index *x, const struct json_value *event, pattern_found_fn *fn, void *ctx)
{
	struct asking q = {.index = x, .event = event, .fn = fn, .ctx = ctx};
	if (event->kind != JSON_OBJECT)
		return;
	x->round++;
	look_at(&q, x->other);
	if (x->under.count)
		walk(&q, event);
}
