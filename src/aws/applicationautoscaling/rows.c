#include "rows.h"

#include "base/base64.h"

enum { PAGE_MAX = 50 };

static const struct record_type target_row = {&state_applicationautoscaling_api, "TargetRecord"};

struct appscale appscale_of_call(struct call *c)
{
	return (struct appscale){.txn = call_txn(c),
	                         .arena = c->arena,
	                         .cloud = c->cloud,
	                         .account = c->account,
	                         .region = c->region,
	                         .now_ms = c->now_ms};
}

int appscale_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ValidationException", 400, "%.*s", STR_ARG(message));
}

int appscale_full(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "LimitExceededException", 400, "%.*s", STR_ARG(message));
}

int appscale_none(struct call *c, const char *what, const struct resource *of, struct str name)
{
	struct str more = str_set(name) ? arena_printf(c->arena, ", %.*s", STR_ARG(name)) : S("");
	return call_fail(c, "ObjectNotFoundException", 400,
	                 "%s for service namespace: %.*s, resource ID: %.*s, scalable dimension: %.*s%.*s", what,
	                 STR_ARG(of->namespace), STR_ARG(of->id), STR_ARG(of->dimension), STR_ARG(more));
}

int appscale_resource(struct call *c, struct str namespace, struct str id, struct str dimension, struct resource *ret)
{
	*ret = (struct resource){resource_kind_of(namespace, dimension), namespace, id, dimension};
	if (!ret->kind)
		return appscale_invalid(c, "Unsupported service namespace, resource type or scalable dimension");
	return CALL_OK;
}

/* --- keys */

struct str appscale_key(const struct appscale *s, const char *kind, const struct resource *of, struct str name)
{
	return str_set(name)
	               ? KEY(s->arena, S(APPSCALE), str_from(kind), s->account, s->region, of->namespace, of->id, of->dimension,
	                     name)
	               : KEY(s->arena, S(APPSCALE), str_from(kind), s->account, s->region, of->namespace, of->id, of->dimension);
}

struct str appscale_under(const struct appscale *s, const char *kind, struct str namespace, struct str id, struct str dimension)
{
	struct str parts[] = {S(APPSCALE), str_from(kind), s->account, s->region, namespace, id, dimension};
	size_t n = 5;
	while (n < sizeof(parts) / sizeof(*parts) && parts[n].n)
		n++;
	return record_key_under(s->arena, parts, n);
}

struct str appscale_id_key(const struct appscale *s, const char *kind, struct str id)
{
	return KEY(s->arena, S(APPSCALE), str_from(kind), s->account, s->region, id);
}

/* --- targets */

bool target_find(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *ret)
{
	*ret = (struct state_applicationautoscaling_target_record){0};
	return record_get(s->txn, s->arena, appscale_key(s, "target", of, STR_NONE), &target_row, ret);
}

void target_put(const struct appscale *s, const struct resource *of, const struct state_applicationautoscaling_target_record *r)
{
	record_put(s->txn, s->arena, appscale_key(s, "target", of, STR_NONE), &target_row, r);
}

int target_get(struct call *c, const struct resource *of, struct state_applicationautoscaling_target_record *ret)
{
	struct appscale s = appscale_of_call(c);
	return target_find(&s, of, ret) ? CALL_OK : appscale_none(c, "No scalable target registered", of, STR_NONE);
}

/* --- pages */

int page_begin(struct call *c, struct page *p, struct str under, struct opt_int max_results, struct str token)
{
	*p = (struct page){.left = max_results.set ? max_results.v : PAGE_MAX};
	if (p->left < 1 || p->left > PAGE_MAX)
		return appscale_invalid(c, "MaxResults must be between 1 and %d", PAGE_MAX);
	if (token.n) {
		p->after = base64url_decode(c->arena, token);
		if (!str_set(p->after) || !str_starts(p->after, under))
			return call_fail(c, "InvalidNextTokenException", 400, "The specified next token is invalid.");
	}
	if (str_set(under))
		p->iter = store_scan(call_txn(c), str_set(p->after) ? p->after : under, store_prefix_end(c->arena, under), false);
	return CALL_OK;
}

bool page_next(struct page *p)
{
	struct store_value v;
	while (store_next(p->iter, &p->key, &v)) {
		p->value = v.value;
		if (!str_set(p->after) || str_cmp(p->key, p->after) > 0)
			return true;
	}
	return false;
}

bool page_take(struct call *c, struct page *p, struct str *ret_token)
{
	if (!p->left--) {
		*ret_token = base64url_encode(c->arena, p->last);
		return false;
	}
	p->last = arena_dup(c->arena, p->key);
	return true;
}

bool appscale_among(const struct str_list *l, struct str text)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], text))
			return true;
	return !l->n;
}
