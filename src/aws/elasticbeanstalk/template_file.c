/* Saved configurations as files of the storage bucket, where tools fetch them, edit them and put them back: what a file there says
 * goes before what the record has. Files have the form of environment manifests. */
#include "bundle.h"
#include "environment.h"

#include "base/buf.h"
#include "base/json.h"
#include "core/cloud.h"
#include "gen/s3.h"

#include <stdlib.h>

enum { FILE_BYTES_MAX = 256 << 10 };

static struct str bucket_of(struct call *c)
{
	return ARENA_CAT(c->arena, S("elasticbeanstalk-"), c->region, S("-"), c->account);
}

static struct str key_of(struct call *c, struct str application, struct str name)
{
	return ARENA_CAT(c->arena, S("resources/templates/"), application, S("/"), name);
}

/* --- reading */

int template_saved(struct call *c, struct str application, struct str name, struct state_elasticbeanstalk_template_record *ret)
{
	struct scope s = beanstalk_scope(c);
	struct elasticbeanstalk_s3_location place = {bucket_of(c), key_of(c, application, name)};
	const struct bundle *b = NULL;
	struct str_list faults = {0};
	bool there = template_find(&s, application, name, ret);
	int said = bundle_saved(c, application, name, &place, &b);
	if (said != CALL_OK)
		return said;
	if (!b)
		return template_get(c, application, name, ret);
	if (bundle_faults(c, b, &faults))
		return beanstalk_invalid(c, "The saved configuration %.*s cannot be used: %.*s", STR_ARG(name),
		                         STR_ARG(faults.v[faults.n > 1]));
	const struct platform *p =
	        platform_get(c, str_set(b->manifest.platform) ? STR_NONE : b->manifest.stack, b->manifest.platform);
	if (!p)
		return CALL_FAIL;
	if (!there) {
		*ret = (struct state_elasticbeanstalk_template_record){0};
		ret->template = arena_new(c->arena, struct elasticbeanstalk_configuration_settings_description);
		*ret->template = (struct elasticbeanstalk_configuration_settings_description){.application_name = application,
		                                                                              .template_name = name,
		                                                                              .date_created = OPT_TIME(c->now_ms),
		                                                                              .date_updated = OPT_TIME(c->now_ms)};
	}
	ret->template->option_settings = (struct elasticbeanstalk_configuration_option_settings_list){0};
	options_set(c->arena, &ret->template->option_settings, &b->manifest_options);
	ret->template->solution_stack_name = platform_stack(c->arena, p);
	ret->template->platform_arn = platform_arn(c->arena, c->region, p);
	return CALL_OK;
}

/* --- writing */

/* A text between quotes: what is between them is taken as it is, but for quotes. */
static void put_text(struct buf *b, struct str text)
{
	json_put_string(b, text); /* YAML has JSON's texts */
}

/* Options of a resource have its name before their namespace. */
static struct str section(struct arena *a, const struct elasticbeanstalk_configuration_option_setting *o)
{
	return o->resource_name.n ? ARENA_CAT(a, o->resource_name, S("."), o->namespace) : o->namespace;
}

static bool same_section(const struct elasticbeanstalk_configuration_option_setting *one,
                         const struct elasticbeanstalk_configuration_option_setting *other)
{
	return str_eq(one->namespace, other->namespace) && str_eq(one->resource_name, other->resource_name);
}

static struct str file_of(struct call *c, const struct elasticbeanstalk_configuration_settings_description *d)
{
	const struct elasticbeanstalk_configuration_option_settings_list *l = &d->option_settings;
	struct buf CLEAN_BUF b;
	buf_init(&b, FILE_BYTES_MAX);
	buf_printf(&b, "EnvironmentConfigurationMetadata:\n  Description: ");
	put_text(&b, str_set(d->description) ? d->description : S(""));
	buf_printf(&b, "\n  DateCreated: '%lld'\n  DateModified: '%lld'\nPlatform:\n  PlatformArn: ", (long long)d->date_created.ms,
	           (long long)d->date_updated.ms);
	put_text(&b, d->platform_arn);
	buf_printf(&b, "\nOptionSettings:%s\n", l->n ? "" : " {}");
	for (uint32_t i = 0; i < l->n; i++) {
		bool had = false;
		for (uint32_t k = 0; k < i; k++)
			had |= same_section(&l->v[k], &l->v[i]);
		if (had)
			continue;
		buf_add_lit(&b, "  ");
		put_text(&b, section(c->arena, &l->v[i]));
		buf_add_lit(&b, ":\n");
		for (uint32_t k = i; k < l->n; k++) {
			if (!same_section(&l->v[k], &l->v[i]))
				continue;
			buf_add_lit(&b, "    ");
			put_text(&b, l->v[k].option_name);
			buf_add_lit(&b, ": ");
			put_text(&b, str_set(l->v[k].value) ? l->v[k].value : S(""));
			buf_add_lit(&b, "\n");
		}
	}
	buf_add_lit(&b, "AWSConfigurationTemplateVersion: 1.1.0.0\n");
	return arena_dup(c->arena, buf_str(&b));
}

struct writing {
	struct call_errand errand;
	const struct principal *as; /* the role that AWS makes for Elastic Beanstalk in an account may do this */
	int asked;                  /* questions that have been answered */
};

static void drop(struct call_errand *e)
{
	struct writing *w = (struct writing *)e;
	principal_unref(w->as);
	free(w);
}

static void answered(void *ctx, struct call *sub)
{
	struct writing *w = ctx;
	(void)sub; /* the record is what counts: a file that is not there says nothing */
	w->asked++;
	call_over(&w->errand);
}

static struct writing *writing_of(struct call *c)
{
	struct writing *w = c->state ? c->state : calloc(1, sizeof(*w));
	if (!w)
		abort();
	if (!c->state) {
		w->errand.drop = drop;
		w->as = principal_new(PRINCIPAL_ROOT, c->account);
	}
	return w;
}

int template_write(struct call *c, const struct elasticbeanstalk_configuration_settings_description *d)
{
	struct writing *w = writing_of(c);
	const struct s3_put_object_request in = {.bucket = bucket_of(c), .key = key_of(c, d->application_name, d->template_name)};
	if (w->asked >= 2)
		return CALL_OK;
	if (w->asked == 0)
		call_op(c->cloud, w->as, c->region, &elasticbeanstalk_api, "CreateStorageLocation", &(struct model_none){0},
		        answered, w);
	else
		call_op_body(c->cloud, w->as, c->region, &s3_api, "PutObject", &in, file_of(c, d), answered, w);
	return call_wait_for(c, &w->errand);
}

int template_erase(struct call *c, struct str application, struct str name)
{
	struct writing *w = writing_of(c);
	const struct s3_delete_object_request in = {.bucket = bucket_of(c), .key = key_of(c, application, name)};
	if (w->asked)
		return CALL_OK;
	call_op(c->cloud, w->as, c->region, &s3_api, "DeleteObject", &in, answered, w);
	return call_wait_for(c, &w->errand);
}
