/* Tags of functions. */
#include "aws/lambda/lambda.h"

static int load(struct call *c, struct str arn, struct lambda_name *n, struct state_lambda_function_record *ret)
{
	if (!str_starts(arn, S("arn:")) || lambda_name_parse(c, arn, STR_NONE, n) != CALL_OK)
		return str_set(c->error.code) ? CALL_FAIL : lambda_invalid(c, "Invalid resource: %.*s", STR_ARG(arn));
	if (str_set(n->qualifier))
		return lambda_invalid(c, "Tags on function aliases and versions are not supported. Please specify a function ARN.");
	return lambda_get_function_row(c, n, ret) ? CALL_OK : lambda_no_function(c, n);
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
	struct lambda_name n;
	struct state_lambda_function_record row = {0};
	if (load(c, in->resource, &n, &row) != CALL_OK)
		return CALL_FAIL;
	out->tags = row.tags;
	out->tags.set = true;
	return CALL_OK;
}

int lambda_tag_resource(struct call *c, const struct lambda_tag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct lambda_name n;
	struct state_lambda_function_record row = {0};
	if (load(c, in->resource, &n, &row) != CALL_OK || lambda_check_tags(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->tags.n; i++) {
		struct str_map_entry *at = NULL;
		for (uint32_t k = 0; k < row.tags.n; k++)
			if (str_eq(row.tags.v[k].key, in->tags.v[i].key))
				at = &row.tags.v[k];
		if (!at)
			at = LIST_ADD(c->arena, &row.tags);
		*at = in->tags.v[i];
	}
	row.tags.set = true;
	if (row.tags.n > LAMBDA_TAGS_MAX)
		return lambda_invalid(c, "Number of tags exceeds resource tag limit.");
	lambda_put_function_row(c, &n, &row);
	return CALL_OK;
}

int lambda_untag_resource(struct call *c, const struct lambda_untag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct lambda_name n;
	struct state_lambda_function_record row = {0};
	if (load(c, in->resource, &n, &row) != CALL_OK)
		return CALL_FAIL;
	uint32_t kept = 0;
	for (uint32_t k = 0; k < row.tags.n; k++) {
		bool drop = false;
		for (uint32_t i = 0; i < in->tag_keys.n; i++)
			drop = drop || str_eq(row.tags.v[k].key, in->tag_keys.v[i]);
		if (!drop)
			row.tags.v[kept++] = row.tags.v[k];
	}
	row.tags.n = kept;
	lambda_put_function_row(c, &n, &row);
	return CALL_OK;
}
