/* Tags of functions and of event source mappings. */
#include "aws/lambda/lambda.h"

/* A function or an event source mapping, with its tags. */
struct tagged {
	struct lambda_name name;
	struct state_lambda_function_record function;
	struct str source_key; /* absent: it is a function */
	struct state_lambda_event_source_record source;
	struct str_map *tags;
};

static int load(struct call *c, struct str arn, struct tagged *ret)
{
	struct lambda_name *n = &ret->name;
	struct str uuid;
	*ret = (struct tagged){.tags = &ret->function.tags};
	if (lambda_event_source_of_arn(arn, &uuid)) {
		ret->source_key = lambda_event_source_key(c->arena, c->account, c->region, uuid);
		ret->tags = &ret->source.tags;
		if (record_get(call_txn(c), c->arena, ret->source_key, ROW("EventSource"), &ret->source))
			return CALL_OK;
		return call_fail(c, "ResourceNotFoundException", 404, "The resource you requested does not exist.");
	}
	if (!str_starts(arn, S("arn:")) || lambda_name_parse(c, arn, STR_NONE, n) != CALL_OK)
		return str_set(c->error.code) ? CALL_FAIL : lambda_invalid(c, "Invalid resource: %.*s", STR_ARG(arn));
	if (str_set(n->qualifier))
		return lambda_invalid(c, "Tags on function aliases and versions are not supported. Please specify a function ARN.");
	return lambda_get_function_row(c, n, &ret->function) ? CALL_OK : lambda_no_function(c, n);
}

static void save(struct call *c, const struct tagged *t)
{
	if (str_set(t->source_key))
		record_put(call_txn(c), c->arena, t->source_key, ROW("EventSource"), &t->source);
	else
		lambda_put_function_row(c, &t->name, &t->function);
}

static bool is_tag_char(unsigned char ch)
{
	/* Letters of all scripts are fine: their UTF-8 is above ASCII. */
	return ch >= 0x80 || ascii_is_alpha((char)ch) || ascii_is_digit((char)ch) || (ch && strchr(" _.:/=+-@", ch));
}

static bool is_tag_text(struct str s, size_t min, size_t max)
{
	size_t letters = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_tag_char((unsigned char)s.p[i]))
			return false;
		letters += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	}
	return letters >= min && letters <= max;
}

int lambda_check_tags(struct call *c, const struct str_map *tags)
{
	if (tags->n > LAMBDA_TAGS_MAX)
		return lambda_invalid(c, "Number of tags exceeds resource tag limit.");
	for (uint32_t i = 0; i < tags->n; i++) {
		if (str_istarts(tags->v[i].key, S("aws:")))
			return lambda_invalid(c, "The tag keys cannot start with aws:");
		if (!is_tag_text(tags->v[i].key, 1, 128))
			return lambda_invalid(c, "The tag key '%.*s' is not valid: 1 to 128 letters, digits, spaces and _.:/=+-@",
			                      STR_ARG(tags->v[i].key));
		if (!is_tag_text(tags->v[i].value, 0, 256))
			return lambda_invalid(
			        c, "The value of tag '%.*s' is not valid: up to 256 letters, digits, spaces and _.:/=+-@",
			        STR_ARG(tags->v[i].key));
	}
	return CALL_OK;
}

int lambda_list_tags(struct call *c, const struct lambda_list_tags_request *in, struct lambda_list_tags_response *out)
{
	struct tagged t;
	if (load(c, in->resource, &t) != CALL_OK)
		return CALL_FAIL;
	out->tags = *t.tags;
	out->tags.set = true;
	return CALL_OK;
}

int lambda_tag_resource(struct call *c, const struct lambda_tag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct tagged t;
	if (load(c, in->resource, &t) != CALL_OK || lambda_check_tags(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->tags.n; i++) {
		struct str_map_entry *at = NULL;
		for (uint32_t k = 0; k < t.tags->n; k++)
			if (str_eq(t.tags->v[k].key, in->tags.v[i].key))
				at = &t.tags->v[k];
		if (!at)
			at = LIST_ADD(c->arena, t.tags);
		*at = in->tags.v[i];
	}
	t.tags->set = true;
	if (t.tags->n > LAMBDA_TAGS_MAX)
		return lambda_invalid(c, "Number of tags exceeds resource tag limit.");
	save(c, &t);
	return CALL_OK;
}

int lambda_untag_resource(struct call *c, const struct lambda_untag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct tagged t;
	if (load(c, in->resource, &t) != CALL_OK)
		return CALL_FAIL;
	uint32_t kept = 0;
	for (uint32_t k = 0; k < t.tags->n; k++) {
		bool drop = false;
		for (uint32_t i = 0; i < in->tag_keys.n; i++)
			drop = drop || str_eq(t.tags->v[k].key, in->tag_keys.v[i]);
		if (!drop)
			t.tags->v[kept++] = t.tags->v[k];
	}
	t.tags->n = kept;
	save(c, &t);
	return CALL_OK;
}
