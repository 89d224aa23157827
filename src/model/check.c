/* Walks a filled struct beside its shape and writes down each constraint that does not hold, in AWS's words.
 *
 * AWS names a value by its path, members with a small first letter: 'tags.2.member.key' for lists of structures,
 * 'weights.KEY.member.x' for maps of them. Elements that are scalars have no path of their own: the fault is the whole list's or
 * map's, and its text gives all the constraints of an element. */
#include "base/buf.h"
#include "model/model.h"
#include "model/pattern.h"

#include <inttypes.h>

/* A client that sends a thousand faults is told of so many. */
#define MAX_FAULTS 50
/* Of a faulty value so many bytes are repeated to the client. */
#define MAX_VALUE_BYTES 1024
#define MAX_MESSAGE_BYTES (64 << 10)
/* Recursive shapes: the decoders stop at less. */
#define MAX_DEPTH 128

struct path {
	const struct path *parent;
	struct str name; /* a member or the key of a map; absent: element `index` of a list, from 1 */
	uint32_t index;
	bool element; /* ".member" follows */
};

struct check {
	struct arena *a;
	const struct api *api;
	struct buf message; /* the faults so far, each after "; " */
	uint32_t faults;
	uint32_t depth;
	bool first_is_missing;
};

static void add_capped(struct buf *b, struct str s)
{
	buf_add_str(b, str_sub(s, 0, b->max_bytes - b->n));
}

static void add_path(struct buf *b, const struct path *path)
{
	if (!path)
		return;
	add_path(b, path->parent);
	if (path->parent)
		buf_add_char(b, '.');
	if (!str_set(path->name)) {
		buf_printf(b, "%" PRIu32, path->index);
	} else if (path->element || path->name.n == 0) {
		buf_add_str(b, str_sub(path->name, 0, MAX_VALUE_BYTES));
	} else {
		buf_add_char(b, ascii_lower(path->name.p[0]));
		buf_add_str(b, str_from_at(path->name, 1));
	}
	if (path->element)
		buf_add_lit(b, ".member");
}

static void add_double(struct buf *b, double v)
{
	buf_printf(b, v > -1e15 && v < 1e15 && v == (double)(int64_t)v ? "%.1f" : "%.15g", v);
}

/* A value as Java prints it, up to the buffer's maximum. `value` points at it as it lies in a list: a structure by value. */
static void add_value(struct check *c, struct buf *b, const struct shape *shape, const void *value)
{
	bool first = true;
	if (shape->flags & SHAPE_SENSITIVE) {
		buf_add_lit(b, "***Sensitive Data Redacted***");
		return;
	}
	if (b->n >= b->max_bytes || b->overflow)
		return;
	switch (shape->kind) {
	case SHAPE_STRING:
	case SHAPE_DOCUMENT:
		add_capped(b, *(const struct str *)value);
		return;
	case SHAPE_BLOB:
		buf_printf(b, "java.nio.HeapByteBuffer[pos=0 lim=%zu cap=%zu]", ((const struct str *)value)->n,
		           ((const struct str *)value)->n);
		return;
	case SHAPE_BOOLEAN:
		add_capped(b, ((const struct opt_bool *)value)->v ? S("true") : S("false"));
		return;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		buf_printf(b, "%" PRId64, ((const struct opt_int *)value)->v);
		return;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		add_double(b, ((const struct opt_double *)value)->v);
		return;
	case SHAPE_TIMESTAMP:
		buf_printf(b, "%" PRId64, ((const struct opt_time *)value)->ms);
		return;
	case SHAPE_LIST:
	case SHAPE_MAP: {
		const struct any_list *list = value;
		const struct member *parts = &c->api->members[shape->first_member];
		bool map = shape->kind == SHAPE_MAP;
		buf_add_char(b, map ? '{' : '[');
		for (uint32_t i = 0; i < list->n && b->n < b->max_bytes; i++) {
			const char *element = (const char *)list->v + (size_t)i * shape->size;
			if (i)
				add_capped(b, S(", "));
			add_value(c, b, api_shape(c->api, parts[0].shape), element + parts[0].offset);
			if (map) {
				add_capped(b, S("="));
				add_value(c, b, api_shape(c->api, parts[1].shape), element + parts[1].offset);
			}
		}
		buf_add_char(b, map ? '}' : ']');
		return;
	}
	default:
		add_capped(b, api_text(c->api, shape->name));
		buf_add_char(b, '(');
		for (uint16_t i = 0; i < shape->members && b->n < b->max_bytes; i++) {
			const struct member *member = &c->api->members[shape->first_member + i];
			const struct shape *target = api_shape(c->api, member->shape);
			const void *at = (const char *)value + member->offset;
			if (target->kind == SHAPE_STRUCTURE)
				at = *(void *const *)at;
			if (!at || (member->flags & MEMBER_STREAMING) ||
			    !model_is_set(target, (const char *)value + member->offset))
				continue;
			if (!first)
				add_capped(b, S(", "));
			first = false;
			struct str name = api_text(c->api, member->name);
			buf_add_char(b, ascii_lower(name.p[0]));
			add_capped(b, str_from_at(name, 1));
			add_capped(b, S("="));
			add_value(c, b, target, at);
		}
		buf_add_char(b, ')');
	}
}

/* Begins a fault: "Value '...' at 'path' failed to satisfy constraint: "; the caller adds the constraint. */
static struct buf *begin_fault(struct check *c, const struct path *path, const struct shape *shape, const void *value)
{
	struct buf *b = &c->message;
	if (c->faults++)
		buf_add_lit(b, "; ");
	if (!value) {
		c->first_is_missing |= c->faults == 1;
		buf_add_lit(b, "Value null");
	} else if (shape->flags & SHAPE_SENSITIVE) {
		buf_add_lit(b, "Value");
	} else {
		struct buf text CLEAN_BUF;
		buf_init(&text, MAX_VALUE_BYTES);
		add_value(c, &text, shape, value);
		/* Where it was cut, half a character may be left. */
		for (int i = 0; i < 3 && text.n == MAX_VALUE_BYTES - (size_t)i && text.p[text.n - 1] & 0x80; i++)
			text.n--;
		buf_add_lit(b, "Value '");
		buf_add_str(b, buf_str(&text));
		buf_add_char(b, '\'');
	}
	buf_add_lit(b, " at '");
	add_path(b, path);
	buf_add_lit(b, "' failed to satisfy constraint: ");
	return b;
}

static bool is_length(const struct shape *shape)
{
	return shape->kind == SHAPE_STRING || shape->kind == SHAPE_BLOB || shape->kind == SHAPE_LIST || shape->kind == SHAPE_MAP;
}

static void add_bound(struct buf *b, const struct shape *shape, const char *order, int64_t bound)
{
	buf_printf(b, "Member must have %s %s than or equal to ", is_length(shape) ? "length" : "value", order);
	if ((shape->kind == SHAPE_FLOAT || shape->kind == SHAPE_DOUBLE) && bound % 1000)
		buf_printf(b, "%.15g", (double)bound / 1000);
	else
		buf_printf(b, "%" PRId64, shape->kind == SHAPE_FLOAT || shape->kind == SHAPE_DOUBLE ? bound / 1000 : bound);
}

/* Writes the constraints in `which` (HAS_*) in AWS's order. */
static void add_constraints(struct check *c, struct buf *b, const struct shape *shape, unsigned which)
{
	bool more = false;
	for (unsigned one = HAS_MIN; one <= HAS_ENUM; one *= 2) {
		/* The upper bound comes first. */
		unsigned bit = one == HAS_MIN ? HAS_MAX : one == HAS_MAX ? HAS_MIN : one;
		if (!(which & bit))
			continue;
		if (more)
			buf_add_lit(b, ", ");
		more = true;
		if (bit == HAS_MAX) {
			add_bound(b, shape, "less", shape->max);
		} else if (bit == HAS_MIN) {
			add_bound(b, shape, "greater", shape->min);
		} else if (bit == HAS_PATTERN) {
			buf_add_lit(b, "Member must satisfy regular expression pattern: ");
			buf_add_str(b, api_text(c->api, shape->pattern));
		} else {
			buf_add_lit(b, "Member must satisfy enum value set: [");
			for (uint16_t i = 0; i < shape->enums; i++) {
				if (i)
					buf_add_lit(b, ", ");
				buf_add_str(b, api_text(c->api, c->api->enum_values[shape->enum_first + i]));
			}
			buf_add_char(b, ']');
		}
	}
}

static unsigned broken_bounds(const struct shape *shape, int64_t v)
{
	return (shape->have & HAS_MIN && v < shape->min ? HAS_MIN : 0) | (shape->have & HAS_MAX && v > shape->max ? HAS_MAX : 0);
}

static bool in_enum(const struct check *c, const struct shape *shape, struct str s)
{
	for (uint16_t i = 0; i < shape->enums; i++)
		if (str_eq(s, api_text(c->api, c->api->enum_values[shape->enum_first + i])))
			return true;
	return false;
}

static bool fits_pattern(struct check *c, const struct shape *shape, struct str s)
{
	const struct pattern *pattern = pattern_cached(c->api->text + shape->pattern);
	struct arena scratch CLEAN_ARENA;
	arena_init(&scratch, 0);
	return !pattern || pattern_match(&scratch, pattern, s);
}

/* The constraints (HAS_*) of its own shape that a value breaks; elements are not looked at. */
static unsigned broken_constraints(struct check *c, const struct shape *shape, const void *value)
{
	unsigned broken = 0;
	if (!shape->have)
		return 0;
	switch (shape->kind) {
	case SHAPE_STRING: {
		struct str s = *(const struct str *)value;
		if (shape->have & (HAS_MIN | HAS_MAX))
			broken = broken_bounds(shape, (int64_t)str_utf8_len(s));
		if (shape->have & HAS_ENUM && !in_enum(c, shape, s))
			broken |= HAS_ENUM;
		/* What is far too long need not be read to the end to be refused. */
		if (shape->have & HAS_PATTERN && !(broken & HAS_MAX && s.n > MAX_VALUE_BYTES) && !fits_pattern(c, shape, s))
			broken |= HAS_PATTERN;
		return broken;
	}
	case SHAPE_BLOB:
		return broken_bounds(shape, (int64_t)((const struct str *)value)->n);
	case SHAPE_LIST:
	case SHAPE_MAP:
		return broken_bounds(shape, ((const struct any_list *)value)->n);
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		return broken_bounds(shape, ((const struct opt_int *)value)->v);
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE: {
		double v = ((const struct opt_double *)value)->v * 1000;
		return (shape->have & HAS_MIN && !(v >= (double)shape->min) ? HAS_MIN : 0) |
		       (shape->have & HAS_MAX && !(v <= (double)shape->max) ? HAS_MAX : 0);
	}
	default:
		return 0;
	}
}

static void check_value(struct check *c, const struct path *path, const struct shape *shape, const void *value);

static void check_structure(struct check *c, const struct path *path, const struct shape *shape, const char *value)
{
	for (uint16_t i = 0; i < shape->members && c->faults < MAX_FAULTS; i++) {
		const struct member *member = &c->api->members[shape->first_member + i];
		const struct shape *target = api_shape(c->api, member->shape);
		const void *at = value + member->offset;
		struct path here = {.parent = path, .name = api_text(c->api, member->name)};
		if (member->flags & MEMBER_STREAMING)
			continue;
		if (model_is_set(target, at))
			check_value(c, &here, target, target->kind == SHAPE_STRUCTURE ? *(void *const *)at : at);
		else if (member->flags & MEMBER_REQUIRED)
			buf_add_lit(begin_fault(c, &here, target, NULL), "Member must not be null");
	}
}

/* One side of a list or map: its elements, its keys or its values. */
static void check_elements(struct check *c, const struct path *path, const struct shape *shape, const struct any_list *list,
                           const struct member *part, const char *what)
{
	const struct shape *target = api_shape(c->api, part->shape);
	bool scalar = target->kind != SHAPE_STRUCTURE && target->kind != SHAPE_LIST && target->kind != SHAPE_MAP;
	if (scalar && !target->have)
		return;
	for (uint32_t i = 0; i < list->n && c->faults < MAX_FAULTS; i++) {
		const char *element = (const char *)list->v + (size_t)i * shape->size;
		if (!scalar) {
			struct path here = {.parent = path, .index = i + 1, .element = true};
			if (shape->kind == SHAPE_MAP)
				here.name = *(const struct str *)element;
			check_value(c, &here, target, element + part->offset);
		} else if (broken_constraints(c, target, element + part->offset)) {
			struct buf *b = begin_fault(c, path, shape, list);
			buf_printf(b, "%s must satisfy constraint: [", what);
			add_constraints(c, b, target, target->have);
			buf_add_lit(b, ", Member must not be null]");
			return;
		}
	}
}

static void check_value(struct check *c, const struct path *path, const struct shape *shape, const void *value)
{
	unsigned broken = broken_constraints(c, shape, value);
	/* Each broken constraint is a fault of its own. */
	for (unsigned one = HAS_MIN; one <= HAS_ENUM && c->faults < MAX_FAULTS; one *= 2)
		if (broken & one)
			add_constraints(c, begin_fault(c, path, shape, value), shape, one);
	if (c->depth == MAX_DEPTH)
		return;
	c->depth++;
	const struct member *parts = &c->api->members[shape->first_member];
	if (shape->kind == SHAPE_STRUCTURE) {
		check_structure(c, path, shape, value);
	} else if (shape->kind == SHAPE_LIST) {
		check_elements(c, path, shape, value, &parts[0], "Member");
	} else if (shape->kind == SHAPE_MAP) {
		check_elements(c, path, shape, value, &parts[0], "Map keys");
		check_elements(c, path, shape, value, &parts[1], "Map value");
	}
	c->depth--;
}

bool model_check(struct arena *a, const struct api *api, const struct shape *shape, const void *value, struct str *ret_message,
                 bool *ret_missing)
{
	struct check c = {.a = a, .api = api};
	buf_init(&c.message, MAX_MESSAGE_BYTES);
	check_value(&c, NULL, shape, value);
	if (c.faults) {
		*ret_message = arena_printf(a, "%" PRIu32 " validation error%s detected: %.*s", c.faults, c.faults == 1 ? "" : "s",
		                            STR_ARG(buf_str(&c.message)));
		*ret_missing = c.first_is_missing;
	}
	buf_done(&c.message);
	return c.faults == 0;
}
