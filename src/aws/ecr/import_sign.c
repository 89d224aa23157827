#include "aws/ecr/import_fetch.h"
#include "base/clock.h"
#include "base/hash.h"
#include "core/sigv4.h"

struct str ecr_sign_login(struct arena *a, const struct registry_signing *s, struct str *ret_date)
{
	const struct sigv4_signer who = {.access_key_id = s->user,
	                                 .secret = s->password,
	                                 .region = s->region,
	                                 .service = S("ecr"),
	                                 .now_ms = clock_machine_ms()};
	*ret_date = sigv4_date(a, who.now_ms);
	const struct sigv4_header headers[] = {
	        {S("host"), s->host}, {S("x-amz-date"), *ret_date}, {S("content-type"), s->type}, {S("x-amz-target"), s->target}};
	const struct sigv4_request request = {
	        .method = S("POST"), .path = S("/"), .headers = headers, .header_count = sizeof(headers) / sizeof(headers[0])};
	return sigv4_sign(a, &who, &request, hash_hex(a, HASH_SHA256, s->body));
}
