/* Making signatures: our command line, the samples and the tests. */
#include "base/clock.h"
#include "base/hash.h"
#include "core/sigv4_canonical.h"

#include <stdlib.h>

struct str sigv4_date(struct arena *a, int64_t ms)
{
	return time_format(a, ms, TIME_BASIC);
}

/* Headers that those in between may change or drop. */
static bool may_sign(struct str lower)
{
	static const char *const never[] = {"authorization", "user-agent",      "connection",
	                                    "expect",        "x-amzn-trace-id", "transfer-encoding"};
	for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (str_is(lower, never[i]))
			return false;
	return true;
}

static int compare(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static struct str signed_headers(struct arena *a, const struct sigv4_request *r)
{
	struct str *names = arena_array(a, r->header_count + 1, sizeof(*names));
	size_t n = 0, room = 1;
	for (unsigned i = 0; i < r->header_count; i++) {
		char *lower = arena_dupz(a, r->headers[i].name);
		for (size_t k = 0; k < r->headers[i].name.n; k++)
			lower[k] = ascii_lower(lower[k]);
		names[n] = str_of(lower, r->headers[i].name.n);
		if (may_sign(names[n]))
			room += names[n++].n + 1;
	}
	qsort(names, n, sizeof(*names), compare);
	char *begin = arena_alloc(a, room), *out = begin;
	for (size_t i = 0; i < n; i++) {
		if (i && str_eq(names[i - 1], names[i]))
			continue;
		if (i)
			*out++ = ';';
		memcpy(out, names[i].p, names[i].n);
		out += names[i].n;
	}
	return str_of(begin, (size_t)(out - begin));
}

static struct str scope(struct arena *a, const struct sigv4_signer *who, struct str date)
{
	return arena_printf(a, "%.*s/%.*s/%.*s/aws4_request", STR_ARG(date), STR_ARG(who->region), STR_ARG(who->service));
}

static struct str signature(struct arena *a, const struct sigv4_signer *who, struct str timestamp, struct str canonical)
{
	struct str date = str_sub(timestamp, 0, 8);
	struct str text = sigv4_string_to_sign(a, timestamp, scope(a, who, date), canonical);
	struct sigv4_key key;
	sigv4_key(&key, who->secret, date, who->region, who->service);
	char *hex = arena_alloc(a, 65);
	sigv4_key_sign(&key, text, hex);
	return str_of(hex, 64);
}

struct str sigv4_sign(struct arena *a, const struct sigv4_signer *who, const struct sigv4_request *r, struct str payload_hash)
{
	struct str timestamp = sigv4_date(a, who->now_ms), names = signed_headers(a, r);
	struct str canonical = sigv4_canonical(a, r, names, payload_hash, str_starts(who->service, S("s3")));
	struct str hex = signature(a, who, timestamp, canonical);
	return arena_printf(a, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%.*s",
	                    STR_ARG(who->access_key_id), STR_ARG(scope(a, who, str_sub(timestamp, 0, 8))), STR_ARG(names),
	                    STR_ARG(hex));
}

static struct str encoded(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, 3 * s.n + 1);
	return str_of(p, (size_t)(sigv4_encode(p, s, false) - p));
}

struct str sigv4_presign(struct arena *a, const struct sigv4_signer *who, const struct sigv4_request *r, int64_t expires_s,
                         struct str payload_hash)
{
	struct str timestamp = sigv4_date(a, who->now_ms), names = signed_headers(a, r);
	struct str credential =
	        arena_printf(a, "%.*s/%.*s", STR_ARG(who->access_key_id), STR_ARG(scope(a, who, str_sub(timestamp, 0, 8))));
	struct str query = arena_printf(
	        a,
	        "%.*s%sX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%.*s&X-Amz-Date=%.*s&X-Amz-Expires=%lld&X-Amz-SignedHeaders=%.*s%s%.*s",
	        STR_ARG(r->query), r->query.n ? "&" : "", STR_ARG(encoded(a, credential)), STR_ARG(timestamp), (long long)expires_s,
	        STR_ARG(encoded(a, names)), who->token.n ? "&X-Amz-Security-Token=" : "", STR_ARG(encoded(a, who->token)));
	struct sigv4_request with = *r;
	with.query = query;
	struct str canonical = sigv4_canonical(a, &with, names, payload_hash, str_starts(who->service, S("s3")));
	return arena_printf(a, "%.*s&X-Amz-Signature=%.*s", STR_ARG(query), STR_ARG(signature(a, who, timestamp, canonical)));
}
