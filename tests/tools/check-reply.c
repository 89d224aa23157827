/* Checks recorded replies against the models: check-reply [--list] < EXCHANGES
 *
 * Each line of standard input is one exchange, a JSON object whose bodies are in Base64:
 *	{"request": {"method": "GET", "uri": "/b?acl", "headers": {...}, "body": ""},
 *	 "reply": {"status": 200, "headers": {...}, "body": "PD94..."}}
 * The service is taken from the signature's scope or, in unsigned requests, from what they look like; the operation and the
 *protocol from the request, as the server does. Every reply that is not what the output's shape says is named, with the line it
 *came from. --list also names the operations that were met. The exit status is 1 when a reply was wrong, 2 when a line could not be
 *understood. */
#include "base/base64.h"
#include "base/json.h"
#include "base/uri.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>

struct tally {
	unsigned exchanges, wrong, unclear;
	bool list;
};

static struct wire_pairs headers_of(struct arena *a, const struct json_value *v)
{
	struct wire_pairs pairs = {0};
	json_each(json_get(v, S("headers")), h) wire_pairs_add(a, &pairs, h->key, h->text);
	return pairs;
}

static struct str body_of(struct arena *a, const struct json_value *v)
{
	struct str text = json_get_str(v, S("body"));
	return str_set(text) ? base64_decode(a, text) : S("");
}

/* The service of "AKID/20240501/us-east-1/s3/aws4_request". */
static struct str scope_service(struct str credential)
{
	for (int i = 0; i < 3; i++)
		str_cut(&credential, '/');
	return str_cut(&credential, '/');
}

static const struct api *api_of(struct arena *a, const struct wire_request *r)
{
	struct str authorization = r->headers.get(r->headers.ctx, S("authorization")), rest = r->query;
	ptrdiff_t at = str_find(authorization, S("Credential="));
	struct str service = at < 0 ? STR_NONE : scope_service(str_from_at(authorization, (size_t)at + 11));
	struct uri_part part;
	while (!str_set(service) && uri_next_part(&rest, &part))
		if (str_is(part.name, "X-Amz-Credential"))
			service = scope_service(uri_decode(a, part.value));
	const struct api *api = NULL;
	if (!str_set(service))
		return wire_guess_api(a, r);
	/* Of several APIs with one signing name the request's target tells which. */
	while ((api = model_api_by_signing_name(service, api)))
		if (!str_set(r->target) || str_starts(r->target, str_from(api->target_prefix)))
			return api;
	return wire_guess_api(a, r);
}

/* The bucket stands in the host's name or in the path. */
static struct str s3_path(struct arena *a, const struct wire_request *r)
{
	struct str host = r->headers.get(r->headers.ctx, S("host"));
	ptrdiff_t at = str_find(host, S(".s3."));
	return at > 0 ? ARENA_CAT(a, S("/"), str_sub(host, 0, (size_t)at), r->path) : r->path;
}

/* What AWS itself answers although its models do not list it. */
static bool is_aws_own(struct str wrong)
{
	return str_find(wrong, S("'Creating' is not a value of LastUpdateStatusReasonCode")) >= 0 ||
	       str_find(wrong, S("'available' is not a value of State")) >= 0 || /* of VPC endpoints: capital in the model alone */
	       str_find(wrong, S("is not a value of KeyAlgorithm")) >= 0 ||      /* of ACM: RSA-2048, and RSA_2048 in the model */
	       str_find(wrong, S("is not a value of ObjectVersionStorageClass")) >= 0;
}

/* What is wrong with one exchange, or STR_NONE; *ret_unclear: it cannot be told. */
static struct str check_line(struct arena *a, struct str line, struct tally *tally, bool *ret_unclear)
{
	struct str error = STR_NONE;
	const struct json_value *v = json_parse(a, line, &error), *asked = json_get(v, S("request")),
	                        *answer = json_get(v, S("reply"));
	*ret_unclear = true;
	if (!asked || !answer)
		return error.n ? error : S("no request or no reply in it");
	struct wire_pairs request_headers = headers_of(a, asked), reply_headers = headers_of(a, answer);
	struct str query = json_get_str(asked, S("uri")), path = str_cut(&query, '?');
	struct wire_request r = {
	        .method = json_get_str(asked, S("method")),
	        .path = path,
	        .query = str_set(query) ? query : S(""),
	        .headers = wire_headers_of(&request_headers),
	        .body = body_of(a, asked),
	};
	r.content_type = r.headers.get(r.headers.ctx, S("content-type"));
	r.target = r.headers.get(r.headers.ctx, S("x-amz-target"));
	r.smithy_protocol = r.headers.get(r.headers.ctx, S("smithy-protocol"));
	struct wire_headers view = wire_headers_of(&reply_headers);
	const struct json_value *number = json_get(answer, S("status"));
	struct str body = body_of(a, answer);
	int64_t status;
	if (!json_is(number, JSON_NUMBER) || !json_to_int(number->text, &status) || !str_set(body) || !str_set(r.body))
		return S("no status, or a body that is not Base64");
	const struct api *api = api_of(a, &r);
	struct wire_target t;
	struct wire_fault fault;
	if (api && strcmp(api->id, "s3") == 0)
		r.path = s3_path(a, &r);
	if (!api || !wire_identify(a, api, &r, &t, &fault)) {
		*ret_unclear = status < 400; /* a request that means nothing is answered with an error */
		return status < 400 ? S("a request of no operation, with success") : STR_NONE;
	}
	*ret_unclear = false;
	if (tally->list)
		printf("%s %s %d\n", api->id, api->text + t.op->name, (int)status);
	struct str wrong = wire_reply_check(a, api, t.op, t.protocol, (uint16_t)status, &view, body);
	return str_set(wrong) && !is_aws_own(wrong)
	               ? ARENA_CAT(a, str_from(api->id), S(" "), api_text(api, t.op->name), S(": "), wrong)
	               : STR_NONE;
}

int main(int argc, char **argv)
{
	struct tally tally = {.list = argc > 1 && strcmp(argv[1], "--list") == 0};
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	while ((n = getline(&line, &cap, stdin)) > 0) {
		struct arena CLEAN_ARENA a = {0};
		bool unclear;
		tally.exchanges++;
		struct str wrong = check_line(&a, str_trim(str_of(line, (size_t)n)), &tally, &unclear);
		if (!str_set(wrong))
			continue;
		*(unclear ? &tally.unclear : &tally.wrong) += 1;
		printf("line %u: %.*s\n", tally.exchanges, STR_ARG(wrong));
	}
	free(line);
	printf("%u exchanges, %u wrong, %u unclear\n", tally.exchanges, tally.wrong, tally.unclear);
	return tally.wrong ? 1 : tally.unclear ? 2 : 0;
}
