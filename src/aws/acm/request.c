/* RequestCertificate: it answers at once with a certificate that waits for validation; issuer.c goes on from there. */
#include "rows.h"

#include "base/hash.h"

enum { TOKEN_LIFE_MS = 3600 * 1000 };

static const struct record_type token_row = {&state_acm_api, "TokenRecord"};

static bool is_below(struct str name, struct str parent)
{
	return str_ieq(name, parent) ||
	       (name.n > parent.n && name.p[name.n - parent.n - 1] == '.' && str_ieq(str_from_at(name, name.n - parent.n), parent));
}

/* --- what was asked for */

static int check(struct call *c, const struct acm_request_certificate_request *in)
{
	if (str_set(in->certificate_authority_arn))
		return acm_unsupported(c, "certificates of private authorities");
	if (str_set(in->managed_by))
		return acm_unsupported(c, "certificates that CloudFront manages");
	if (str_is(in->validation_method, "HTTP"))
		return acm_unsupported(c, "validation by HTTP");
	if (in->options && str_is(in->options->export, "ENABLED"))
		return acm_unsupported(c, "certificates that can be exported");
	if (str_set(in->key_algorithm) && !str_is(in->key_algorithm, "RSA_2048") && !str_is(in->key_algorithm, "EC_prime256v1") &&
	    !str_is(in->key_algorithm, "EC_secp384r1"))
		return call_fail(c, "ValidationException", 0, "The key algorithm %.*s is not supported for certificate requests.",
		                 STR_ARG(in->key_algorithm));
	if (in->domain_name.n > ACM_NAME_BYTES_MAX)
		return call_fail(c, "InvalidParameterException", 0, "The first domain name can not be longer than %d characters.",
		                 ACM_NAME_BYTES_MAX);
	return CALL_OK;
}

static void add_name(struct call *c, struct str_list *names, struct str name)
{
	name = acm_lower(c->arena, name);
	for (uint32_t i = 0; i < names->n; i++)
		if (str_eq(names->v[i], name))
			return;
	*LIST_ADD(c->arena, names) = name;
}

/* The names, each once, the first one first; and how each is to be validated. */
static int take_names(struct call *c, const struct acm_request_certificate_request *in, struct acm_certificate_detail *d)
{
	struct str method = str_set(in->validation_method) ? in->validation_method : S("EMAIL");
	struct str_list *names = &d->subject_alternative_names;
	names->set = true;
	add_name(c, names, in->domain_name);
	for (uint32_t i = 0; i < in->subject_alternative_names.n; i++)
		add_name(c, names, in->subject_alternative_names.v[i]);
	if (names->n > ACM_NAMES_MAX)
		return call_fail(c, "LimitExceededException", 0, "A certificate can have at most %d domain names.", ACM_NAMES_MAX);
	d->domain_name = names->v[0];
	for (uint32_t i = 0; i < in->domain_validation_options.n; i++) {
		const struct acm_domain_validation_option *o = &in->domain_validation_options.v[i];
		bool named = false;
		for (uint32_t k = 0; k < names->n; k++)
			named |= str_ieq(names->v[k], o->domain_name);
		if (!named || !is_below(o->domain_name, o->validation_domain))
			return call_fail(c, "InvalidDomainValidationOptionsException", 0,
			                 "The validation domain %.*s is not %.*s or a domain above it.",
			                 STR_ARG(o->validation_domain), STR_ARG(o->domain_name));
	}
	d->domain_validation_options.set = true;
	for (uint32_t i = 0; i < names->n; i++) {
		struct str where = STR_NONE;
		for (uint32_t k = 0; k < in->domain_validation_options.n; k++)
			if (str_ieq(in->domain_validation_options.v[k].domain_name, names->v[i]))
				where = in->domain_validation_options.v[k].validation_domain;
		acm_option_make(c->arena, c->account, names->v[i], where, method,
		                LIST_ADD(c->arena, &d->domain_validation_options));
	}
	return CALL_OK;
}

/* --- the same request twice within an hour is one */

static struct str token_key(struct call *c, struct str token)
{
	return KEY(c->arena, S("acm"), S("token"), c->account, c->region, token);
}

/* What makes two requests with one token the same. */
static struct str fingerprint(struct call *c, const struct acm_certificate_detail *d)
{
	struct str text = ARENA_CAT(c->arena, d->key_algorithm, S(" "), d->domain_validation_options.v[0].validation_method);
	for (uint32_t i = 0; i < d->subject_alternative_names.n; i++)
		text = ARENA_CAT(c->arena, text, S(" "), d->subject_alternative_names.v[i]);
	return hash_hex(c->arena, HASH_SHA256, text);
}

static bool was_asked(struct call *c, struct str token, const struct acm_certificate_detail *d, struct str *ret_arn)
{
	struct state_acm_token_record t;
	struct state_acm_certificate_record r;
	if (!str_set(token) || !record_get(call_txn(c), c->arena, token_key(c, token), &token_row, &t) ||
	    !str_eq(t.request, fingerprint(c, d)) || !acm_load_quietly(c, t.arn, &r))
		return false;
	*ret_arn = t.arn;
	return true;
}

static void remember(struct call *c, struct str token, const struct acm_certificate_detail *d)
{
	const struct state_acm_token_record t = {.arn = d->certificate_arn, .request = fingerprint(c, d)};
	if (str_set(token))
		store_put_leased(call_txn(c), token_key(c, token), record_write(c->arena, &token_row, &t),
		                 store_lease_grant(c->cloud->store, TOKEN_LIFE_MS));
}

int acm_request_certificate(struct call *c, const struct acm_request_certificate_request *in,
                            struct acm_request_certificate_response *out)
{
	struct acm_certificate_detail *d = arena_new(c->arena, struct acm_certificate_detail);
	struct state_acm_certificate_record r = {.detail = d};
	d->key_algorithm = str_set(in->key_algorithm) ? in->key_algorithm : S("RSA_2048");
	if (check(c, in) != CALL_OK || take_names(c, in, d) != CALL_OK)
		return CALL_FAIL;
	if (was_asked(c, in->idempotency_token, d, &out->certificate_arn))
		return CALL_OK;
	if (!acm_create(c, d) || !acm_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	d->type = S("AMAZON_ISSUED");
	d->status = S("PENDING_VALIDATION");
	d->options = arena_new(c->arena, struct acm_certificate_options);
	d->options->export = S("DISABLED");
	d->options->certificate_transparency_logging_preference =
	        in->options && str_set(in->options->certificate_transparency_logging_preference)
	                ? in->options->certificate_transparency_logging_preference
	                : S("ENABLED");
	acm_save(c, &r);
	remember(c, in->idempotency_token, d);
	out->certificate_arn = d->certificate_arn;
	return CALL_OK;
}
