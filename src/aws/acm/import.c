/* ImportCertificate: what somebody else has issued. What is kept has been held together by OpenSSL. */
#include "rows.h"

static int invalid(struct call *c, const char *text)
{
	return call_fail(c, "ValidationException", 0, "%s", text);
}

static int check(struct call *c, const struct cert_bundle *b, struct cert_facts *ret)
{
	int at = 0;
	switch (cert_check(b, &at)) {
	case CERT_GOOD:
		break;
	case CERT_MALFORMED:
		return invalid(c, "The certificate is not valid. It must be a single certificate in PEM format.");
	case CERT_SEVERAL:
		return invalid(c,
		               "The certificate field contains more than one certificate. You can specify only one certificate in "
		               "this field.");
	case CERT_BAD_KEY:
		return invalid(c, "The private key is not supported.");
	case CERT_LOCKED_KEY:
		return invalid(c, "The private key is encrypted. It must be an unencrypted private key in PEM format.");
	case CERT_OTHER_KEY:
		return invalid(c, "The private key does not match the certificate.");
	case CERT_BAD_CHAIN:
		return invalid(c, "The certificate chain is not valid. It must be a list of certificates in PEM format.");
	case CERT_BROKEN_CHAIN:
		return invalid(c, "Could not validate the certificate with the certificate chain.");
	}
	static const char *const algorithms[] = {"RSA_1024",      "RSA_2048",     "RSA_3072",    "RSA_4096",
	                                         "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"};
	bool known = false;
	if (!cert_read(c->arena, b->body, ret) || ret->version != 3)
		return invalid(c, "The certificate is not valid. It must be of version 3 of X.509.");
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		known |= str_is(ret->key_algorithm, algorithms[i]);
	if (!known)
		return invalid(c, "The private key is not supported.");
	if (!ret->issuer.n)
		return invalid(c, "The issuer of the certificate must not be empty.");
	if (!str_set(b->chain) && !ret->self_signed)
		return invalid(c, "Provided certificate is not a valid self signed. Please provide either a valid self-signed "
		                  "certificate or certificate chain.");
	if (ret->not_before_ms > c->now_ms)
		return invalid(c, "The certificate is not valid yet.");
	return ret->not_after_ms <= c->now_ms ? invalid(c, "The certificate has expired.") : CALL_OK;
}

/* The name that a certificate is listed by, and all of its names, that one first. */
static void take_names(struct call *c, struct acm_certificate_detail *d, const struct cert_facts *f)
{
	bool listed = !str_set(f->common_name);
	d->domain_name = str_set(f->common_name) ? f->common_name : f->name_count ? f->names[0] : STR_NONE;
	d->subject_alternative_names = (struct str_list){.set = true};
	for (size_t i = 0; i < f->name_count; i++)
		listed |= str_ieq(f->names[i], f->common_name);
	if (!listed)
		*LIST_ADD(c->arena, &d->subject_alternative_names) = f->common_name;
	for (size_t i = 0; i < f->name_count; i++)
		*LIST_ADD(c->arena, &d->subject_alternative_names) = f->names[i];
}

/* What uses a certificate goes on with the new one, so it has to be of the same kind. */
static int check_again(struct call *c, const struct acm_certificate_detail *d, const struct cert_facts *f,
                       const struct acm_import_certificate_request *in)
{
	if (!str_is(d->type, "IMPORTED"))
		return invalid(c, "The certificate is not an imported one.");
	if (in->tags.n)
		return invalid(c, "Tagging is not permitted on re-import.");
	if (!str_eq(d->key_algorithm, f->key_algorithm))
		return invalid(c, "The key algorithm and size of an imported certificate cannot be changed.");
	return CALL_OK;
}

int acm_import_certificate(struct call *c, const struct acm_import_certificate_request *in,
                           struct acm_import_certificate_response *out)
{
	const struct cert_bundle pem = {in->certificate, in->certificate_chain.n ? in->certificate_chain : STR_NONE,
	                                in->private_key};
	struct state_acm_certificate_record r = {.detail = arena_new(c->arena, struct acm_certificate_detail)};
	struct cert_facts f;
	bool again = str_set(in->certificate_arn);
	if ((again && !acm_load(c, in->certificate_arn, &r)) || check(c, &pem, &f) != CALL_OK)
		return CALL_FAIL;
	struct acm_certificate_detail *d = r.detail;
	if (again ? check_again(c, d, &f, in) != CALL_OK : !acm_create(c, d) || !acm_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	d->type = S("IMPORTED");
	d->imported_at = OPT_TIME(c->now_ms);
	d->options = arena_new(c->arena, struct acm_certificate_options);
	d->options->certificate_transparency_logging_preference = S("DISABLED");
	take_names(c, d, &f);
	if (!acm_fill(c->cloud, c->arena, &r, &pem))
		return call_broken(c, "the private key of a certificate cannot be sealed");
	acm_save(c, &r);
	out->certificate_arn = d->certificate_arn;
	return CALL_OK;
}
