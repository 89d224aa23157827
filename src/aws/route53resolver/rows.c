#include "rows.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/id.h"

#include <stdarg.h>

static const struct {
	struct record_type type;
	const char *key;
} kinds[] = {
        [RESOLVER_ENDPOINT] = {{&state_route53resolver_api, "EndpointRecord"}, "endpoint"},
        [RESOLVER_RULE] = {{&state_route53resolver_api, "RuleRecord"}, "rule"},
        [RESOLVER_ASSOCIATION] = {{&state_route53resolver_api, "AssociationRecord"}, "association"},
        [RESOLVER_CONFIG] = {{&state_route53resolver_api, "ConfigRecord"}, "config"},
};

struct resolver_scope resolver_scope(struct call *c)
{
	return (struct resolver_scope){.txn = call_txn(c), .arena = c->arena, .account = c->account, .region = c->region};
}

/* --- records */

static struct str key_of(const struct resolver_scope *s, enum resolver_kind kind, struct str id)
{
	return KEY(s->arena, S("route53resolver"), str_from(kinds[kind].key), s->account, s->region, id);
}

bool resolver_find(const struct resolver_scope *s, enum resolver_kind kind, struct str id, void *ret)
{
	return id.n && id.n <= 64 && record_get(s->txn, s->arena, key_of(s, kind, id), &kinds[kind].type, ret);
}

void resolver_put(const struct resolver_scope *s, enum resolver_kind kind, struct str id, const void *record)
{
	record_put(s->txn, s->arena, key_of(s, kind, id), &kinds[kind].type, record);
}

void resolver_drop(const struct resolver_scope *s, enum resolver_kind kind, struct str id)
{
	store_delete(s->txn, key_of(s, kind, id));
}

bool resolver_read(struct arena *a, enum resolver_kind kind, struct str value, void *ret)
{
	return record_read(a, value, &kinds[kind].type, ret);
}

bool resolver_kind_named(struct str name, enum resolver_kind *ret)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (str_is(name, kinds[i].key)) {
			*ret = (enum resolver_kind)i;
			return true;
		}
	return false;
}

static struct str under(const struct resolver_scope *s, enum resolver_kind kind)
{
	return KEY_UNDER(s->arena, S("route53resolver"), str_from(kinds[kind].key), s->account, s->region);
}

struct resolver_all resolver_all(const struct resolver_scope *s, enum resolver_kind kind)
{
	struct str prefix = under(s, kind);
	return (struct resolver_all){
	        .scope = *s, .kind = kind, .iter = store_scan(s->txn, prefix, store_prefix_end(s->arena, prefix), false)};
}

bool resolver_next(struct resolver_all *all, void *ret)
{
	struct store_value v;
	while (store_next(all->iter, &all->key, &v))
		if (resolver_read(all->scope.arena, all->kind, v.value, ret))
			return true;
	return false;
}

/* --- errors, ids, times */

int resolver_invalid(struct call *c, const char *field, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	call_fail(c, "InvalidParameterException", 400, "%.*s", STR_ARG(text));
	return call_field(c, "FieldName", str_from(field));
}

int resolver_bad(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidRequestException", 400, "%.*s", STR_ARG(text));
}

int resolver_absent(struct call *c, const char *type, const char *noun, struct str id)
{
	call_fail(c, "ResourceNotFoundException", 400, "%s with ID \"%.*s\" does not exist.", noun, STR_ARG(id));
	return call_field(c, "ResourceType", str_from(type));
}

int resolver_limit(struct call *c, const char *type, const char *what, int64_t most)
{
	call_fail(c, "LimitExceededException", 400, "The limit of %lld %s was reached.", (long long)most, what);
	return call_field(c, "ResourceType", str_from(type));
}

int resolver_only(struct call *c, bool asked, const char *field, const char *what)
{
	return asked ? resolver_invalid(c, field, "%s is not supported.", what) : CALL_OK;
}

struct str resolver_arn(struct arena *a, struct str region, struct str account, const char *type, struct str id)
{
	return arena_printf(a, "arn:aws:route53resolver:%.*s:%.*s:%s/%.*s", STR_ARG(region), STR_ARG(account), type, STR_ARG(id));
}

struct str resolver_make_id(struct call *c, const char *prefix)
{
	return ARENA_CAT(c->arena, str_from(prefix), id_hex(c->arena, 17));
}

struct str resolver_time(struct arena *a, int64_t ms)
{
	return time_format(a, ms, TIME_ISO8601_MS);
}

struct str resolver_traced(struct call *c, const char *text)
{
	return arena_printf(c->arena, "[Trace id: 1-%08llx-%.*s] %s", (unsigned long long)(c->now_ms / 1000),
	                    STR_ARG(id_hex(c->arena, 24)), text);
}

int resolver_endpoint_get(struct call *c, struct str id, struct state_route53resolver_endpoint_record *ret)
{
	struct resolver_scope s = resolver_scope(c);
	return resolver_find(&s, RESOLVER_ENDPOINT, id, ret) ? CALL_OK
	                                                     : resolver_absent(c, "resolver-endpoint", "Resolver endpoint", id);
}

int resolver_rule_get(struct call *c, struct str id, struct state_route53resolver_rule_record *ret)
{
	struct resolver_scope s = resolver_scope(c);
	if (str_is(id, RESOLVER_INTERNET)) {
		*ret = (struct state_route53resolver_rule_record){.rule = resolver_internet_rule(c->arena, c->region)};
		return CALL_OK;
	}
	return resolver_find(&s, RESOLVER_RULE, id, ret) ? CALL_OK : resolver_absent(c, "resolver-rule", "Resolver rule", id);
}

/* --- pages */

int resolver_page_begin(struct call *c, struct resolver_page *p, enum resolver_kind kind, struct opt_int max, struct str token)
{
	struct resolver_scope s = resolver_scope(c);
	struct str prefix = under(&s, kind), from = prefix;
	if (token.n) {
		struct str last = base64url_decode(c->arena, token);
		if (!str_set(last) || !str_starts(last, prefix))
			return call_fail(c, "InvalidNextTokenException", 400, "The NextToken is not valid.");
		from = ARENA_CAT(c->arena, last, str_of("", 1));
	}
	*p = (struct resolver_page){.limit = max.set ? (uint32_t)max.v : 100};
	p->all = (struct resolver_all){
	        .scope = s, .kind = kind, .iter = store_scan(s.txn, from, store_prefix_end(c->arena, prefix), false)};
	return CALL_OK;
}

bool resolver_page_add(struct call *c, struct resolver_page *p, struct str *ret_token)
{
	if (p->n == p->limit) {
		*ret_token = base64url_encode(c->arena, p->last);
		return false;
	}
	p->n++;
	p->last = arena_dup(c->arena, p->all.key);
	return true;
}

/* --- filters */

static bool is_named(struct str text, const char *name)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '_' && (!*name || ascii_lower(text.p[i]) != ascii_lower(*name++)))
			return false;
	return !*name;
}

static const struct resolver_field *field_of(const struct resolver_field *fields, struct str name)
{
	while (fields->name && !is_named(name, fields->name))
		fields++;
	return fields->name ? fields : NULL;
}

int resolver_filters_check(struct call *c, const struct route53resolver_filters *f, const struct resolver_field *fields)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (!field_of(fields, f->v[i].name))
			return resolver_invalid(c, "Filters", "The filter name \"%.*s\" is not valid.", STR_ARG(f->v[i].name));
	return CALL_OK;
}

static bool has(const struct str_list *values, struct str value)
{
	for (uint32_t i = 0; i < values->n; i++)
		if (str_eq(values->v[i], value))
			return true;
	return false;
}

bool resolver_filters_pass(struct arena *a, const struct route53resolver_filters *f, const struct resolver_field *fields,
                           const void *shown)
{
	for (uint32_t i = 0; i < f->n; i++) {
		const struct resolver_field *field = field_of(fields, f->v[i].name);
		const void *at = (const char *)shown + field->at;
		bool passes = false;
		if (field->kind == RESOLVER_LIST) {
			const struct str_list *list = at;
			for (uint32_t k = 0; k < list->n; k++)
				passes |= has(&f->v[i].values, list->v[k]);
		} else if (field->kind == RESOLVER_NUMBER) {
			const struct opt_int *number = at;
			passes = has(&f->v[i].values, arena_printf(a, "%lld", (long long)number->v));
		} else {
			const struct str *text = at;
			passes = has(&f->v[i].values, *text);
		}
		if (!passes)
			return false;
	}
	return true;
}
