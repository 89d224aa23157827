/* A request as text ("METHOD target\nname:value\n..."): reading it never goes astray, what fails is worded for everybody, and a
 * request that is signed the way it stands verifies, until its method changes. */
#include "core/sigv4.h"

#include <assert.h>
#include <stdint.h>

enum { HEADERS = 16 };

static void parse(struct str text, struct sigv4_header *headers, struct sigv4_request *r)
{
	struct str line = str_cut(&text, '\n');
	*r = (struct sigv4_request){.method = str_cut(&line, ' '), .headers = headers};
	r->query = str_set(line) ? line : S("/");
	r->path = str_cut(&r->query, '?');
	while (str_set(text) && r->header_count < HEADERS - 1) {
		struct str value = str_cut(&text, '\n'), name = str_cut(&value, ':');
		headers[r->header_count++] = (struct sigv4_header){name, str_set(value) ? value : S("")};
	}
}

static void word(struct arena *a, enum sigv4_fault fault, const struct sigv4 *sig, int64_t now_ms)
{
	for (int p = 0; p < PROTOCOLS; p++) {
		struct sigv4_words w;
		sigv4_fault_words(a, fault, sig, (enum protocol)p, p == PROTOCOL_REST_XML, now_ms, &w);
		assert(w.code.n && w.status >= 400);
	}
}

/* HTTP lets no other names in. */
static bool is_token(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
			return false;
	return name.n > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct sigv4_header headers[HEADERS];
	struct sigv4_request r;
	struct sigv4 sig;
	parse(str_of(data, size), headers, &r);
	enum sigv4_fault fault = sigv4_read(&a, &r, &sig);
	if (fault == SIGV4_GOOD && sig.form != SIGV4_UNSIGNED)
		fault = sigv4_check(&a, &sig, S("secret"), &r, SIGV4_EMPTY_HASH, sig.time_ms);
	if (fault != SIGV4_GOOD)
		word(&a, fault, &sig, sig.time_ms);

	/* Signed by us, without what it came with. */
	unsigned kept = 0;
	for (unsigned i = 0; i < r.header_count; i++)
		if (!str_ieq(headers[i].name, S("authorization")) && !str_istarts(headers[i].name, S("x-amz-")) &&
		    is_token(headers[i].name))
			headers[kept++] = headers[i];
	if (kept > HEADERS - 4 || (r.query.n && str_find(r.query, S("X-Amz-")) >= 0) || str_find(r.query, S("Signature")) >= 0)
		return 0;
	struct sigv4_signer who = {.access_key_id = S("AKID"),
	                           .secret = S("secret"),
	                           .region = S("us-east-1"),
	                           .service = S("iam"),
	                           .now_ms = 1440938160000};
	headers[kept++] = (struct sigv4_header){S("Host"), S("x")};
	headers[kept++] = (struct sigv4_header){S("X-Amz-Date"), sigv4_date(&a, who.now_ms)};
	r.header_count = kept;
	headers[kept] = (struct sigv4_header){S("Authorization"), sigv4_sign(&a, &who, &r, SIGV4_EMPTY_HASH)};
	r.header_count++;
	fault = sigv4_read(&a, &r, &sig);
	assert(fault == SIGV4_GOOD);
	assert(sigv4_check(&a, &sig, S("secret"), &r, SIGV4_EMPTY_HASH, who.now_ms) == SIGV4_GOOD);
	r.method = ARENA_CAT(&a, r.method, S("X"));
	assert(sigv4_check(&a, &sig, S("secret"), &r, SIGV4_EMPTY_HASH, who.now_ms) == SIGV4_FAULT_MISMATCH);
	return 0;
}
