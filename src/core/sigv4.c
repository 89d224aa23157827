/* Reading and checking signatures. What is wrong with a request is a fault here; sigv4_words.c says it in each service's words. */
#include "core/sigv4.h"

#include "core/sigv2.h"

#include "base/clock.h"
#include "base/hash.h"
#include "core/sigv4_canonical.h"

static const char algorithm[] = "AWS4-HMAC-SHA256";

/* --- scopes and dates, the same in every form */

static bool scope_part(struct str s)
{
	return s.n > 0 && s.n <= 64;
}

static enum sigv4_fault read_credential(struct arena *a, struct str credential, struct sigv4 *sig)
{
	sig->credential = credential;
	struct str part[4], rest = credential;
	for (int i = 3; i >= 0; i--) {
		ptrdiff_t at = str_rfind_char(rest, '/');
		if (at < 0) {
			sig->detail = arena_printf(
			        a,
			        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%.*s'",
			        STR_ARG(credential));
			return SIGV4_FAULT_CREDENTIAL;
		}
		part[i] = str_from_at(rest, (size_t)at + 1);
		rest = str_sub(rest, 0, (size_t)at);
	}
	sig->access_key_id = rest;
	sig->date = part[0];
	sig->region = part[1];
	sig->service = part[2];
	sig->s3 = str_starts(part[2], S("s3"));
	sig->scope = str_from_at(credential, rest.n + 1);
	if (!str_is(part[3], "aws4_request")) {
		sig->detail = arena_printf(a, "Credential should be scoped with a valid terminator: 'aws4_request', not '%.*s'.",
		                           STR_ARG(part[3]));
		return SIGV4_FAULT_CREDENTIAL;
	}
	if (rest.n == 0 || !scope_part(part[0]) || !scope_part(part[1]) || !scope_part(part[2])) {
		sig->detail = arena_printf(
		        a,
		        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%.*s'",
		        STR_ARG(credential));
		return SIGV4_FAULT_CREDENTIAL;
	}
	return SIGV4_GOOD;
}

static bool is_basic_time(struct str s)
{
	if (s.n != 16 || s.p[8] != 'T' || s.p[15] != 'Z')
		return false;
	for (int i = 0; i < 15; i++)
		if (i != 8 && !ascii_is_digit(s.p[i]))
			return false;
	return true;
}

static enum sigv4_fault read_date(struct sigv4 *sig)
{
	if (!is_basic_time(sig->timestamp) || !time_parse(sig->timestamp, &sig->time_ms))
		return SIGV4_FAULT_DATE;
	if (!str_eq(sig->date, str_sub(sig->timestamp, 0, 8)))
		return SIGV4_FAULT_SCOPE_DATE;
	return SIGV4_GOOD;
}

static bool is_signed(const struct sigv4 *sig, struct str name)
{
	struct str rest = sig->signed_headers;
	while (str_set(rest))
		if (str_ieq(str_cut(&rest, ';'), name))
			return true;
	return false;
}

static enum sigv4_fault read_signed_headers(const struct sigv4_request *r, struct sigv4 *sig)
{
	if (!is_signed(sig, S("host")))
		return SIGV4_FAULT_HOST_UNSIGNED;
	for (unsigned i = 0; i < r->header_count; i++) {
		struct str name = r->headers[i].name;
		if (name.n > 6 && (name.p[0] | 32) == 'x' && str_istarts(name, S("x-amz-")) && !is_signed(sig, name) &&
		    !str_ieq(name, S("x-amz-user-agent"))) {
			sig->detail = name;
			return SIGV4_FAULT_HEADERS_UNSIGNED;
		}
	}
	return SIGV4_GOOD;
}

static enum sigv4_fault read_payload(struct sigv4 *sig)
{
	static const struct {
		const char *name;
		enum sigv4_payload payload;
	} kinds[] = {
	        {"UNSIGNED-PAYLOAD", SIGV4_PAYLOAD_UNSIGNED},
	        {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", SIGV4_PAYLOAD_CHUNKS},
	        {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", SIGV4_PAYLOAD_CHUNKS_TRAILER},
	        {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", SIGV4_PAYLOAD_UNSIGNED_TRAILER},
	};
	sig->payload = SIGV4_PAYLOAD_HASH;
	if (!str_set(sig->content_hash)) {
		if (sig->s3 && sig->form == SIGV4_IN_QUERY)
			sig->payload = SIGV4_PAYLOAD_UNSIGNED;
		else if (sig->s3)
			return SIGV4_FAULT_NO_CONTENT_HASH;
		return SIGV4_GOOD;
	}
	unsigned char digest[32];
	if (hex_decode(sig->content_hash, digest, sizeof(digest)))
		return SIGV4_GOOD;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_is(sig->content_hash, kinds[i].name)) {
			sig->payload = kinds[i].payload;
			return SIGV4_GOOD;
		}
	if (str_starts(sig->content_hash, S("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")))
		return SIGV4_FAULT_V4A;
	/* Other services do not look at the header. */
	if (!sig->s3) {
		sig->content_hash = STR_NONE;
		return SIGV4_GOOD;
	}
	return SIGV4_FAULT_BAD_CONTENT_HASH;
}

/* What is common to header and query once their parts are known. */
static enum sigv4_fault read_rest(const struct sigv4_request *r, struct sigv4 *sig)
{
	enum sigv4_fault fault = read_date(sig);
	if (fault == SIGV4_GOOD)
		fault = read_signed_headers(r, sig);
	return fault == SIGV4_GOOD ? read_payload(sig) : fault;
}

/* --- Authorization header */

static enum sigv4_fault read_header(struct arena *a, const struct sigv4_request *r, struct str value, struct sigv4 *sig)
{
	sig->form = SIGV4_IN_HEADER;
	struct str rest = str_trim(value), word = str_cut(&rest, ' ');
	if (str_is(word, "AWS4-ECDSA-P256-SHA256"))
		return SIGV4_FAULT_V4A;
	if (str_is(word, "AWS"))
		return SIGV4_FAULT_V2;
	if (!str_is(word, algorithm)) {
		sig->detail = word;
		return SIGV4_FAULT_ALGORITHM;
	}
	struct str credential = STR_NONE;
	while (str_set(rest)) {
		struct str v = str_trim(str_cut(&rest, ',')), name = str_cut(&v, '=');
		if (str_is(name, "Credential"))
			credential = v;
		else if (str_is(name, "SignedHeaders"))
			sig->signed_headers = v;
		else if (str_is(name, "Signature"))
			sig->signature = v;
	}
	sig->timestamp = sigv4_header(r, S("x-amz-date"));
	if (!str_set(sig->timestamp)) {
		int64_t ms;
		struct str date = sigv4_header(r, S("date"));
		if (is_basic_time(date))
			sig->timestamp = date;
		else if (str_set(date))
			sig->timestamp = time_parse(date, &ms) ? sigv4_date(a, ms) : date;
	}
	sig->token = sigv4_header(r, S("x-amz-security-token"));
	sig->content_hash = sigv4_header(r, S("x-amz-content-sha256"));
	enum sigv4_fault fault = str_set(credential) ? read_credential(a, credential, sig) : SIGV4_GOOD;
	if (!str_set(credential) || !str_set(sig->signature) || !str_set(sig->signed_headers) || !str_set(sig->timestamp)) {
		sig->detail = arena_printf(
		        a, "%s%s%s%sAuthorization=%s",
		        str_set(credential) ? "" : "Authorization header requires 'Credential' parameter. ",
		        str_set(sig->signature) ? "" : "Authorization header requires 'Signature' parameter. ",
		        str_set(sig->signed_headers) ? "" : "Authorization header requires 'SignedHeaders' parameter. ",
		        str_set(sig->timestamp)
		                ? ""
		                : "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
		        algorithm);
		return SIGV4_FAULT_INCOMPLETE;
	}
	return fault == SIGV4_GOOD ? read_rest(r, sig) : fault;
}

/* --- query */

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str decode(struct arena *a, struct str s)
{
	if (str_find_char(s, '%') < 0 && str_find_char(s, '+') < 0)
		return s;
	char *p = arena_alloc(a, s.n + 1), *out = p;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0) {
			*out++ = (char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2]));
			i += 2;
		} else {
			*out++ = s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	return str_of(p, (size_t)(out - p));
}

struct query_parts {
	struct str algorithm, credential, expires, key_id_v2, signature_v2;
	bool any;
};

static void read_parameters(struct arena *a, struct str query, struct query_parts *q, struct sigv4 *sig)
{
	struct {
		const char *name;
		struct str *value;
	} known[] = {
	        {"X-Amz-Algorithm", &q->algorithm},
	        {"X-Amz-Credential", &q->credential},
	        {"X-Amz-Date", &sig->timestamp},
	        {"X-Amz-Expires", &q->expires},
	        {"X-Amz-SignedHeaders", &sig->signed_headers},
	        {"X-Amz-Signature", &sig->signature},
	        {"X-Amz-Security-Token", &sig->token},
	        {"X-Amz-Content-Sha256", &sig->content_hash},
	        {"AWSAccessKeyId", &q->key_id_v2},
	        {"Signature", &q->signature_v2},
	};
	struct str rest = query;
	while (str_set(rest)) {
		struct str v = str_cut(&rest, '&'), name = str_cut(&v, '=');
		if (name.n == 0 || (name.p[0] != 'X' && name.p[0] != 'A' && name.p[0] != 'S'))
			continue;
		for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (str_is(name, known[i].name))
				*known[i].value = str_set(v) ? decode(a, v) : S("");
	}
	q->any = str_set(q->algorithm) || (str_set(q->credential) && str_set(sig->signature));
}

static enum sigv4_fault read_query(struct arena *a, const struct sigv4_request *r, const struct query_parts *q, struct sigv4 *sig)
{
	sig->form = SIGV4_IN_QUERY;
	if (str_is(q->algorithm, "AWS4-ECDSA-P256-SHA256"))
		return SIGV4_FAULT_V4A;
	enum sigv4_fault fault = str_set(q->credential) ? read_credential(a, q->credential, sig) : SIGV4_GOOD;
	if (str_set(q->algorithm) && !str_is(q->algorithm, algorithm)) {
		sig->detail = q->algorithm;
		return SIGV4_FAULT_ALGORITHM;
	}
	/* S3 wants an expiry; where other services get none, their usual fifteen minutes hold. */
	const char *missing = !str_set(q->algorithm)            ? "X-Amz-Algorithm"
	                      : !str_set(q->credential)         ? "X-Amz-Credential"
	                      : !str_set(sig->signature)        ? "X-Amz-Signature"
	                      : !str_set(sig->signed_headers)   ? "X-Amz-SignedHeaders"
	                      : !str_set(sig->timestamp)        ? "X-Amz-Date"
	                      : sig->s3 && !str_set(q->expires) ? "X-Amz-Expires"
	                                                        : NULL;
	if (missing) {
		sig->detail = arena_printf(
		        a, "AWS query-string parameters must include '%s'. Re-examine the query-string parameters.", missing);
		return SIGV4_FAULT_INCOMPLETE;
	}
	sig->expires_s = SIGV4_SKEW_MS / 1000;
	if (str_set(q->expires)) {
		const char *wrong = NULL;
		if (!str_to_i64(q->expires, &sig->expires_s))
			wrong = "X-Amz-Expires should be a number";
		else if (sig->expires_s < 0)
			wrong = "X-Amz-Expires must be non-negative";
		else if (sig->expires_s > SIGV4_EXPIRES_MAX_S)
			wrong = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
			        "604800 seconds";
		if (wrong) {
			sig->detail = str_from(wrong);
			return SIGV4_FAULT_EXPIRES;
		}
	}
	if (!str_set(sig->content_hash) && is_signed(sig, S("x-amz-content-sha256")))
		sig->content_hash = sigv4_header(r, S("x-amz-content-sha256"));
	return fault == SIGV4_GOOD ? read_rest(r, sig) : fault;
}

enum sigv4_fault sigv4_read(struct arena *a, const struct sigv4_request *r, struct sigv4 *sig)
{
	*sig = (struct sigv4){0};
	struct str header = sigv4_header(r, S("authorization"));
	if (r->query.n == 0)
		return str_set(header) ? read_header(a, r, header, sig) : SIGV4_GOOD;
	struct query_parts q = {0};
	struct sigv4 in_query = {0};
	read_parameters(a, r->query, &q, &in_query);
	if (str_set(header) && q.any) {
		read_query(a, r, &q, &in_query);
		*sig = in_query;
		return SIGV4_FAULT_BOTH;
	}
	if (str_set(header))
		return read_header(a, r, header, sig);
	if (q.any) {
		*sig = in_query;
		return read_query(a, r, &q, sig);
	}
	if (str_set(q.key_id_v2) && str_set(q.signature_v2)) {
		sig->form = SIGV4_IN_QUERY;
		sig->access_key_id = q.key_id_v2;
		sig->signature = q.signature_v2;
		return sigv2_read(a, r, sig);
	}
	return SIGV4_GOOD;
}

/* --- checking */

static enum sigv4_fault check_time(const struct sigv4 *sig, int64_t now_ms)
{
	if (sig->time_ms > now_ms + SIGV4_SKEW_MS)
		return SIGV4_FAULT_EARLY;
	if (sig->form == SIGV4_IN_QUERY)
		return now_ms > sig->time_ms + sig->expires_s * 1000 ? SIGV4_FAULT_EXPIRED : SIGV4_GOOD;
	return now_ms > sig->time_ms + SIGV4_SKEW_MS ? SIGV4_FAULT_OLD : SIGV4_GOOD;
}

static struct str payload_hash(const struct sigv4 *sig, struct str body_hash)
{
	if (sig->payload != SIGV4_PAYLOAD_HASH)
		return str_set(sig->content_hash) ? sig->content_hash : S("UNSIGNED-PAYLOAD");
	/* S3 believes the header here and compares the body with it afterwards; the others know only the body. */
	if (sig->s3 || !str_set(body_hash))
		return str_set(sig->content_hash) ? sig->content_hash : SIGV4_EMPTY_HASH;
	return body_hash;
}

enum sigv4_fault sigv4_check(struct arena *a, struct sigv4 *sig, struct str secret, const struct sigv4_request *r,
                             struct str body_hash, int64_t now_ms)
{
	if (sig->v2)
		return sigv2_check(a, sig, secret, r, now_ms);
	enum sigv4_fault fault = check_time(sig, now_ms);
	if (fault != SIGV4_GOOD)
		return fault;
	struct str canonical = sigv4_canonical(a, r, sig->signed_headers, payload_hash(sig, body_hash), sig->s3);
	struct str text = sigv4_string_to_sign(a, sig->timestamp, sig->scope, canonical);
	struct sigv4_key key;
	char want[65];
	sigv4_key(&key, secret, sig->date, sig->region, sig->service);
	sigv4_key_sign(&key, text, want);
	if (!hash_equal(str_of(want, 64), sig->signature)) {
		sig->canonical_request = canonical;
		sig->string_to_sign = text;
		return SIGV4_FAULT_MISMATCH;
	}
	if (sig->s3 && sig->payload == SIGV4_PAYLOAD_HASH && str_set(body_hash) && !str_ieq(body_hash, sig->content_hash)) {
		sig->body_hash = body_hash;
		return SIGV4_FAULT_BODY_HASH;
	}
	return SIGV4_GOOD;
}

/* --- browser forms */

enum sigv4_fault sigv4_read_form(struct arena *a, struct str algorithm_field, struct str credential, struct str timestamp,
                                 struct str signature, struct str token, struct sigv4 *sig)
{
	*sig = (struct sigv4){.form = SIGV4_IN_QUERY,
	                      .s3 = true,
	                      .payload = SIGV4_PAYLOAD_UNSIGNED,
	                      .timestamp = timestamp,
	                      .signature = signature,
	                      .token = token};
	if (!str_is(algorithm_field, algorithm)) {
		sig->detail = algorithm_field;
		return SIGV4_FAULT_ALGORITHM;
	}
	if (!str_set(credential) || !str_set(timestamp) || !str_set(signature)) {
		sig->detail = S("Bucket POST must contain a field named 'x-amz-credential', 'x-amz-date' and 'x-amz-signature'.");
		return SIGV4_FAULT_INCOMPLETE;
	}
	enum sigv4_fault fault = read_credential(a, credential, sig);
	return fault == SIGV4_GOOD ? read_date(sig) : fault;
}

enum sigv4_fault sigv4_check_form(struct arena *a, struct sigv4 *sig, struct str secret, struct str policy_base64)
{
	struct sigv4_key key;
	char want[65];
	sigv4_key(&key, secret, sig->date, sig->region, sig->service);
	sigv4_key_sign(&key, policy_base64, want);
	if (hash_equal(str_of(want, 64), sig->signature))
		return SIGV4_GOOD;
	sig->string_to_sign = arena_dup(a, policy_base64);
	return SIGV4_FAULT_MISMATCH;
}
