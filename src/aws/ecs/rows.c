#include "rows.h"

#include "base/base64.h"

enum { NAME_MAX_CHARS = 255 };

__attribute__((format(printf, 3, 0))) static int fail(struct call *c, const char *code, const char *fmt, va_list ap)
{
	struct str message = arena_vprintf(c->arena, fmt, ap);
	return call_fail(c, code, 400, "%.*s", STR_ARG(message));
}

int ecs_client_error(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = fail(c, "ClientException", fmt, ap);
	va_end(ap);
	return r;
}

int ecs_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = fail(c, "InvalidParameterException", fmt, ap);
	va_end(ap);
	return r;
}

void ecs_failure(struct call *c, struct ecs_failures *to, struct str arn, const char *reason)
{
	*LIST_ADD(c->arena, to) = (struct ecs_failure){.arn = arn, .reason = str_from(reason)};
}

bool ecs_name_good(struct str name)
{
	bool good = name.n && name.n <= NAME_MAX_CHARS;
	for (size_t i = 0; i < name.n; i++)
		good = good && (ascii_is_alnum(name.p[i]) || name.p[i] == '_' || name.p[i] == '-');
	return good;
}

struct str ecs_arn(struct call *c, struct str rest)
{
	return arena_printf(c->arena, "arn:aws:ecs:%.*s:%.*s:%.*s", STR_ARG(c->region), STR_ARG(c->account), STR_ARG(rest));
}

struct str ecs_of_arn(struct call *c, const char *type, struct str text)
{
	if (!str_starts(text, S("arn:")))
		return text;
	struct str head = ecs_arn(c, ARENA_CAT(c->arena, str_from(type), S("/")));
	return str_starts(text, head) ? str_from_at(text, head.n) : STR_NONE;
}

struct str ecs_id_in_cluster(struct call *c, const char *type, struct str cluster, struct str text)
{
	struct str rest = ecs_of_arn(c, type, text);
	if (str_starts(text, S("arn:")) && (!str_set(rest) || !str_eq(str_cut(&rest, '/'), cluster)))
		return STR_NONE;
	for (size_t i = 0; i < rest.n; i++)
		if (!ascii_is_alnum(rest.p[i]) && rest.p[i] != '-')
			return STR_NONE;
	return rest.n && rest.n <= 64 ? rest : STR_NONE;
}

/* --- walks and pages */

int ecs_walk_begin(struct call *c, struct ecs_walk *w, struct str prefix, struct str token, bool descending)
{
	struct str from = prefix, to = store_prefix_end(c->arena, prefix);
	if (token.n) {
		struct str last = base64url_decode(c->arena, token);
		if (!str_set(last) || !str_starts(last, prefix))
			return ecs_invalid(c, "Invalid token in ListRequest");
		if (descending)
			to = last;
		else
			from = ARENA_CAT(c->arena, last, str_of("", 1));
	}
	w->iter = store_scan(call_txn(c), from, to, descending);
	return CALL_OK;
}

bool ecs_walk_next(struct ecs_walk *w)
{
	struct store_value v;
	if (!store_next(w->iter, &w->key, &v))
		return false;
	w->value = v.value;
	return true;
}

struct str ecs_page_token(struct call *c, struct str key)
{
	return base64url_encode(c->arena, key);
}

int ecs_page_size(struct call *c, struct opt_int max_results, int64_t most, uint32_t *ret)
{
	if (max_results.set && (max_results.v < 1 || max_results.v > most))
		return ecs_invalid(c, "maxResults must be between 1 and %lld.", (long long)most);
	*ret = (uint32_t)(max_results.set ? max_results.v : most);
	return CALL_OK;
}
