#include "core/sigv2.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/uri.h"

/* What of a query is part of the resource: names that choose another thing than the object itself, or change the reply. */
static const char *const subresources[] = {
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "defaultObjectAcl",
        "delete",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "partNumber",
        "policy",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "select",
        "select-type",
        "storageClass",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
};

static bool is_subresource(struct str name)
{
	for (size_t i = 0; i < sizeof(subresources) / sizeof(*subresources); i++)
		if (str_is(name, subresources[i]))
			return true;
	return false;
}

/* Names and values to be signed, kept in order of their names. */
enum { PAIRS_MAX = 64 };
struct pairs {
	struct str name[PAIRS_MAX], value[PAIRS_MAX];
	unsigned n;
};

static void pairs_add(struct pairs *p, struct str name, struct str value)
{
	if (p->n == PAIRS_MAX)
		return; /* more than any client signs: the signature will not match */
	unsigned at = p->n++;
	for (; at > 0 && str_cmp(p->name[at - 1], name) > 0; at--) {
		p->name[at] = p->name[at - 1];
		p->value[at] = p->value[at - 1];
	}
	p->name[at] = name;
	p->value[at] = value;
}

static struct str lower(struct arena *a, struct str s)
{
	char *p = arena_dupz(a, s);
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return str_of(p, s.n);
}

static struct str header_of(const struct sigv4_request *r, struct str name)
{
	for (unsigned i = 0; i < r->header_count; i++)
		if (str_ieq(r->headers[i].name, name))
			return str_trim(r->headers[i].value);
	return S("");
}

/* x-amz- headers; a presigned URL carries the ones that its maker knew as parameters. */
static void amz_headers(struct arena *a, const struct sigv4_request *r, struct pairs *out)
{
	struct str rest = r->query;
	struct uri_part part;
	for (unsigned i = 0; i < r->header_count; i++)
		if (str_istarts(r->headers[i].name, S("x-amz-")))
			pairs_add(out, lower(a, r->headers[i].name), str_trim(r->headers[i].value));
	while (uri_next_part(&rest, &part))
		if (str_istarts(part.name, S("x-amz-")))
			pairs_add(out, lower(a, part.name), uri_decode_form(a, part.value));
}

static struct str string_to_sign(struct arena *a, const struct sigv4 *sig, const struct sigv4_request *r)
{
	struct pairs headers = {.n = 0}, query = {.n = 0};
	struct str rest = r->query;
	struct uri_part part;
	amz_headers(a, r, &headers);
	while (uri_next_part(&rest, &part))
		if (is_subresource(part.name))
			pairs_add(&query, part.name, part.has_value ? uri_decode_form(a, part.value) : STR_NONE);
	struct str text = arena_printf(a, "%.*s\n%.*s\n%.*s\n%lld\n", STR_ARG(r->method), STR_ARG(header_of(r, S("content-md5"))),
	                               STR_ARG(header_of(r, S("content-type"))), (long long)sig->expires_s);
	for (unsigned i = 0; i < headers.n; i++)
		text = ARENA_CAT(a, text, headers.name[i], S(":"), headers.value[i], S("\n"));
	text = ARENA_CAT(a, text, r->path);
	for (unsigned i = 0; i < query.n; i++)
		text = ARENA_CAT(a, text, i ? S("&") : S("?"), query.name[i], str_set(query.value[i]) ? S("=") : STR_NONE,
		                 query.value[i]);
	return text;
}

static enum sigv4_fault compare(struct arena *a, struct sigv4 *sig, struct str secret, struct str text)
{
	unsigned char mac[20];
	hmac_sha1(secret, text, mac);
	if (hash_equal(base64_encode(a, str_of(mac, sizeof(mac))), sig->signature))
		return SIGV4_GOOD;
	sig->string_to_sign = text;
	return SIGV4_FAULT_MISMATCH;
}

static void set_version(struct sigv4 *sig)
{
	sig->form = SIGV4_IN_QUERY;
	sig->v2 = sig->s3 = true;
	sig->service = S("s3");
	sig->payload = SIGV4_PAYLOAD_UNSIGNED;
}

enum sigv4_fault sigv2_read(struct arena *a, const struct sigv4_request *r, struct sigv4 *sig)
{
	struct str rest = r->query;
	struct uri_part part;
	bool expires = false;
	set_version(sig);
	while (uri_next_part(&rest, &part))
		if (str_is(part.name, "Expires"))
			expires = str_to_i64(uri_decode_form(a, part.value), &sig->expires_s);
		else if (str_ieq(part.name, S("x-amz-security-token")))
			sig->token = uri_decode_form(a, part.value);
	if (expires)
		return SIGV4_GOOD;
	sig->detail = S("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters");
	return SIGV4_FAULT_INCOMPLETE;
}

enum sigv4_fault sigv2_check(struct arena *a, struct sigv4 *sig, struct str secret, const struct sigv4_request *r, int64_t now_ms)
{
	if (now_ms / 1000 > sig->expires_s)
		return SIGV4_FAULT_EXPIRED;
	return compare(a, sig, secret, string_to_sign(a, sig, r));
}

void sigv2_read_form(struct str access_key_id, struct str signature, struct str token, struct sigv4 *sig)
{
	*sig = (struct sigv4){.access_key_id = access_key_id, .signature = signature, .token = token};
	set_version(sig);
}

enum sigv4_fault sigv2_check_form(struct arena *a, struct sigv4 *sig, struct str secret, struct str policy_base64)
{
	return compare(a, sig, secret, policy_base64);
}
