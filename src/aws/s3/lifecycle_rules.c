#include "aws/s3/bucket.h"
#include "aws/s3/lifecycle.h"
#include "base/clock.h"
#include "base/id.h"

enum { RULES_MAX = 1000 };
#define DAY_MS (86400 * INT64_C(1000))
/* What S3 says of every configuration unless told otherwise. It speaks of transitions, of which there are none here; tools that
 * compare what they put with what they get want to hear it. */
#define TRANSITION_LEAST S("all_storage_classes_128K")

static bool has_tag(const struct str_map *tags, const struct s3_tag *t)
{
	for (unsigned i = 0; i < tags->n; i++)
		if (str_eq(tags->v[i].key, t->key) && str_eq(tags->v[i].value, t->value))
			return true;
	return false;
}

static bool size_fits(struct opt_int greater, struct opt_int less, int64_t size)
{
	return (!greater.set || size > greater.v) && (!less.set || size < less.v);
}

bool lifecycle_applies(const struct s3_lifecycle_rule *r, struct str key, const struct str_map *tags, int64_t size)
{
	const struct s3_lifecycle_rule_filter *f = r->filter;
	if (!str_is(r->status, "Enabled") || (str_set(r->prefix) && !str_starts(key, r->prefix)))
		return false;
	if (!f)
		return true;
	if ((str_set(f->prefix) && !str_starts(key, f->prefix)) || (f->tag && !has_tag(tags, f->tag)) ||
	    !size_fits(f->object_size_greater_than, f->object_size_less_than, size))
		return false;
	const struct s3_lifecycle_rule_and_operator *and = f->and;
	if (!and)
		return true;
	for (unsigned i = 0; i < and->tags.n; i++)
		if (!has_tag(tags, &and->tags.v[i]))
			return false;
	return (!str_set(and->prefix) || str_starts(key, and->prefix)) &&
	       size_fits(and->object_size_greater_than, and->object_size_less_than, size);
}

int64_t lifecycle_midnight(int64_t t_ms, int64_t days)
{
	return (t_ms + days * DAY_MS + DAY_MS - 1) / DAY_MS * DAY_MS;
}

int64_t lifecycle_expires(const struct s3_lifecycle_rule *r, int64_t modified_ms)
{
	if (!r->expiration)
		return INT64_MAX;
	if (r->expiration->date.set)
		return r->expiration->date.ms;
	return r->expiration->days.set ? lifecycle_midnight(modified_ms, r->expiration->days.v) : INT64_MAX;
}

struct str lifecycle_header(struct arena *a, const struct s3_bucket_lifecycle_configuration *k, struct str key,
                            const struct state_s3_object *o)
{
	int64_t soonest = INT64_MAX;
	struct str id = STR_NONE;
	for (unsigned i = 0; i < k->rules.n; i++) {
		const struct s3_lifecycle_rule *r = &k->rules.v[i];
		int64_t when =
		        lifecycle_applies(r, key, &o->tags, o->size.v) ? lifecycle_expires(r, o->last_modified.ms) : INT64_MAX;
		if (when < soonest) {
			soonest = when;
			id = r->id;
		}
	}
	if (soonest == INT64_MAX)
		return STR_NONE;
	return arena_printf(a, "expiry-date=\"%.*s\", rule-id=\"%.*s\"", STR_ARG(time_format(a, soonest, TIME_RFC822)),
	                    STR_ARG(id));
}

/* --- putting rules */

static bool filter_has_tags_or_sizes(const struct s3_lifecycle_rule_filter *f)
{
	return f && (f->tag || f->object_size_greater_than.set || f->object_size_less_than.set ||
	             (f->and &&(f->and->tags.n || f->and->object_size_greater_than.set || f->and->object_size_less_than.set)));
}

static int check_filter(struct call *c, const struct s3_lifecycle_rule_filter *f)
{
	unsigned said = str_set(f->prefix) + (f->tag != NULL) + f->object_size_greater_than.set + f->object_size_less_than.set +
	                (f->and != NULL);
	if (said > 1)
		return s3_fail(c, S3_MALFORMED_XML);
	const struct s3_lifecycle_rule_and_operator *and = f->and;
	if (and&&str_set(and->prefix) + and->tags.n + and->object_size_greater_than.set + and->object_size_less_than.set < 2)
		return s3_fail(c, S3_MALFORMED_XML);
	return CALL_OK;
}

static int check_rule(struct call *c, const struct s3_lifecycle_rule *r)
{
	const struct s3_lifecycle_expiration *e = r->expiration;
	if (r->transitions.n || r->noncurrent_version_transitions.n)
		return s3_unsupported(c, "transitions between storage classes");
	if ((!str_is(r->status, "Enabled") && !str_is(r->status, "Disabled")) || (!r->filter && !str_set(r->prefix)) ||
	    (r->filter && str_set(r->prefix)))
		return s3_fail(c, S3_MALFORMED_XML);
	if (r->filter && check_filter(c, r->filter) != CALL_OK)
		return CALL_FAIL;
	if (str_utf8_len(r->id) > 255)
		return call_fail(c, "InvalidArgument", 400, "ID length should not exceed allowed limit of 255");
	if (!e && !r->noncurrent_version_expiration && !r->abort_incomplete_multipart_upload)
		return call_fail(c, "InvalidRequest", 400, "At least one action needs to be specified in a rule");
	if (e && e->days.set + e->date.set + e->expired_object_delete_marker.set != 1)
		return s3_fail(c, S3_MALFORMED_XML);
	if (e && e->days.set && e->days.v < 1)
		return call_fail(c, "InvalidArgument", 400, "'Days' for Expiration action must be a positive integer");
	if (e && e->date.set && e->date.ms % DAY_MS != 0)
		return call_fail(c, "InvalidArgument", 400, "'Date' must be at midnight GMT");
	if (e && e->expired_object_delete_marker.v && filter_has_tags_or_sizes(r->filter))
		return call_fail(c, "InvalidRequest", 400,
		                 "ExpiredObjectDeleteMarker cannot be specified with tags or object sizes");
	const struct s3_noncurrent_version_expiration *n = r->noncurrent_version_expiration;
	if (n && (!n->noncurrent_days.set || n->noncurrent_days.v < 1))
		return call_fail(c, "InvalidArgument", 400,
		                 "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer");
	if (n && n->newer_noncurrent_versions.set && (n->newer_noncurrent_versions.v < 1 || n->newer_noncurrent_versions.v > 100))
		return call_fail(c, "InvalidArgument", 400, "'NewerNoncurrentVersions' must be between 1 and 100");
	const struct s3_abort_incomplete_multipart_upload *up = r->abort_incomplete_multipart_upload;
	if (up && (!up->days_after_initiation.set || up->days_after_initiation.v < 1))
		return call_fail(c, "InvalidArgument", 400,
		                 "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer");
	if (up && filter_has_tags_or_sizes(r->filter))
		return call_fail(c, "InvalidRequest", 400,
		                 "AbortIncompleteMultipartUpload cannot be specified with tags or object sizes");
	return CALL_OK;
}

int s3_put_bucket_lifecycle_configuration(struct call *c, const struct s3_put_bucket_lifecycle_configuration_request *in,
                                          struct s3_put_bucket_lifecycle_configuration_output *out)
{
	struct state_s3_bucket b;
	struct s3_bucket_lifecycle_configuration *k = in->lifecycle_configuration;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	if (str_is(in->transition_default_minimum_object_size, "varies_by_storage_class"))
		return s3_unsupported(c, "transitions between storage classes");
	out->transition_default_minimum_object_size = TRANSITION_LEAST;
	if (!k || !k->rules.n || k->rules.n > RULES_MAX)
		return s3_fail(c, S3_MALFORMED_XML);
	for (unsigned i = 0; i < k->rules.n; i++) {
		struct s3_lifecycle_rule *r = &k->rules.v[i];
		if (check_rule(c, r) != CALL_OK)
			return CALL_FAIL;
		if (!r->id.n)
			r->id = id_uuid(c->arena);
		for (unsigned j = 0; j < i; j++)
			if (str_eq(k->rules.v[j].id, r->id))
				return call_fail(c, "InvalidArgument", 400,
				                 "Rule ID must be unique. Found same ID for more than one rule");
	}
	b.lifecycle = k;
	bucket_put(c, in->bucket, &b);
	lifecycle_soon(s3_state(c)->lifecycle);
	return CALL_OK;
}

int s3_get_bucket_lifecycle_configuration(struct call *c, const struct s3_get_bucket_lifecycle_configuration_request *in,
                                          struct s3_get_bucket_lifecycle_configuration_output *out)
{
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	if (!b.lifecycle)
		return s3_fail_bucket(c, S3_NO_SUCH_LIFECYCLE, in->bucket);
	out->rules = b.lifecycle->rules;
	out->transition_default_minimum_object_size = TRANSITION_LEAST;
	return CALL_OK;
}

int s3_delete_bucket_lifecycle(struct call *c, const struct s3_delete_bucket_lifecycle_request *in, struct model_none *out)
{
	(void)out;
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	b.lifecycle = NULL;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}
