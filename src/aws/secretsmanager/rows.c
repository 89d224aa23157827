/* Records of secrets, and how requests name them. */
#include "rows.h"

#include "core/meter.h"

const struct record_type secret_row = {&state_secretsmanager_api, "SecretRecord"},
                         secret_value_row = {&state_secretsmanager_api, "ValueRecord"};

struct str secret_under(struct arena *a, struct str account, struct str region)
{
	return KEY_UNDER(a, S("secretsmanager"), S("secret"), account, region);
}

struct str secret_key(struct arena *a, struct str account, struct str region, struct str name)
{
	return KEY(a, S("secretsmanager"), S("secret"), account, region, name);
}

struct str secret_value_key(struct arena *a, struct str account, struct str region, struct str name, struct str version)
{
	return KEY(a, S("secretsmanager"), S("value"), account, region, name, version);
}

struct str secret_arn(struct arena *a, struct str account, struct str region, const struct state_secretsmanager_secret_record *r)
{
	return arena_printf(a, "arn:aws:secretsmanager:%.*s:%.*s:secret:%.*s-%.*s", STR_ARG(region), STR_ARG(account),
	                    STR_ARG(r->name), STR_ARG(r->suffix));
}

bool secret_gone(const struct state_secretsmanager_secret_record *r, int64_t now_ms)
{
	return r->gone.set && r->gone.ms <= now_ms;
}

static bool load(struct call *c, struct str account, struct str name, struct secret *ret)
{
	struct secret s = {.account = account};
	if (!name.n || name.n > 256 || memchr(name.p, 0, name.n) || memchr(name.p, 1, name.n) ||
	    !record_get(call_txn(c), c->arena, secret_key(c->arena, account, c->region, name), &secret_row, &s.r) ||
	    secret_gone(&s.r, c->now_ms))
		return false;
	s.arn = secret_arn(c->arena, account, c->region, &s.r);
	*ret = s;
	return true;
}

/* A name may itself end with a hyphen and six characters, so a whole ARN is looked at first. */
bool secret_look(struct call *c, struct str id, struct secret *ret)
{
	struct str rest = id;
	if (!str_starts(id, S("arn:")))
		return load(c, c->account, id, ret);
	for (int i = 0; i < 2; i++)
		str_cut(&rest, ':');
	struct str service = str_cut(&rest, ':'), region = str_cut(&rest, ':'), account = str_cut(&rest, ':'),
	           kind = str_cut(&rest, ':');
	if (!str_is(service, "secretsmanager") || !str_eq(region, c->region) || account.n != 12 || !str_is(kind, "secret") ||
	    !str_set(rest))
		return false;
	ptrdiff_t at = str_rfind_char(rest, '-');
	if (at > 0 && rest.n - (size_t)at - 1 == SECRET_SUFFIX && load(c, account, str_sub(rest, 0, (size_t)at), ret) &&
	    str_eq(ret->arn, id))
		return true;
	return load(c, account, rest, ret);
}

int secret_find(struct call *c, struct str id, bool deleted, struct secret *ret)
{
	if (!secret_look(c, id, ret))
		return call_fail(c, "ResourceNotFoundException", 0, "Secrets Manager can't find the specified secret.");
	if (ret->r.deleted.set && !deleted)
		return secret_refused(c, "You can't perform this operation on the secret because it was marked for deletion.");
	return CALL_OK;
}

static void meter(struct store_txn *t, struct arena *a, struct str account, struct str region,
                  const struct state_secretsmanager_secret_record *r, bool there, int64_t now_ms)
{
	const struct meter_use use = {.usage = S("AWSSecretsManager-Secrets"), .rate = 1};
	struct str arn = secret_arn(a, account, region, r);
	if (there)
		meter_tags(t, a, account, region, arn, &r->tags, now_ms);
	meter_set(t, a, account, region, arn, &use, there ? 1 : 0, now_ms);
	if (!there)
		meter_tags(t, a, account, region, arn, NULL, now_ms);
}

void secret_save(struct call *c, const struct secret *s)
{
	record_put(call_txn(c), c->arena, secret_key(c->arena, s->account, c->region, s->r.name), &secret_row, &s->r);
	/* One that waits for its end costs nothing. */
	meter(call_txn(c), c->arena, s->account, c->region, &s->r, !s->r.deleted.set, c->now_ms);
}

void secret_drop(struct store_txn *t, struct arena *a, struct str account, struct str region,
                 const struct state_secretsmanager_secret_record *r, int64_t now_ms)
{
	for (uint32_t i = 0; i < r->versions.n; i++)
		store_delete(t, secret_value_key(a, account, region, r->name, r->versions.v[i].id));
	store_delete(t, secret_key(a, account, region, r->name));
	meter(t, a, account, region, r, false, now_ms);
}

int secret_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidParameterException", 0, "%.*s", STR_ARG(message));
}

int secret_refused(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidRequestException", 0, "%.*s", STR_ARG(message));
}

int secret_no_version(struct call *c, const char *what, struct str value)
{
	return call_fail(c, "ResourceNotFoundException", 0, "Secrets Manager can't find the specified secret value for %s: %.*s",
	                 what, STR_ARG(value));
}
