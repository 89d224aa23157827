#include "rows.h"

#include "base/base64.h"
#include "base/hash.h"

enum { NAME_BYTES_MAX = 300, STANDARD_MAX = 10000, ADVANCED_MAX = 100000 };

static const struct record_type parameter_row = {&state_ssm_api, "ParameterRecord"},
                                version_row = {&state_ssm_api, "VersionRecord"}, count_row = {&state_ssm_api, "CountRecord"};

/* --- keys: names up to a length that the store takes; longer ones their beginning and a digest, so they sort by their beginning.
 * The characters of a name need no escape. */

static struct str name_head(struct str name)
{
	return str_sub(name, 0, NAME_BYTES_MAX);
}

static struct str name_part(struct arena *a, struct str name)
{
	if (name.n <= NAME_BYTES_MAX)
		return name;
	return ARENA_CAT(a, name_head(name), S(" "), str_sub(hash_hex(a, HASH_SHA256, name), 0, 32));
}

struct str ssm_under(struct call *c)
{
	return KEY_UNDER(c->arena, S("ssm"), S("parameter"), c->account, c->region);
}

struct str ssm_names_under(struct call *c, struct str prefix)
{
	return ARENA_CAT(c->arena, ssm_under(c), name_head(prefix));
}

struct str ssm_key(struct call *c, struct str name)
{
	return KEY(c->arena, S("ssm"), S("parameter"), c->account, c->region, name_part(c->arena, name));
}

struct str ssm_version_key(struct call *c, struct str name, int64_t version)
{
	return KEY(c->arena, S("ssm"), S("version"), c->account, c->region, name_part(c->arena, name),
	           arena_printf(c->arena, "%016llx", (unsigned long long)version));
}

/* --- records */

bool ssm_find(struct call *c, struct str name, struct state_ssm_parameter_record *ret)
{
	if (ssm_name_public(name))
		return ssm_public_find(c, name, ret);
	/* No parameter has such a name, and no key either. */
	if (!name.n || memchr(name.p, 0, name.n) || memchr(name.p, 1, name.n))
		return false;
	return record_get(call_txn(c), c->arena, ssm_key(c, name), &parameter_row, ret);
}

bool ssm_find_version(struct call *c, const struct state_ssm_parameter_record *p, int64_t version,
                      struct state_ssm_version_record *ret)
{
	if (version == p->latest->version.v) {
		*ret = *p->latest;
		return true;
	}
	return version >= p->oldest.v && version < p->latest->version.v &&
	       record_get(call_txn(c), c->arena, ssm_version_key(c, p->name, version), &version_row, ret);
}

void ssm_put_row(struct call *c, const struct state_ssm_parameter_record *p)
{
	record_put(call_txn(c), c->arena, ssm_key(c, p->name), &parameter_row, p);
}

void ssm_drop(struct call *c, const struct state_ssm_parameter_record *p)
{
	bool advanced = str_is(p->latest->tier, "Advanced");
	for (int64_t v = p->oldest.v; v < p->latest->version.v; v++)
		store_delete(call_txn(c), ssm_version_key(c, p->name, v));
	store_delete(call_txn(c), ssm_key(c, p->name));
	ssm_count(c, advanced ? 0 : -1, advanced ? -1 : 0);
}

int ssm_count(struct call *c, int64_t standard, int64_t advanced)
{
	struct str key = KEY(c->arena, S("ssm"), S("count"), c->account, c->region);
	struct state_ssm_count_record n = {0};
	record_get(call_txn(c), c->arena, key, &count_row, &n);
	n.standard = OPT_INT(n.standard.v + standard);
	n.advanced = OPT_INT(n.advanced.v + advanced);
	if ((standard > 0 && n.standard.v > STANDARD_MAX) || (advanced > 0 && n.advanced.v > ADVANCED_MAX))
		return call_fail(
		        c, "ParameterLimitExceeded", 0,
		        "You have exceeded the number of parameters for this AWS account in this Region: at most %d standard and %d "
		        "advanced ones.",
		        STANDARD_MAX, ADVANCED_MAX);
	record_put(call_txn(c), c->arena, key, &count_row, &n);
	return CALL_OK;
}

bool ssm_value(struct call *c, struct str name, const struct state_ssm_version_record *v, bool decrypt, struct str *ret)
{
	if (!str_is(v->type, "SecureString")) {
		*ret = v->value;
		return true;
	}
	if (!decrypt) {
		*ret = base64_encode(c->arena, v->sealed);
		return true;
	}
	return ssm_unseal(c, v, ssm_arn(c, name), ret) == CALL_OK;
}

/* --- walks and pages: the token is the key that was listed last */

struct str ssm_page_key(struct call *c, struct str token, struct str under)
{
	struct str last = base64url_decode(c->arena, token);
	return str_set(last) && str_starts(last, under) ? last : STR_NONE;
}

int ssm_walk_begin(struct call *c, struct ssm_walk *w, struct str prefix, struct str token)
{
	struct str from = ssm_names_under(c, prefix), end = store_prefix_end(c->arena, from);
	w->prefix = prefix;
	if (str_set(token) && token.n) {
		struct str last = ssm_page_key(c, token, ssm_under(c));
		if (!str_set(last))
			return call_fail(c, "InvalidNextToken", 0, "The specified token is not valid.");
		if (str_cmp(last, from) >= 0)
			from = ARENA_CAT(c->arena, last, str_of("", 1));
	}
	w->iter = store_scan(call_txn(c), from, end, false);
	return CALL_OK;
}

bool ssm_walk_next(struct call *c, struct ssm_walk *w)
{
	struct store_value v;
	while (store_next(w->iter, &w->key, &v))
		if (record_read(c->arena, v.value, &parameter_row, &w->row) && str_starts(w->row.name, w->prefix))
			return true;
	return false;
}

struct str ssm_page_token(struct call *c, struct str last)
{
	return base64url_encode(c->arena, last);
}

int ssm_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ValidationException", 0, "%.*s", STR_ARG(message));
}
