#include "aws/s3/metrics.h"

#include "aws/s3/bucket.h"

#include <stdlib.h>

enum { CONFIGURATIONS_MAX = 1000, PAGE = 100, ID_MAX = 64 };

/* --- filters */

static bool has_tag(const struct str_map *tags, const struct s3_tag *t)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (str_eq(tags->v[i].key, t->key) && str_eq(tags->v[i].value, t->value))
			return true;
	return false;
}

bool metrics_filter_tags(const struct s3_metrics_filter *f)
{
	return f && (f->tag || (f->and &&f->and->tags.n));
}

bool metrics_filter_fits(const struct s3_metrics_filter *f, struct str key, const struct str_map *tags)
{
	if (!f)
		return true;
	if (!str_set(key) || (str_set(f->prefix) && !str_starts(key, f->prefix)) || (f->tag && !has_tag(tags, f->tag)))
		return false;
	for (uint32_t i = 0; f->and &&i < f->and->tags.n; i++)
		if (!has_tag(tags, &f->and->tags.v[i]))
			return false;
	return !f->and || !str_set(f->and->prefix) || str_starts(key, f->and->prefix);
}

static int check_filter(struct call *c, const struct s3_metrics_filter *f)
{
	const struct s3_metrics_and_operator *and = f->and;
	if (str_set(f->prefix) + (f->tag != NULL) + str_set(f->access_point_arn) + (and != NULL) != 1)
		return s3_fail(c, S3_MALFORMED_XML);
	if (str_set(f->access_point_arn) || (and&&str_set(and->access_point_arn)))
		return s3_unsupported(c, "access points");
	if (and&&str_set(and->prefix) + and->tags.n < 2)
		return s3_fail(c, S3_MALFORMED_XML);
	for (uint32_t i = 0; and&&i < and->tags.n; i++)
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(and->tags.v[i].key, and->tags.v[k].key))
				return call_fail(c, "InvalidRequest", 400, "Duplicate tag keys are not allowed.");
	return CALL_OK;
}

/* --- the bucket's setting */

static bool id_valid(struct str id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alnum(id.p[i]) && !memchr("-._", id.p[i], 3))
			return false;
	return id.n && id.n <= ID_MAX;
}

static uint32_t find(const struct s3_metrics_configuration_list *l, struct str id)
{
	uint32_t i = 0;
	while (i < l->n && !str_eq(l->v[i].id, id))
		i++;
	return i;
}

static int by_id(const void *x, const void *y)
{
	return str_cmp(((const struct s3_metrics_configuration *)x)->id, ((const struct s3_metrics_configuration *)y)->id);
}

int s3_put_bucket_metrics_configuration(struct call *c, const struct s3_put_bucket_metrics_configuration_request *in,
                                        struct model_none *out)
{
	(void)out;
	struct state_s3_bucket b;
	struct s3_metrics_configuration_list all = {0};
	const struct s3_metrics_configuration *given = in->metrics_configuration;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	if (!given || !str_set(given->id))
		return s3_fail(c, S3_MALFORMED_XML);
	if (!id_valid(in->id) || !str_eq(in->id, given->id))
		return s3_bad_argument(c, "The configuration id is invalid, or is not the one of the request.", "id", in->id);
	if (given->filter && check_filter(c, given->filter) != CALL_OK)
		return CALL_FAIL;
	uint32_t at = find(&b.metrics, given->id);
	if (at == b.metrics.n && at == CONFIGURATIONS_MAX)
		return call_fail(
		        c, "TooManyConfigurations", 400,
		        "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.");
	for (uint32_t i = 0; i < b.metrics.n; i++)
		if (i != at)
			*LIST_ADD(c->arena, &all) = b.metrics.v[i];
	*LIST_ADD(c->arena, &all) = *given;
	qsort(all.v, all.n, sizeof(*all.v), by_id);
	b.metrics = all;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_get_bucket_metrics_configuration(struct call *c, const struct s3_get_bucket_metrics_configuration_request *in,
                                        struct s3_get_bucket_metrics_configuration_output *out)
{
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	uint32_t at = find(&b.metrics, in->id);
	if (at == b.metrics.n)
		return s3_fail_bucket(c, S3_NO_SUCH_CONFIGURATION, in->bucket);
	out->metrics_configuration = &b.metrics.v[at];
	return CALL_OK;
}

int s3_delete_bucket_metrics_configuration(struct call *c, const struct s3_delete_bucket_metrics_configuration_request *in,
                                           struct model_none *out)
{
	(void)out;
	struct state_s3_bucket b;
	struct s3_metrics_configuration_list rest = {0};
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	uint32_t at = find(&b.metrics, in->id);
	if (at == b.metrics.n)
		return s3_fail_bucket(c, S3_NO_SUCH_CONFIGURATION, in->bucket);
	for (uint32_t i = 0; i < b.metrics.n; i++)
		if (i != at)
			*LIST_ADD(c->arena, &rest) = b.metrics.v[i];
	b.metrics = rest;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

/* A token is the last id that was listed. */
int s3_list_bucket_metrics_configurations(struct call *c, const struct s3_list_bucket_metrics_configurations_request *in,
                                          struct s3_list_bucket_metrics_configurations_output *out)
{
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	uint32_t at = 0;
	while (str_set(in->continuation_token) && at < b.metrics.n && str_cmp(b.metrics.v[at].id, in->continuation_token) <= 0)
		at++;
	out->continuation_token = in->continuation_token;
	for (; at < b.metrics.n && out->metrics_configuration_list.n < PAGE; at++)
		*LIST_ADD(c->arena, &out->metrics_configuration_list) = b.metrics.v[at];
	out->is_truncated = OPT_BOOL(at < b.metrics.n);
	if (at < b.metrics.n)
		out->next_continuation_token = b.metrics.v[at - 1].id;
	return CALL_OK;
}
