#include "aws/events/events.h"

#include "base/clock.h"

static void put(struct json_out *j, const struct api *api, const struct shape *s, const void *at);

static void put_time(struct json_out *j, const struct opt_time *t)
{
	char text[40];
	time_format_to(text, t->ms, TIME_ISO8601_MS);
	json_string(j, str_from(text));
}

static void put_structure(struct json_out *j, const struct api *api, const struct shape *s, const char *value)
{
	json_open(j, '{');
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = &api->members[s->first_member + i];
		const struct shape *of = api_shape(api, m->shape);
		if (!model_is_set(of, value + m->offset))
			continue;
		json_key(j, api_text(api, m->name));
		put(j, api, of, value + m->offset);
	}
	json_close(j, '}');
}

static void put_list(struct json_out *j, const struct api *api, const struct shape *s, const struct any_list *l)
{
	const struct member *m = &api->members[s->first_member];
	json_open(j, '[');
	for (uint32_t i = 0; i < l->n; i++) {
		const char *one = (const char *)l->v + (size_t)i * s->size;
		const struct shape *of = api_shape(api, m->shape);
		/* Structures lie in a list by value. */
		if (of->kind == SHAPE_STRUCTURE)
			put_structure(j, api, of, one);
		else
			put(j, api, of, one);
	}
	json_close(j, ']');
}

static void put_map(struct json_out *j, const struct api *api, const struct shape *s, const struct any_list *l)
{
	const struct member *m = &api->members[s->first_member + 1];
	json_open(j, '{');
	for (uint32_t i = 0; i < l->n; i++) {
		const char *one = (const char *)l->v + (size_t)i * s->size;
		const struct shape *of = api_shape(api, m->shape);
		json_key(j, *(const struct str *)(const void *)one);
		if (of->kind == SHAPE_STRUCTURE)
			put_structure(j, api, of, one + m->offset);
		else
			put(j, api, of, one + m->offset);
	}
	json_close(j, '}');
}

static void put(struct json_out *j, const struct api *api, const struct shape *s, const void *at)
{
	switch ((enum shape_kind)s->kind) {
	case SHAPE_STRUCTURE:
		put_structure(j, api, s, *(const char *const *)at);
		break;
	case SHAPE_LIST:
		put_list(j, api, s, at);
		break;
	case SHAPE_MAP:
		put_map(j, api, s, at);
		break;
	case SHAPE_STRING:
	case SHAPE_BLOB:
		json_string(j, *(const struct str *)at);
		break;
	case SHAPE_DOCUMENT:
		json_raw(j, *(const struct str *)at);
		break;
	case SHAPE_BOOLEAN:
		json_bool(j, ((const struct opt_bool *)at)->v);
		break;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		json_int(j, ((const struct opt_int *)at)->v);
		break;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		json_double(j, ((const struct opt_double *)at)->v);
		break;
	case SHAPE_TIMESTAMP:
		put_time(j, at);
		break;
	}
}

void events_put_shape(struct json_out *j, const struct api *api, const char *shape, const void *value)
{
	put_structure(j, api, api_shape_named(api, str_from(shape)), value);
}
