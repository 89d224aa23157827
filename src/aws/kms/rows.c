/* Records of keys, and how requests name them. */
#include "rows.h"

#include "base/base64.h"
#include "base/id.h"

const struct record_type kms_key_row = {&state_kms_api, "KeyRecord"}, kms_alias_row = {&state_kms_api, "AliasRecord"},
                         kms_grant_row = {&state_kms_api, "GrantRecord"};

/* --- keys of records */

struct str kms_key_under(struct arena *a, struct str account, struct str region)
{
	return KEY_UNDER(a, S("kms"), S("key"), account, region);
}

static struct str key_of(struct arena *a, struct str account, struct str region, struct str id)
{
	return KEY(a, S("kms"), S("key"), account, region, id);
}

struct str kms_alias_under(struct arena *a, struct str account, struct str region)
{
	return KEY_UNDER(a, S("kms"), S("alias"), account, region);
}

struct str kms_alias_key(struct call *c, struct str account, struct str name)
{
	return KEY(c->arena, S("kms"), S("alias"), account, c->region, name);
}

struct str kms_grant_under(struct arena *a, struct str account, struct str region, struct str key_id)
{
	return KEY_UNDER(a, S("kms"), S("grant"), account, region, key_id);
}

struct str kms_key_arn(struct arena *a, struct str account, struct str region, struct str id)
{
	return arena_printf(a, "arn:aws:kms:%.*s:%.*s:key/%.*s", STR_ARG(region), STR_ARG(account), STR_ARG(id));
}

struct str kms_alias_arn(struct call *c, struct str name)
{
	return arena_printf(c->arena, "arn:aws:kms:%.*s:%.*s:%.*s", STR_ARG(c->region), STR_ARG(c->account), STR_ARG(name));
}

/* --- records */

bool kms_gone(const struct state_kms_key_record *r, int64_t now_ms)
{
	return str_is(r->state, "PendingDeletion") && r->deletion_date.ms <= now_ms;
}

bool kms_load(struct call *c, struct str account, struct str id, struct kms_found *ret)
{
	struct kms_found k = {.account = account};
	if (!id_is_uuid(id) || !record_get(call_txn(c), c->arena, key_of(c->arena, account, c->region, id), &kms_key_row, &k.r) ||
	    kms_gone(&k.r, c->now_ms))
		return false;
	k.arn = kms_key_arn(c->arena, account, c->region, id);
	*ret = k;
	return true;
}

void kms_save(struct call *c, const struct kms_found *k)
{
	record_put(call_txn(c), c->arena, key_of(c->arena, k->account, c->region, k->r.id), &kms_key_row, &k->r);
}

static void drop_under(struct store_txn *t, struct arena *a, struct str under)
{
	struct str key;
	struct store_value v;
	struct str_list keys = {0};
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	while (store_next(i, &key, &v))
		*LIST_ADD(a, &keys) = arena_dup(a, key);
	for (uint32_t n = 0; n < keys.n; n++)
		store_delete(t, keys.v[n]);
}

void kms_drop(struct store_txn *t, struct arena *a, struct str account, struct str region, const struct state_kms_key_record *r)
{
	struct str under = kms_alias_under(a, account, region), key;
	struct store_value v;
	struct state_kms_alias_record alias;
	struct str_list names = {0};
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	while (store_next(i, &key, &v))
		if (record_read(a, v.value, &kms_alias_row, &alias) && str_eq(alias.key_id, r->id))
			*LIST_ADD(a, &names) = arena_dup(a, key);
	for (uint32_t n = 0; n < names.n; n++)
		store_delete(t, names.v[n]);
	drop_under(t, a, kms_grant_under(a, account, region, r->id));
	store_delete(t, key_of(a, account, region, r->id));
}

/* --- references */

/* What is behind arn:aws:kms:REGION:ACCOUNT: — or all of it, of the caller's account. False: the error is set. */
static bool take_apart(struct call *c, struct str text, struct str *ret_account, struct str *ret_name)
{
	struct str rest = text;
	*ret_account = c->account;
	*ret_name = text;
	if (!str_starts(text, S("arn:")))
		return true;
	str_cut(&rest, ':');
	struct str partition = str_cut(&rest, ':'), service = str_cut(&rest, ':'), region = str_cut(&rest, ':'),
	           account = str_cut(&rest, ':');
	bool good = str_is(partition, "aws") && str_is(service, "kms") && account.n == 12 && str_set(rest);
	if (!good) {
		call_fail(c, "InvalidArnException", 0, "%.*s is not a valid ARN", STR_ARG(text));
		return false;
	}
	if (!str_eq(region, c->region)) {
		call_fail(c, "NotFoundException", 0, "Invalid arn %.*s", STR_ARG(region));
		return false;
	}
	*ret_account = account;
	*ret_name = rest;
	return true;
}

static int no_key(struct call *c, struct str account, struct str id)
{
	struct str arn = kms_key_arn(c->arena, account, c->region, id);
	return call_fail(c, "NotFoundException", 0, "Key '%.*s' does not exist", STR_ARG(arn));
}

static int find_alias(struct call *c, struct str account, struct str name, struct kms_found *ret)
{
	struct state_kms_alias_record alias;
	struct str service;
	struct str arn = arena_printf(c->arena, "arn:aws:kms:%.*s:%.*s:%.*s", STR_ARG(c->region), STR_ARG(account), STR_ARG(name));
	bool there = name.n <= 256 && record_get(call_txn(c), c->arena, kms_alias_key(c, account, name), &kms_alias_row, &alias);
	if (!there && str_eq(account, c->account) && kms_managed_service(name, &service)) {
		if (!kms_managed_make(c, service, ret))
			return call_broken(c, "an AWS managed key cannot be made: this machine's key is not there");
	} else if (!there || !kms_load(c, account, alias.key_id, ret)) {
		return call_fail(c, "NotFoundException", 0, "Alias %.*s is not found.", STR_ARG(arn));
	}
	ret->alias = name;
	return CALL_OK;
}

int kms_find(struct call *c, struct str reference, struct kms_found *ret)
{
	struct str account, name;
	if (!take_apart(c, reference, &account, &name))
		return CALL_FAIL;
	if (str_starts(name, S("alias/")))
		return find_alias(c, account, name, ret);
	return kms_find_key(c, reference, ret);
}

int kms_find_key(struct call *c, struct str reference, struct kms_found *ret)
{
	struct str account, name;
	if (!take_apart(c, reference, &account, &name))
		return CALL_FAIL;
	if (!str_eq(name, reference)) {
		if (!str_starts(name, S("key/")))
			return call_fail(c, "InvalidArnException", 0, "%.*s is not a valid ARN of a key", STR_ARG(reference));
		name = str_from_at(name, 4);
	}
	if (str_starts(name, S("mrk-")))
		return no_key(c, account, name);
	if (!id_is_uuid(name))
		return call_fail(c, "NotFoundException", 0, "Invalid keyId '%.*s'", STR_ARG(reference));
	return kms_load(c, account, name, ret) ? CALL_OK : no_key(c, account, name);
}

/* --- states */

int kms_usable(struct call *c, const struct kms_found *k, const char *usage)
{
	if (str_is(k->r.state, "Disabled"))
		return call_fail(c, "DisabledException", 0, "%.*s is disabled.", STR_ARG(k->arn));
	if (str_is(k->r.state, "PendingDeletion"))
		return call_fail(c, "KMSInvalidStateException", 0, "%.*s is pending deletion.", STR_ARG(k->arn));
	if (!str_is(k->r.usage, usage))
		return call_fail(c, "InvalidKeyUsageException", 0, "%.*s key usage is %.*s which is not valid for %.*s.",
		                 STR_ARG(k->arn), STR_ARG(k->r.usage), STR_ARG(api_text(c->service->api, c->op->name)));
	return CALL_OK;
}

int kms_changeable(struct call *c, const struct kms_found *k)
{
	if (!str_eq(k->account, c->account))
		return call_fail(c, "AccessDeniedException", 0, "Keys of other accounts cannot be changed: %.*s", STR_ARG(k->arn));
	if (str_is(k->r.manager, "AWS"))
		return call_fail(c, "AccessDeniedException", 0,
		                 "User: %.*s is not authorized to perform: kms:%.*s on resource: %.*s, which is managed by AWS",
		                 STR_ARG(c->caller->arn), STR_ARG(api_text(c->service->api, c->op->name)), STR_ARG(k->arn));
	if (str_is(k->r.state, "PendingDeletion"))
		return call_fail(c, "KMSInvalidStateException", 0, "%.*s is pending deletion.", STR_ARG(k->arn));
	return CALL_OK;
}

int kms_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ValidationException", 0, "%.*s", STR_ARG(message));
}

int kms_unsupported(struct call *c, const char *what)
{
	return call_fail(c, "UnsupportedOperationException", 0, "%s not supported by this cloud.", what);
}

int kms_dry_run(struct call *c)
{
	return call_fail(c, "DryRunOperationException", 0, "The request would have succeeded, but the DryRun option is set.");
}

/* --- pages */

bool kms_marker(struct call *c, struct str marker, struct str under, struct str *ret_from)
{
	*ret_from = under;
	if (!str_set(marker))
		return true;
	struct str last = base64url_decode(c->arena, marker);
	if (!str_set(last) || !str_starts(last, under)) {
		call_fail(c, "InvalidMarkerException", 0, "Could not deserialize marker.");
		return false;
	}
	*ret_from = ARENA_CAT(c->arena, last, str_of("", 1));
	return true;
}

struct str kms_marker_of(struct call *c, struct str key)
{
	return base64url_encode(c->arena, key);
}
