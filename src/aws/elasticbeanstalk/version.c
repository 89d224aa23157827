/* Versions: labels of source bundles that lie in S3. A bundle is looked for through the gate, as whoever makes the version. */
#include "bundle.h"
#include "environment.h"

#include "gen/s3.h"

#include <stdlib.h>

enum { USUAL = 1000 };
#define BUNDLE_BYTES_MAX ((int64_t)512 << 20)

/* What S3 said of a bundle. */
struct look {
	struct call_errand errand;
	int64_t bytes;
	char code[64];
};

static void drop(struct call_errand *e)
{
	free(e);
}

static void looked(void *ctx, struct call *sub)
{
	struct look *l = ctx;
	size_t n = sub->error.code.n < sizeof(l->code) ? sub->error.code.n : sizeof(l->code) - 1;
	memcpy(l->code, n ? sub->error.code.p : "", n);
	if (!n && strcmp(sub->row->name, "HeadObject") == 0)
		l->bytes = ((const struct s3_head_object_output *)sub->out)->content_length.v;
	call_over(&l->errand);
}

static int ask(struct call *c, const char *operation, const void *in)
{
	struct look *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->errand.drop = drop;
	call_op(c->cloud, c->caller, c->region, &s3_api, operation, in, looked, l);
	return call_wait_for(c, &l->errand);
}

static int check_bundle(struct call *c, const struct elasticbeanstalk_s3_location *b)
{
	const struct look *l = c->state;
	if (!l) {
		const struct s3_head_object_request in = {.bucket = b->s3_bucket, .key = b->s3_key};
		return ask(c, "HeadObject", &in);
	}
	if (l->code[0])
		return bundle_missing(c, b, l->code);
	if (l->bytes > BUNDLE_BYTES_MAX)
		return beanstalk_invalid(c, "Source bundle is too large: %lld bytes. The maximum is %lld bytes.",
		                         (long long)l->bytes, (long long)BUNDLE_BYTES_MAX);
	return CALL_OK;
}

static int check_wish(struct call *c, const struct elasticbeanstalk_create_application_version_message *in)
{
	const struct elasticbeanstalk_s3_location *b = in->source_bundle;
	if (in->source_build_information && b)
		return beanstalk_combination(c, "Both SourceBundle and SourceBuildInformation may not be specified.");
	if (in->source_build_information || in->build_configuration)
		return beanstalk_invalid(c, "Builds by AWS CodeBuild are not supported.");
	if (!b)
		return beanstalk_invalid(c, "A SourceBundle is needed: sample applications are not supported.");
	if (!b->s3_bucket.n || !b->s3_key.n)
		return beanstalk_combination(c, "Both S3Bucket and S3Key must be specified.");
	return beanstalk_check_name(c, "Version label", in->version_label);
}

/* Processing: is what the service itself reads of the bundle as it should be? Whoever waits for it reads events. */
static void process(struct call *c, struct elasticbeanstalk_application_version_description *v, const struct bundle *b)
{
	struct scope s = beanstalk_scope(c);
	struct str_list faults = {0};
	if (!b->is_zip)
		*LIST_ADD(c->arena, &faults) = S("The source bundle is no zip file.");
	else
		bundle_faults(c, b, &faults);
	v->status = faults.n ? S("FAILED") : S("PROCESSED");
	for (uint32_t i = 0; i <= faults.n; i++)
		event_add(&s, c->request_id,
		          &(struct elasticbeanstalk_event_description){
		                  .message = i < faults.n ? faults.v[i]
		                                          : ARENA_CAT(c->arena, S("Finished processing application version "),
		                                                      v->version_label, S(": "), v->status, S(".")),
		                  .severity = faults.n ? S("ERROR") : S("INFO"),
		                  .application_name = v->application_name,
		                  .version_label = v->version_label});
}

int elasticbeanstalk_create_application_version(struct call *c,
                                                const struct elasticbeanstalk_create_application_version_message *in,
                                                struct elasticbeanstalk_application_version_description_message *out)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record a = {0};
	struct state_elasticbeanstalk_version_record r = {0};
	bool there = application_find(&s, in->application_name, &a);
	if (!there && !in->auto_create_application.v)
		return beanstalk_no_application(c, in->application_name);
	if (version_find(&s, in->application_name, in->version_label, &r))
		return beanstalk_invalid(c, "Application Version %.*s already exists.", STR_ARG(in->version_label));
	if (check_wish(c, in) != CALL_OK || tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	if (beanstalk_count(&s, "version") >= VERSIONS_MAX)
		return call_fail(c, "TooManyApplicationVersionsException", 400,
		                 "Maximum number of Application Versions (%d) reached.", VERSIONS_MAX);
	const struct elasticbeanstalk_application_version_description wish = {
	        .application_name = in->application_name, .version_label = in->version_label, .source_bundle = in->source_bundle};
	const struct bundle *b = NULL;
	int said = in->process.v ? bundle_of(c, &wish, &b) : check_bundle(c, in->source_bundle);
	if (said != CALL_OK)
		return said;
	if (!there && application_make(c, in->application_name, STR_NONE, NULL, NULL, &a) != CALL_OK)
		return CALL_FAIL;
	r.version = arena_new(c->arena, struct elasticbeanstalk_application_version_description);
	*r.version = (struct elasticbeanstalk_application_version_description){
	        .application_name = in->application_name,
	        .application_version_arn = beanstalk_arn(&s, "applicationversion", in->application_name, in->version_label),
	        .description = in->description,
	        .version_label = in->version_label,
	        .source_bundle = in->source_bundle,
	        .date_created = OPT_TIME(c->now_ms),
	        .date_updated = OPT_TIME(c->now_ms),
	        .status = S("UNPROCESSED")};
	if (b)
		process(c, r.version, b);
	tags_copy(c->arena, &in->tags, &r.tags);
	version_put(&s, &r);
	lifecycle_apply(c, &a);
	out->application_version = r.version;
	return CALL_OK;
}

static bool wanted(const struct str_list *labels, struct str label)
{
	for (uint32_t i = 0; i < labels->n; i++)
		if (str_eq(labels->v[i], label))
			return true;
	return !labels->n;
}

/* Newer ones have smaller texts. */
static struct str place(struct arena *a, const struct elasticbeanstalk_application_version_description *v, uint32_t at)
{
	return arena_printf(a, "%016llx%06u", (unsigned long long)(INT64_MAX - v->date_created.ms), at);
}

int elasticbeanstalk_describe_application_versions(struct call *c,
                                                   const struct elasticbeanstalk_describe_application_versions_message *in,
                                                   struct elasticbeanstalk_application_version_descriptions_message *out)
{
	struct scope s = beanstalk_scope(c);
	struct page p;
	struct str last = STR_NONE;
	if (beanstalk_page(c, in->max_records, in->next_token, USUAL, &p) != CALL_OK)
		return CALL_FAIL;
	struct versions all = version_all(&s, in->application_name);
	out->application_versions.set = true;
	for (uint32_t i = 0; i < all.n; i++) {
		struct str at = place(c->arena, all.v[i].version, i);
		if (!wanted(&in->version_labels, all.v[i].version->version_label) ||
		    (str_set(p.after) && str_cmp(at, p.after) <= 0))
			continue;
		if (!p.left--) {
			out->next_token = beanstalk_token(c, last);
			break;
		}
		last = at;
		*LIST_ADD(c->arena, &out->application_versions) = *all.v[i].version;
	}
	return CALL_OK;
}

int elasticbeanstalk_update_application_version(struct call *c,
                                                const struct elasticbeanstalk_update_application_version_message *in,
                                                struct elasticbeanstalk_application_version_description_message *out)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record a;
	struct state_elasticbeanstalk_version_record r;
	if (application_get(c, in->application_name, &a) != CALL_OK ||
	    version_get(c, in->application_name, in->version_label, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->description))
		r.version->description = in->description.n ? in->description : STR_NONE;
	r.version->date_updated = OPT_TIME(c->now_ms);
	version_put(&s, &r);
	out->application_version = r.version;
	return CALL_OK;
}

int elasticbeanstalk_delete_application_version(struct call *c,
                                                const struct elasticbeanstalk_delete_application_version_message *in,
                                                struct model_none *out)
{
	(void)out;
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record a;
	struct state_elasticbeanstalk_version_record r;
	if (application_get(c, in->application_name, &a) != CALL_OK ||
	    version_get(c, in->application_name, in->version_label, &r) != CALL_OK)
		return CALL_FAIL;
	if (version_used(&s, in->application_name, in->version_label))
		return beanstalk_invalid(
		        c, "Unable to delete application version %.*s because it is deployed to a running environment.",
		        STR_ARG(in->version_label));
	const struct look *l = c->state;
	const struct elasticbeanstalk_s3_location *b = r.version->source_bundle;
	if (in->delete_source_bundle.v && !l) {
		const struct s3_delete_object_request delete = {.bucket = b->s3_bucket, .key = b->s3_key};
		return ask(c, "DeleteObject", &delete);
	}
	if (l && l->code[0])
		return call_fail(c, "SourceBundleDeletionFailure", 400,
		                 "Unable to delete source bundle from S3 location (Bucket: %.*s  Key: %.*s). Reason: %s",
		                 STR_ARG(b->s3_bucket), STR_ARG(b->s3_key), l->code);
	version_drop(&s, in->application_name, in->version_label);
	return CALL_OK;
}
