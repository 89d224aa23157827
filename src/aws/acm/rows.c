#include "rows.h"

#include "base/id.h"
#include "core/seal.h"

#include <stdlib.h>

const struct record_type acm_certificate_row = {&state_acm_api, "CertificateRecord"};

/* --- keys and ARNs */

struct str acm_key(struct arena *a, struct str account, struct str region, struct str id)
{
	return KEY(a, S("acm"), S("certificate"), account, region, id);
}

struct str acm_under(struct arena *a, struct str account, struct str region)
{
	return KEY_UNDER(a, S("acm"), S("certificate"), account, region);
}

bool acm_arn_parse(struct str arn, struct str *ret_account, struct str *ret_region, struct str *ret_id)
{
	struct str rest = arn, kind = S("certificate/");
	if (!str_is(str_cut(&rest, ':'), "arn") || !str_is(str_cut(&rest, ':'), "aws") || !str_is(str_cut(&rest, ':'), "acm"))
		return false;
	struct str region = str_cut(&rest, ':'), account = str_cut(&rest, ':');
	if (!str_starts(rest, kind) || rest.n - kind.n > 64 || region.n > 64 || account.n > 12)
		return false;
	*ret_account = account;
	*ret_region = region;
	*ret_id = str_from_at(rest, kind.n);
	return ret_id->n > 0;
}

static struct str key_of(struct arena *a, struct str arn)
{
	struct str account, region, id;
	return acm_arn_parse(arn, &account, &region, &id) ? acm_key(a, account, region, id) : STR_NONE;
}

/* --- records */

static bool find(struct store_txn *t, struct arena *a, struct str arn, struct state_acm_certificate_record *ret)
{
	struct str key = key_of(a, arn);
	return str_set(key) && record_get(t, a, key, &acm_certificate_row, ret) && ret->detail;
}

bool acm_load_quietly(struct call *c, struct str arn, struct state_acm_certificate_record *ret)
{
	struct str account, region, id;
	return acm_arn_parse(arn, &account, &region, &id) && str_eq(account, c->account) && str_eq(region, c->region) &&
	       find(call_txn(c), c->arena, arn, ret);
}

bool acm_load(struct call *c, struct str arn, struct state_acm_certificate_record *ret)
{
	if (acm_load_quietly(c, arn, ret))
		return true;
	call_fail(c, "ResourceNotFoundException", 0, "Could not find certificate %.*s.", STR_ARG(arn));
	return false;
}

void acm_save(struct call *c, const struct state_acm_certificate_record *r)
{
	record_put(call_txn(c), c->arena, key_of(c->arena, r->detail->certificate_arn), &acm_certificate_row, r);
}

void acm_drop(struct call *c, struct str arn)
{
	store_delete(call_txn(c), key_of(c->arena, arn));
}

bool acm_create(struct call *c, struct acm_certificate_detail *d)
{
	struct str under = acm_under(c->arena, c->account, c->region), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	unsigned n = 0;
	while (store_next(i, &key, &v))
		n++;
	if (n >= ACM_CERTIFICATES_MAX) {
		call_fail(c, "LimitExceededException", 0, "You have reached the maximum number of certificates (%d).",
		          ACM_CERTIFICATES_MAX);
		return false;
	}
	d->certificate_arn = arena_printf(c->arena, "arn:aws:acm:%.*s:%.*s:certificate/%.*s", STR_ARG(c->region),
	                                  STR_ARG(c->account), STR_ARG(id_uuid(c->arena)));
	d->created_at = OPT_TIME(c->now_ms);
	return true;
}

/* --- what is in a certificate */

static const char *const usage_names[] = {"DIGITAL_SIGNATURE", "NON_REPUDIATION", "KEY_ENCIPHERMENT",
                                          "DATA_ENCIPHERMENT", "KEY_AGREEMENT",   "CERTIFICATE_SIGNING",
                                          "CRL_SIGNING",       "ENCIPHER_ONLY",   "DECIPHER_ONLY"};
static const struct {
	const char *oid, *name;
} purposes[] = {
        {"1.3.6.1.5.5.7.3.1", "TLS_WEB_SERVER_AUTHENTICATION"},
        {"1.3.6.1.5.5.7.3.2", "TLS_WEB_CLIENT_AUTHENTICATION"},
        {"1.3.6.1.5.5.7.3.3", "CODE_SIGNING"},
        {"1.3.6.1.5.5.7.3.4", "EMAIL_PROTECTION"},
        {"1.3.6.1.5.5.7.3.5", "IPSEC_END_SYSTEM"},
        {"1.3.6.1.5.5.7.3.6", "IPSEC_TUNNEL"},
        {"1.3.6.1.5.5.7.3.7", "IPSEC_USER"},
        {"1.3.6.1.5.5.7.3.8", "TIME_STAMPING"},
        {"1.3.6.1.5.5.7.3.9", "OCSP_SIGNING"},
        {"2.5.29.37.0", "ANY"},
};

static struct str purpose_name(struct str oid)
{
	for (size_t i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++)
		if (str_is(oid, purposes[i].oid))
			return str_from(purposes[i].name);
	return S("CUSTOM");
}

static void fill_usages(struct arena *a, struct acm_certificate_detail *d, const struct cert_facts *f)
{
	d->key_usages = (struct acm_key_usage_list){.set = true};
	d->extended_key_usages = (struct acm_extended_key_usage_list){.set = true};
	for (unsigned i = 0; i < sizeof(usage_names) / sizeof(usage_names[0]); i++)
		if (f->usages & 1u << i)
			LIST_ADD(a, &d->key_usages)->name = str_from(usage_names[i]);
	if (!f->has_usages)
		LIST_ADD(a, &d->key_usages)->name = S("ANY");
	for (size_t i = 0; i < f->purpose_count; i++)
		*LIST_ADD(a, &d->extended_key_usages) =
		        (struct acm_extended_key_usage){purpose_name(f->purposes[i]), f->purposes[i]};
	if (!f->purpose_count)
		LIST_ADD(a, &d->extended_key_usages)->name = S("NONE");
}

bool acm_fill(const struct cloud *cloud, struct arena *a, struct state_acm_certificate_record *r, const struct cert_bundle *pem)
{
	struct acm_certificate_detail *d = r->detail;
	struct cert_facts f;
	struct str account, region, id;
	if (!cloud->seal || !acm_arn_parse(d->certificate_arn, &account, &region, &id) || !cert_read(a, pem->body, &f))
		return false;
	struct str sealed = seal_put(cloud->seal, a, pem->key, id);
	if (!str_set(sealed))
		return false;
	r->key = sealed;
	r->body = pem->body;
	r->chain = pem->chain;
	d->serial = f.serial;
	d->subject = f.subject;
	d->issuer = f.issuer_name;
	d->not_before = OPT_TIME(f.not_before_ms);
	d->not_after = OPT_TIME(f.not_after_ms);
	d->key_algorithm = f.key_algorithm;
	d->signature_algorithm = f.signature_algorithm;
	d->status = S("ISSUED");
	fill_usages(a, d, &f);
	return true;
}

struct str acm_status(const struct acm_certificate_detail *d, int64_t now_ms)
{
	return str_is(d->status, "ISSUED") && d->not_after.ms <= now_ms ? S("EXPIRED") : d->status;
}

struct str acm_algorithm_show(struct arena *a, struct str algorithm)
{
	ptrdiff_t at = str_find_char(algorithm, '_');
	return at < 0 ? algorithm : ARENA_CAT(a, str_sub(algorithm, 0, (size_t)at), S("-"), str_from_at(algorithm, (size_t)at + 1));
}

struct str acm_lower(struct arena *a, struct str text)
{
	char *p = arena_dupz(a, text);
	for (size_t i = 0; i < text.n; i++)
		p[i] = ascii_lower(p[i]);
	return str_of(p, text.n);
}

int acm_unsupported(struct call *c, const char *what)
{
	return call_fail(c, "UnsupportedOperationException", 501, "Quartet does not provide %s.", what);
}

/* --- for others */

bool acm_find(const struct cloud *cloud, struct store_txn *t, struct arena *a, struct str arn, struct acm_certificate *ret)
{
	struct state_acm_certificate_record r;
	struct str account, region, id;
	if (!acm_arn_parse(arn, &account, &region, &id) || !find(t, a, arn, &r) || !str_set(r.body))
		return false;
	*ret = (struct acm_certificate){.pem = {.body = r.body, .chain = r.chain},
	                                .names = r.detail->subject_alternative_names,
	                                .key_algorithm = r.detail->key_algorithm,
	                                .expires_ms = r.detail->not_after.ms};
	if (cloud->seal)
		ret->pem.key = seal_get(cloud->seal, a, r.key, id);
	return true;
}

static struct str use_key(struct arena *a, struct str arn, struct str by)
{
	struct str account = STR_NONE, region = STR_NONE, id = STR_NONE;
	acm_arn_parse(arn, &account, &region, &id);
	return KEY(a, S("acm"), S("use"), account, region, id, by);
}

void acm_use(struct store_txn *t, struct arena *a, struct str arn, struct str by)
{
	store_put(t, use_key(a, arn, by), S("-"));
}

void acm_unuse(struct store_txn *t, struct arena *a, struct str arn, struct str by)
{
	store_delete(t, use_key(a, arn, by));
}

struct str_list acm_users(struct store_txn *t, struct arena *a, struct str arn)
{
	struct str_list users = {.set = true};
	struct str account, region, id, key;
	struct store_value v;
	if (!acm_arn_parse(arn, &account, &region, &id))
		return users;
	struct str under = KEY_UNDER(a, S("acm"), S("use"), account, region, id);
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(a, key);
		*LIST_ADD(a, &users) = parts.v[parts.n - 1];
	}
	return users;
}

struct acm_watch {
	struct store_watch *watch;
	acm_changed_fn *fn;
	void *ctx;
};

static void changed(void *ctx, const struct store_event *e)
{
	const struct acm_watch *w = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n < 5 || str_is(parts.v[1], "token"))
		return;
	w->fn(w->ctx, arena_printf(&a, "arn:aws:acm:%.*s:%.*s:certificate/%.*s", STR_ARG(parts.v[3]), STR_ARG(parts.v[2]),
	                           STR_ARG(parts.v[4])));
}

struct acm_watch *acm_watch(const struct cloud *cloud, acm_changed_fn *fn, void *ctx)
{
	struct arena CLEAN_ARENA a = {0};
	struct acm_watch *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	struct str under = KEY_UNDER(&a, S("acm"));
	w->fn = fn;
	w->ctx = ctx;
	w->watch = store_watch(cloud->store, under, store_prefix_end(&a, under), store_revision(cloud->store), changed, w);
	return w;
}

void acm_unwatch(struct acm_watch *w)
{
	if (w)
		store_unwatch(w->watch);
	free(w);
}
