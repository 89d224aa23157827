#include "rows.h"

#include "base/base64.h"

#include <stdlib.h>

static const struct record_type application_row = {&state_elasticbeanstalk_api, "ApplicationRecord"};
static const struct record_type version_row = {&state_elasticbeanstalk_api, "VersionRecord"};
static const struct record_type template_row = {&state_elasticbeanstalk_api, "TemplateRecord"};

struct scope beanstalk_scope(struct call *c)
{
	return (struct scope){.txn = call_txn(c),
	                      .arena = c->arena,
	                      .cloud = c->cloud,
	                      .account = c->account,
	                      .region = c->region,
	                      .now_ms = c->now_ms};
}

int beanstalk_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidParameterValue", 400, "%.*s", STR_ARG(message));
}

int beanstalk_combination(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidParameterCombination", 400, "%.*s", STR_ARG(message));
}

int beanstalk_no_application(struct call *c, struct str name)
{
	return beanstalk_invalid(c, "No Application named '%.*s' found.", STR_ARG(name));
}

struct str beanstalk_arn(const struct scope *s, const char *kind, struct str application, struct str name)
{
	return arena_printf(s->arena, "arn:aws:elasticbeanstalk:%.*s:%.*s:%s/%.*s%s%.*s", STR_ARG(s->region), STR_ARG(s->account),
	                    kind, STR_ARG(application), str_set(name) ? "/" : "", STR_ARG(name));
}

int beanstalk_check_name(struct call *c, const char *what, struct str name)
{
	return str_find_char(name, '/') < 0 ? CALL_OK : beanstalk_invalid(c, "%s cannot contain '/'.", what);
}

/* --- records */

static struct str key_of(const struct scope *s, const char *kind, struct str application, struct str name)
{
	return KEY(s->arena, S("elasticbeanstalk"), str_from(kind), s->account, s->region, application, name);
}

static struct str application_key(const struct scope *s, struct str name)
{
	return KEY(s->arena, S("elasticbeanstalk"), S("application"), s->account, s->region, name);
}

struct str beanstalk_under(const struct scope *s, const char *kind, struct str application)
{
	return str_set(application) ? KEY_UNDER(s->arena, S("elasticbeanstalk"), str_from(kind), s->account, s->region, application)
	                            : KEY_UNDER(s->arena, S("elasticbeanstalk"), str_from(kind), s->account, s->region);
}

uint32_t beanstalk_count(const struct scope *s, const char *kind)
{
	struct str under = beanstalk_under(s, kind, STR_NONE), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	uint32_t n = 0;
	while (store_next(iter, &key, &v))
		n++;
	return n;
}

void beanstalk_drop_all(const struct scope *s, const char *kind, struct str application)
{
	struct str under = beanstalk_under(s, kind, application), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	struct str_list all = {0};
	while (store_next(iter, &key, &v))
		*LIST_ADD(s->arena, &all) = arena_dup(s->arena, key);
	for (uint32_t i = 0; i < all.n; i++)
		store_delete(s->txn, all.v[i]);
}

bool application_find(const struct scope *s, struct str name, struct state_elasticbeanstalk_application_record *ret)
{
	return str_set(name) && record_get(s->txn, s->arena, application_key(s, name), &application_row, ret);
}

int application_get(struct call *c, struct str name, struct state_elasticbeanstalk_application_record *ret)
{
	struct scope s = beanstalk_scope(c);
	*ret = (struct state_elasticbeanstalk_application_record){0};
	return application_find(&s, name, ret) ? CALL_OK : beanstalk_no_application(c, name);
}

void application_put(const struct scope *s, const struct state_elasticbeanstalk_application_record *r)
{
	record_put(s->txn, s->arena, application_key(s, r->application->application_name), &application_row, r);
}

void application_drop(const struct scope *s, struct str name)
{
	store_delete(s->txn, application_key(s, name));
}

bool version_find(const struct scope *s, struct str application, struct str label,
                  struct state_elasticbeanstalk_version_record *ret)
{
	return str_set(application) && str_set(label) &&
	       record_get(s->txn, s->arena, key_of(s, "version", application, label), &version_row, ret);
}

int version_get(struct call *c, struct str application, struct str label, struct state_elasticbeanstalk_version_record *ret)
{
	struct scope s = beanstalk_scope(c);
	*ret = (struct state_elasticbeanstalk_version_record){0};
	return version_find(&s, application, label, ret)
	               ? CALL_OK
	               : beanstalk_invalid(c, "No Application Version named '%.*s' found.", STR_ARG(label));
}

void version_put(const struct scope *s, const struct state_elasticbeanstalk_version_record *r)
{
	record_put(s->txn, s->arena, key_of(s, "version", r->version->application_name, r->version->version_label), &version_row,
	           r);
}

void version_drop(const struct scope *s, struct str application, struct str label)
{
	store_delete(s->txn, key_of(s, "version", application, label));
}

static int newer_first(const void *a, const void *b)
{
	const struct state_elasticbeanstalk_version_record *one = a, *other = b;
	int64_t at = one->version->date_created.ms, than = other->version->date_created.ms;
	if (at != than)
		return at < than ? 1 : -1;
	int named = str_cmp(other->version->version_label, one->version->version_label);
	return named ? named : str_cmp(other->version->application_name, one->version->application_name);
}

struct versions version_all(const struct scope *s, struct str application)
{
	struct versions all = {0};
	struct str under = beanstalk_under(s, "version", application), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_elasticbeanstalk_version_record r = {0};
		if (record_read(s->arena, v.value, &version_row, &r))
			*LIST_ADD(s->arena, &all) = r;
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), newer_first);
	return all;
}

bool template_find(const struct scope *s, struct str application, struct str name,
                   struct state_elasticbeanstalk_template_record *ret)
{
	return str_set(application) && str_set(name) &&
	       record_get(s->txn, s->arena, key_of(s, "template", application, name), &template_row, ret);
}

int template_get(struct call *c, struct str application, struct str name, struct state_elasticbeanstalk_template_record *ret)
{
	struct scope s = beanstalk_scope(c);
	*ret = (struct state_elasticbeanstalk_template_record){0};
	return template_find(&s, application, name, ret)
	               ? CALL_OK
	               : beanstalk_invalid(c, "No Configuration Template named '%.*s/%.*s' found.", STR_ARG(application),
	                                   STR_ARG(name));
}

void template_put(const struct scope *s, const struct state_elasticbeanstalk_template_record *r)
{
	record_put(s->txn, s->arena, key_of(s, "template", r->template->application_name, r->template->template_name),
	           &template_row, r);
}

void template_drop(const struct scope *s, struct str application, struct str name)
{
	store_delete(s->txn, key_of(s, "template", application, name));
}

/* --- pages */

int beanstalk_page(struct call *c, struct opt_int max_records, struct str token, uint32_t usual, struct page *ret)
{
	*ret = (struct page){.left = max_records.set ? (uint32_t)max_records.v : usual};
	if (!token.n)
		return CALL_OK;
	ret->after = base64url_decode(c->arena, token);
	return str_set(ret->after) ? CALL_OK : beanstalk_invalid(c, "Invalid NextToken '%.*s'.", STR_ARG(token));
}

struct str beanstalk_token(struct call *c, struct str last)
{
	return base64url_encode(c->arena, last);
}
