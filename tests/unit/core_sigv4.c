#include "unit.h"

#include "base/clock.h"
#include "base/hash.h"
#include "core/sigv4.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* --- requests as text */

static struct str load(struct arena *a, const char *dir, const char *name, const char *ext)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s%s", dir, name, ext);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	char *p = arena_alloc(a, 65536);
	size_t n = fread(p, 1, 65536, f);
	fclose(f);
	return str_of(p, n);
}

/* Reads "METHOD target HTTP/1.1\nName:value\n...\n\nbody" the lenient way: targets may hold anything, values may go on in the next
 * line. */
static struct str parse(struct arena *a, struct str text, struct sigv4_request *r)
{
	*r = (struct sigv4_request){0};
	struct sigv4_header *headers = arena_array(a, 32, sizeof(*headers));
	struct str rest = text, line = str_cut(&rest, '\n');
	r->method = str_cut(&line, ' ');
	line = str_sub(line, 0, (size_t)str_rfind_char(line, ' '));
	struct str target = line;
	r->path = str_cut(&target, '?');
	r->query = target;
	while (str_set(rest)) {
		line = str_cut(&rest, '\n');
		if (line.n == 0)
			break;
		if (line.p[0] == ' ') {
			struct sigv4_header *last = &headers[r->header_count - 1];
			last->value = arena_printf(a, "%.*s %.*s", STR_ARG(last->value), STR_ARG(line));
			continue;
		}
		struct str value = line, name = str_cut(&value, ':');
		headers[r->header_count++] = (struct sigv4_header){name, value};
	}
	r->headers = headers;
	return str_set(rest) ? rest : S("");
}

/* Amazon's suite: every request verifies, and does not any more with another secret. What went into the hash is compared through a
 * failing check, which leaves it for S3's answers. */
static void verifies_amazons_suite(void **state)
{
	(void)state;
	const char *dir = TEST_DATA "/wire/sigv4";
	DIR *d = opendir(dir);
	assert_non_null(d);
	unsigned seen = 0;
	for (struct dirent *e; (e = readdir(d));) {
		char *dot = strrchr(e->d_name, '.');
		if (!dot || strcmp(dot, ".sreq") != 0)
			continue;
		*dot = '\0';
		struct arena CLEAN_ARENA a = {0};
		struct sigv4_request r;
		struct sigv4 sig;
		struct str body = parse(&a, load(&a, dir, e->d_name, ".sreq"), &r), hash = hash_hex(&a, HASH_SHA256, body);
		/* The suite gives this request the signature of another one; the right one is its own, from the suite's .authz
		 * file. */
		if (strcmp(e->d_name, "get-vanilla-with-session-token") == 0)
			((struct sigv4_header *)r.headers)[r.header_count - 1].value =
			        S("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
			          "SignedHeaders=host;x-amz-date;x-amz-security-token, "
			          "Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8");
		enum sigv4_fault fault = sigv4_read(&a, &r, &sig);
		/* The one request whose token was added behind the signature. */
		if (strcmp(e->d_name, "post-sts-header-after") == 0) {
			assert_int_equal(fault, SIGV4_FAULT_HEADERS_UNSIGNED);
			assert_true(str_ieq(sig.detail, S("x-amz-security-token")));
			continue;
		}
		if (fault != SIGV4_GOOD)
			fail_msg("%s: fault %d: %.*s", e->d_name, fault, STR_ARG(sig.detail));
		assert_int_equal(sigv4_check(&a, &sig, S("not the secret"), &r, hash, sig.time_ms), SIGV4_FAULT_MISMATCH);
		struct str creq = load(&a, dir, e->d_name, ".creq"), sts = load(&a, dir, e->d_name, ".sts");
		if (!str_eq(sig.canonical_request, creq))
			fail_msg("%s:\n%.*s\nwant\n%.*s", e->d_name, STR_ARG(sig.canonical_request), STR_ARG(creq));
		assert_true(str_eq(sig.string_to_sign, sts));
		if (sigv4_check(&a, &sig, S("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), &r, hash, sig.time_ms) != SIGV4_GOOD)
			fail_msg("%s does not verify", e->d_name);
		seen++;
	}
	closedir(d);
	assert_true(seen >= 30);
}

static const char listing[] = "GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1\n"
                              "content-type:application/x-www-form-urlencoded; charset=utf-8\n"
                              "host:iam.amazonaws.com\n"
                              "x-amz-date:20150830T123600Z\n";
static const char listing_auth[] = "Authorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request,"
                                   "SignedHeaders=content-type;host;x-amz-date,"
                                   "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
#define SECRET_PLUS S("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
#define SECRET_SLASH S("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
static const int64_t signed_at = 1440938160000; /* 2015-08-30T12:36:00Z */

static enum sigv4_fault try_auth(struct arena *a, const char *head, const char *auth, int64_t now_ms, struct sigv4 *sig)
{
	struct sigv4_request r;
	parse(a, arena_printf(a, "%s%s", head, auth), &r);
	enum sigv4_fault fault = sigv4_read(a, &r, sig);
	return fault == SIGV4_GOOD ? sigv4_check(a, sig, SECRET_PLUS, &r, SIGV4_EMPTY_HASH, now_ms) : fault;
}

static void verifies_the_documented_request(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct sigv4 sig;
	assert_int_equal(try_auth(&a, listing, listing_auth, signed_at, &sig), SIGV4_GOOD);
	assert_str(sig.access_key_id, "AKIDEXAMPLE");
	assert_str(sig.region, "us-east-1");
	assert_str(sig.service, "iam");
	assert_str(sig.scope, "20150830/us-east-1/iam/aws4_request");
	assert_int_equal(sig.time_ms, signed_at);
	assert_false(sig.s3);
	assert_int_equal(sig.form, SIGV4_IN_HEADER);
	/* Derived anew and from the cache. */
	char hex[65];
	for (int i = 0; i < 2; i++) {
		struct sigv4_key key;
		sigv4_key(&key, SECRET_PLUS, S("20150830"), S("us-east-1"), S("iam"));
		sigv4_key_sign(&key,
		               S("AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n"
		                 "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"),
		               hex);
		assert_string_equal(hex, "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
	}
}

static void refuses_what_was_changed(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
	} changes[] = {
	        {"ListUsers", "ListRoles"},         {"GET", "PUT"},
	        {"charset=utf-8", "charset=utf-9"}, {"iam.amazonaws.com", "sts.amazonaws.com"},
	        {"2010-05-08", "2010-05-09"},
	};
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct arena CLEAN_ARENA a = {0};
		char *head = arena_dupz(&a, str_from(listing)), *at = strstr(head, changes[i].from);
		assert_non_null(at);
		memcpy(at, changes[i].to, strlen(changes[i].to));
		struct sigv4 sig;
		assert_int_equal(try_auth(&a, head, listing_auth, signed_at, &sig), SIGV4_FAULT_MISMATCH);
	}
}

static void keeps_to_the_clock(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct sigv4 sig;
	int64_t m = 60000;
	assert_int_equal(try_auth(&a, listing, listing_auth, signed_at + 15 * m, &sig), SIGV4_GOOD);
	assert_int_equal(try_auth(&a, listing, listing_auth, signed_at - 15 * m, &sig), SIGV4_GOOD);
	assert_int_equal(try_auth(&a, listing, listing_auth, signed_at - 15 * m - 1, &sig), SIGV4_FAULT_EARLY);
	assert_int_equal(try_auth(&a, listing, listing_auth, signed_at + 15 * m + 1, &sig), SIGV4_FAULT_OLD);
	struct sigv4_words w;
	sigv4_fault_words(&a, SIGV4_FAULT_OLD, &sig, PROTOCOL_QUERY, false, signed_at + 20 * m, &w);
	assert_str(w.code, "SignatureDoesNotMatch");
	assert_int_equal(w.status, 403);
	assert_str(w.message,
	           "Signature expired: 20150830T123600Z is now earlier than 20150830T124100Z (20150830T125600Z - 15 min.)");
	sigv4_fault_words(&a, SIGV4_FAULT_OLD, &sig, PROTOCOL_EC2, false, signed_at, &w);
	assert_str(w.code, "RequestExpired");
	assert_int_equal(w.status, 400);
	sigv4_fault_words(&a, SIGV4_FAULT_OLD, &sig, PROTOCOL_REST_XML, true, signed_at, &w);
	assert_str(w.code, "RequestTimeTooSkewed");
	assert_str(str_map_get(&w.fields, S("MaxAllowedSkewMilliseconds")), "900000");
	assert_str(str_map_get(&w.fields, S("ServerTime")), "2015-08-30T12:36:00Z");
}

static void names_what_is_wrong(void **state)
{
	(void)state;
#define CRED "Credential=AKID/20150830/us-east-1/iam/aws4_request"
#define SIGNED "SignedHeaders=content-type;host;x-amz-date"
#define SIGNATURE "Signature=00"
	static const struct {
		const char *auth;
		enum sigv4_fault fault;
		const char *detail;
	} cases[] = {
	        {"Authorization:AWS AKID:abcd", SIGV4_FAULT_V2, NULL},
	        {"Authorization:AWS4-ECDSA-P256-SHA256 Credential=x", SIGV4_FAULT_V4A, NULL},
	        {"Authorization:Bearer xyz", SIGV4_FAULT_ALGORITHM, "Bearer"},
	        {"Authorization:AWS4-HMAC-SHA256", SIGV4_FAULT_INCOMPLETE,
	         "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. "
	         "Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256"},
	        {"Authorization:AWS4-HMAC-SHA256 " CRED ", " SIGNED, SIGV4_FAULT_INCOMPLETE,
	         "Authorization header requires 'Signature' parameter. Authorization=AWS4-HMAC-SHA256"},
	        {"Authorization:AWS4-HMAC-SHA256 Credential=AKID/20150830/iam/aws4_request, " SIGNED ", " SIGNATURE,
	         SIGV4_FAULT_CREDENTIAL,
	         "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
	         "'AKID/20150830/iam/aws4_request'"},
	        {"Authorization:AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/iam/aws5, " SIGNED ", " SIGNATURE,
	         SIGV4_FAULT_CREDENTIAL, "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'."},
	        {"Authorization:AWS4-HMAC-SHA256 Credential=AKID/20150829/us-east-1/iam/aws4_request, " SIGNED ", " SIGNATURE,
	         SIGV4_FAULT_SCOPE_DATE, NULL},
	        {"Authorization:AWS4-HMAC-SHA256 " CRED ", SignedHeaders=x-amz-date, " SIGNATURE, SIGV4_FAULT_HOST_UNSIGNED, NULL},
	        {"Authorization:AWS4-HMAC-SHA256 " CRED ", SignedHeaders=host, " SIGNATURE, SIGV4_FAULT_HEADERS_UNSIGNED,
	         "x-amz-date"},
	        {"Authorization:AWS4-HMAC-SHA256 " CRED "," SIGNED "," SIGNATURE, SIGV4_FAULT_MISMATCH, NULL},
	        {"Authorization:AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/s3/aws4_request, " SIGNED ", " SIGNATURE,
	         SIGV4_FAULT_NO_CONTENT_HASH, NULL},
	        {"x-amz-content-sha256: abc\nAuthorization:AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/s3/aws4_request, " SIGNED
	         ";x-amz-content-sha256, " SIGNATURE,
	         SIGV4_FAULT_BAD_CONTENT_HASH, NULL},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena CLEAN_ARENA a = {0};
		struct sigv4 sig;
		enum sigv4_fault fault = try_auth(&a, listing, cases[i].auth, signed_at, &sig);
		if (fault != cases[i].fault)
			fail_msg("%s: fault %d, want %d", cases[i].auth, fault, cases[i].fault);
		if (cases[i].detail)
			assert_str(sig.detail, cases[i].detail);
		/* Every fault has words everywhere. */
		for (unsigned s3 = 0; s3 < 2; s3++)
			for (int p = 0; p < PROTOCOLS; p++) {
				struct sigv4_words w;
				sigv4_fault_words(&a, fault, &sig, (enum protocol)p, s3, signed_at, &w);
				assert_true(w.code.n > 0 && w.message.n > 0 && w.status >= 400 && w.status < 404);
			}
	}
	struct arena CLEAN_ARENA a = {0};
	struct sigv4 sig;
	assert_int_equal(try_auth(&a, "GET / HTTP/1.1\nHost:x\n", "Authorization:AWS4-HMAC-SHA256 " CRED "," SIGNED "," SIGNATURE,
	                          signed_at, &sig),
	                 SIGV4_FAULT_INCOMPLETE);
	assert_int_equal(try_auth(&a, "GET / HTTP/1.1\nHost:x\nX-Amz-Date:yesterday\n",
	                          "Authorization:AWS4-HMAC-SHA256 " CRED "," SIGNED "," SIGNATURE, signed_at, &sig),
	                 SIGV4_FAULT_DATE);
	struct sigv4_request r;
	parse(&a, S("GET / HTTP/1.1\nHost:x\n"), &r);
	assert_int_equal(sigv4_read(&a, &r, &sig), SIGV4_GOOD);
	assert_int_equal(sig.form, SIGV4_UNSIGNED);
}

static void words_per_family(void **state)
{
	(void)state;
	static const struct {
		enum sigv4_fault fault;
		enum protocol protocol;
		bool s3;
		const char *code;
		unsigned status;
	} cases[] = {
	        {SIGV4_FAULT_KEY_UNKNOWN, PROTOCOL_QUERY, false, "InvalidClientTokenId", 403},
	        {SIGV4_FAULT_KEY_UNKNOWN, PROTOCOL_EC2, false, "AuthFailure", 401},
	        {SIGV4_FAULT_KEY_UNKNOWN, PROTOCOL_JSON11, false, "UnrecognizedClientException", 400},
	        {SIGV4_FAULT_KEY_UNKNOWN, PROTOCOL_REST_JSON, false, "UnrecognizedClientException", 403},
	        {SIGV4_FAULT_KEY_UNKNOWN, PROTOCOL_REST_XML, true, "InvalidAccessKeyId", 403},
	        {SIGV4_FAULT_MISMATCH, PROTOCOL_QUERY, false, "SignatureDoesNotMatch", 403},
	        {SIGV4_FAULT_MISMATCH, PROTOCOL_CBOR, false, "InvalidSignatureException", 400},
	        {SIGV4_FAULT_MISSING, PROTOCOL_QUERY, false, "MissingAuthenticationToken", 403},
	        {SIGV4_FAULT_MISSING, PROTOCOL_REST_JSON, false, "MissingAuthenticationTokenException", 403},
	        {SIGV4_FAULT_MISSING, PROTOCOL_REST_XML, true, "AccessDenied", 403},
	        {SIGV4_FAULT_INCOMPLETE, PROTOCOL_QUERY, false, "IncompleteSignature", 400},
	        {SIGV4_FAULT_TOKEN_EXPIRED, PROTOCOL_QUERY, false, "ExpiredToken", 403},
	        {SIGV4_FAULT_TOKEN_EXPIRED, PROTOCOL_JSON10, false, "ExpiredTokenException", 400},
	        {SIGV4_FAULT_TOKEN_EXPIRED, PROTOCOL_REST_XML, true, "ExpiredToken", 400},
	        {SIGV4_FAULT_TOKEN_BAD, PROTOCOL_REST_XML, true, "InvalidToken", 400},
	        {SIGV4_FAULT_BOTH, PROTOCOL_REST_XML, true, "InvalidArgument", 400},
	};
	struct arena CLEAN_ARENA a = {0};
	struct sigv4 sig = {.detail = S("x"), .timestamp = S("x")};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sigv4_words w;
		sigv4_fault_words(&a, cases[i].fault, &sig, cases[i].protocol, cases[i].s3, 0, &w);
		assert_str(w.code, cases[i].code);
		assert_int_equal(w.status, cases[i].status);
	}
}

#define PRESIGNED \
	"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" \
	"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
#define PRESIGNED_SIGNATURE "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

static void presigned_requests(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct sigv4_header host = {S("Host"), S("examplebucket.s3.amazonaws.com")};
	struct sigv4_request r = {.method = S("GET"), .path = S("/test.txt"), .headers = &host, .header_count = 1};
	r.query = S(PRESIGNED "&X-Amz-Signature=" PRESIGNED_SIGNATURE);
	struct sigv4 sig;
	int64_t t = 1369353600000;
	assert_int_equal(sigv4_read(&a, &r, &sig), SIGV4_GOOD);
	assert_int_equal(sig.form, SIGV4_IN_QUERY);
	assert_int_equal(sig.payload, SIGV4_PAYLOAD_UNSIGNED);
	assert_int_equal(sig.expires_s, 86400);
	assert_int_equal(sigv4_check(&a, &sig, SECRET_SLASH, &r, STR_NONE, t), SIGV4_GOOD);
	assert_int_equal(sigv4_check(&a, &sig, SECRET_SLASH, &r, STR_NONE, t + 86400000), SIGV4_GOOD);
	assert_int_equal(sigv4_check(&a, &sig, SECRET_SLASH, &r, STR_NONE, t + 86400001), SIGV4_FAULT_EXPIRED);
	struct sigv4_words w;
	sigv4_fault_words(&a, SIGV4_FAULT_EXPIRED, &sig, PROTOCOL_REST_XML, true, t + 90000000, &w);
	assert_str(w.code, "AccessDenied");
	assert_str(w.message, "Request has expired");
	assert_str(str_map_get(&w.fields, S("Expires")), "2013-05-25T00:00:00Z");
	assert_int_equal(sigv4_check(&a, &sig, SECRET_PLUS, &r, STR_NONE, t), SIGV4_FAULT_MISMATCH);
	/* The same from the client's side. */
	struct sigv4_signer who = {.access_key_id = S("AKIAIOSFODNN7EXAMPLE"),
	                           .secret = SECRET_SLASH,
	                           .region = S("us-east-1"),
	                           .service = S("s3"),
	                           .now_ms = t};
	struct sigv4_request bare = r;
	bare.query = STR_NONE;
	assert_str(sigv4_presign(&a, &who, &bare, 86400, S("UNSIGNED-PAYLOAD")), PRESIGNED "&X-Amz-Signature=" PRESIGNED_SIGNATURE);
	/* Longer than a week, no number, and with a header too. */
	r.query = S(
	        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
	        "&X-Amz-Expires=604801&X-Amz-SignedHeaders=host&X-Amz-Signature=00");
	assert_int_equal(sigv4_read(&a, &r, &sig), SIGV4_FAULT_EXPIRES);
	r.query = S(
	        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
	        "&X-Amz-SignedHeaders=host&X-Amz-Signature=00");
	assert_int_equal(sigv4_read(&a, &r, &sig), SIGV4_FAULT_INCOMPLETE);
	struct sigv4_header both[] = {host, {S("authorization"), S("AWS4-HMAC-SHA256 x")}};
	r.headers = both;
	r.header_count = 2;
	r.query = S(PRESIGNED "&X-Amz-Signature=" PRESIGNED_SIGNATURE);
	assert_int_equal(sigv4_read(&a, &r, &sig), SIGV4_FAULT_BOTH);
}

static void chunk_chain(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct sigv4_request r;
	parse(&a,
	      S("PUT /examplebucket/chunkObject.txt HTTP/1.1\nHost:s3.amazonaws.com\nx-amz-date:20130524T000000Z\n"
	        "x-amz-storage-class:REDUCED_REDUNDANCY\nContent-Encoding:aws-chunked\nx-amz-decoded-content-length:66560\nContent-Length:66824\n"
	        "x-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD\n"
	        "Authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;"
	        "content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,"
	        "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9\n"),
	      &r);
	struct sigv4 sig;
	assert_int_equal(sigv4_read(&a, &r, &sig), SIGV4_GOOD);
	assert_int_equal(sig.payload, SIGV4_PAYLOAD_CHUNKS);
	assert_int_equal(sigv4_check(&a, &sig, SECRET_SLASH, &r, STR_NONE, sig.time_ms), SIGV4_GOOD);
	char *data = arena_alloc(&a, 65536);
	memset(data, 'a', 65536);
	static const struct {
		size_t n;
		const char *signature;
	} chunks[] = {
	        {65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"},
	        {1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"},
	        {0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
	};
	struct sigv4_chunks c;
	sigv4_chunks_init(&c, &sig, SECRET_SLASH);
	for (int i = 0; i < 3; i++)
		assert_true(
		        sigv4_chunks_next(&c, hash_hex(&a, HASH_SHA256, str_of(data, chunks[i].n)), str_from(chunks[i].signature)));
	sigv4_chunks_init(&c, &sig, SECRET_SLASH);
	data[65535] = 'b';
	assert_false(sigv4_chunks_next(&c, hash_hex(&a, HASH_SHA256, str_of(data, 65536)), str_from(chunks[0].signature)));
}

static void s3_paths_and_bodies(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	/* The key is "a//b c+../%ü": not normalised, and the same whichever way it was encoded. */
	const char *spellings[] = {"/bkt/a//b%20c%2B../%25%C3%BC", "/bkt/a//b%20c+../%25%c3%bc"};
	struct str body = hash_hex(&a, HASH_SHA256, S("hello"));
	struct sigv4_header headers[] = {{S("host"), S("127.0.0.1:4566")},
	                                 {S("x-amz-date"), S("20130524T000000Z")},
	                                 {S("x-amz-content-sha256"), body},
	                                 {S("authorization"), S("")}};
	struct sigv4_request r = {.method = S("PUT"),
	                          .path = str_from(spellings[0]),
	                          .query = S("b=%2F&a&c=x y"),
	                          .headers = headers,
	                          .header_count = 3};
	struct sigv4_signer who = {.access_key_id = S("AKID"),
	                           .secret = S("sec"),
	                           .region = S("eu-west-1"),
	                           .service = S("s3"),
	                           .now_ms = 1369353600000};
	headers[3].value = sigv4_sign(&a, &who, &r, body);
	r.header_count = 4;
	struct sigv4 sig;
	for (int i = 0; i < 2; i++) {
		r.path = str_from(spellings[i]);
		assert_int_equal(sigv4_read(&a, &r, &sig), SIGV4_GOOD);
		assert_true(sig.s3);
		assert_int_equal(sigv4_check(&a, &sig, S("sec"), &r, body, who.now_ms), SIGV4_GOOD);
		assert_int_equal(sigv4_check(&a, &sig, S("sec"), &r, STR_NONE, who.now_ms), SIGV4_GOOD);
		assert_int_equal(sigv4_check(&a, &sig, S("sec"), &r, SIGV4_EMPTY_HASH, who.now_ms), SIGV4_FAULT_BODY_HASH);
	}
	r.path = S("/bkt/a/b%20c%2B../%25%C3%BC");
	assert_int_equal(sigv4_check(&a, &sig, S("sec"), &r, body, who.now_ms), SIGV4_FAULT_MISMATCH);
}

static void browser_forms(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str policy = S("eyJleHBpcmF0aW9uIjoiMjAxNS0xMi0zMFQxMjowMDowMC4wMDBaIn0=");
	struct sigv4_key key;
	char hex[65];
	sigv4_key(&key, S("sec"), S("20151229"), S("us-east-1"), S("s3"));
	sigv4_key_sign(&key, policy, hex);
	struct sigv4 sig;
	assert_int_equal(sigv4_read_form(&a, S("AWS4-HMAC-SHA256"), S("AKID/20151229/us-east-1/s3/aws4_request"),
	                                 S("20151229T000000Z"), str_from(hex), STR_NONE, &sig),
	                 SIGV4_GOOD);
	assert_int_equal(sigv4_check_form(&a, &sig, S("sec"), policy), SIGV4_GOOD);
	assert_int_equal(sigv4_check_form(&a, &sig, S("sec"), S("eyJleHBpcmF0aW9uIjoi")), SIGV4_FAULT_MISMATCH);
	assert_int_equal(sigv4_read_form(&a, S("AWS4-HMAC-SHA256"), STR_NONE, S("20151229T000000Z"), str_from(hex), STR_NONE, &sig),
	                 SIGV4_FAULT_INCOMPLETE);
}

/* Not a test: prints what a verification costs, with BENCH=1. */
static void bench(void **state)
{
	(void)state;
	if (!getenv("BENCH"))
		return;
	struct arena CLEAN_ARENA a = {0};
	struct sigv4_request r;
	parse(&a,
	      arena_printf(
	              &a,
	              "%sX-Amzn-Trace-Id:Root=1-5759e988-bd862e3fe1be46a994272793\nUser-Agent:Boto3/1.43\nAccept-Encoding:identity\nContent-Length:300\n%s",
	              listing, listing_auth),
	      &r);
	struct sigv4 sig;
	struct arena CLEAN_ARENA work = {0};
	int64_t begin = clock_mono_us();
	enum { ROUNDS = 200000 };
	for (int i = 0; i < ROUNDS; i++) {
		arena_reset(&work);
		sigv4_read(&work, &r, &sig);
		sigv4_check(&work, &sig, SECRET_PLUS, &r, SIGV4_EMPTY_HASH, signed_at);
	}
	printf("%.3f us a verification\n", (double)(clock_mono_us() - begin) / ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(verifies_amazons_suite),
	        cmocka_unit_test(verifies_the_documented_request),
	        cmocka_unit_test(refuses_what_was_changed),
	        cmocka_unit_test(keeps_to_the_clock),
	        cmocka_unit_test(names_what_is_wrong),
	        cmocka_unit_test(words_per_family),
	        cmocka_unit_test(presigned_requests),
	        cmocka_unit_test(chunk_chain),
	        cmocka_unit_test(s3_paths_and_bodies),
	        cmocka_unit_test(browser_forms),
	        cmocka_unit_test(bench),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
