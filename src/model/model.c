#include "model/model.h"

#include <stddef.h>

/* What a list of n elements has room for: the next power of two. */
static size_t room_for(uint32_t n)
{
	size_t room = 1;
	while (room < n)
		room *= 2;
	return room;
}

void *model_list_add(struct arena *a, struct any_list *l, size_t size)
{
	/* Full exactly when n is zero or a power of two: no list needs to carry its capacity. */
	if ((l->n & (l->n - 1)) == 0) {
		void *grown = arena_array(a, room_for(l->n + 1), size);
		if (l->n)
			memcpy(grown, l->v, l->n * size);
		l->v = grown;
	}
	l->set = true;
	return (char *)l->v + size * l->n++;
}

struct str str_map_get(const struct str_map *m, struct str key)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (str_eq(m->v[i].key, key))
			return m->v[i].value;
	return STR_NONE;
}

const struct shape *operation_input(const struct api *api, const struct operation *op)
{
	return op->input ? api_shape(api, op->input - 1) : NULL;
}

const struct shape *operation_output(const struct api *api, const struct operation *op)
{
	return op->output ? api_shape(api, op->output - 1) : NULL;
}

/* Finds a name among `count` records of `size` bytes that begin with the text offset of theirs and are sorted by it. */
static const void *find_named(const struct api *api, const void *records, uint32_t count, size_t size, struct str name)
{
	uint32_t low = 0, high = count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const void *record = (const char *)records + size * middle;
		uint32_t at;
		memcpy(&at, record, sizeof(at));
		int order = str_cmp(name, api_text(api, at));
		if (order == 0)
			return record;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct operation *api_operation(const struct api *api, struct str name)
{
	_Static_assert(offsetof(struct operation, name) == 0, "find_named reads the name there");
	return find_named(api, api->operations, api->operation_count, sizeof(struct operation), name);
}

const struct shape *api_shape_named(const struct api *api, struct str name)
{
	_Static_assert(offsetof(struct shape, name) == 0, "find_named reads the name there");
	return find_named(api, api->shapes, api->shape_count, sizeof(struct shape), name);
}

const struct api *model_api(struct str id)
{
	for (const struct api *const *api = model_apis; *api; api++)
		if (str_is(id, (*api)->id))
			return *api;
	return NULL;
}

const struct api *model_api_by_signing_name(struct str signing_name, const struct api *after)
{
	const struct api *const *api = model_apis;
	while (after && *api && *api++ != after)
		;
	for (; *api; api++)
		if (str_is(signing_name, (*api)->signing_name))
			return *api;
	return NULL;
}

bool model_is_set(const struct shape *shape, const void *at)
{
	switch (shape->kind) {
	case SHAPE_STRUCTURE:
		return *(void *const *)at != NULL;
	case SHAPE_LIST:
	case SHAPE_MAP:
		return ((const struct any_list *)at)->set;
	case SHAPE_BOOLEAN:
		return ((const struct opt_bool *)at)->set;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		return ((const struct opt_int *)at)->set;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		return ((const struct opt_double *)at)->set;
	case SHAPE_TIMESTAMP:
		return ((const struct opt_time *)at)->set;
	default:
		return str_set(*(const struct str *)at);
	}
}

static void copy_value(struct arena *a, const struct api *api, const struct shape *shape, const void *from, void *to);

static void copy_structure(struct arena *a, const struct api *api, const struct shape *shape, const char *from, char *to)
{
	memcpy(to, from, shape->size);
	for (uint16_t i = 0; i < shape->members; i++) {
		const struct member *member = &api->members[shape->first_member + i];
		const struct shape *target = api_shape(api, member->shape);
		const void *source = from + member->offset;
		void *copy = to + member->offset;
		if (member->flags & MEMBER_STREAMING) {
			*(struct str *)copy = arena_dup(a, *(const struct str *)source);
		} else if (target->kind == SHAPE_STRUCTURE) {
			const void *inner = *(void *const *)source;
			if (!inner)
				continue;
			void *made = arena_alloc(a, target->size);
			copy_structure(a, api, target, inner, made);
			*(void **)copy = made;
		} else {
			copy_value(a, api, target, source, copy);
		}
	}
}

/* A value as it lies in a list, a map or a structure, where a structure lies by value. */
static void copy_value(struct arena *a, const struct api *api, const struct shape *shape, const void *from, void *to)
{
	switch (shape->kind) {
	case SHAPE_STRUCTURE:
		copy_structure(a, api, shape, from, to);
		return;
	case SHAPE_STRING:
	case SHAPE_BLOB:
	case SHAPE_DOCUMENT:
		*(struct str *)to = arena_dup(a, *(const struct str *)from);
		return;
	case SHAPE_LIST:
	case SHAPE_MAP: {
		const struct any_list *list = from;
		struct any_list made = {.n = list->n, .set = list->set};
		if (list->n)
			made.v = arena_array(a, room_for(list->n), shape->size);
		for (uint32_t i = 0; i < list->n; i++) {
			const char *source = (const char *)list->v + (size_t)i * shape->size;
			char *copy = (char *)made.v + (size_t)i * shape->size;
			for (uint16_t m = 0; m < shape->members; m++) {
				const struct member *member = &api->members[shape->first_member + m];
				copy_value(a, api, api_shape(api, member->shape), source + member->offset, copy + member->offset);
			}
		}
		*(struct any_list *)to = made;
		return;
	}
	default:
		memcpy(to, from, shape->size);
	}
}

void model_copy(struct arena *a, const struct api *api, const struct shape *shape, const void *from, void *to)
{
	copy_value(a, api, shape, from, to);
}
