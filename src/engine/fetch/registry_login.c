/* Who we are to a registry that wants to know. An ECR gives a password for twelve hours to whoever signs a request with an access
 * key; it is asked for anew with each fetch, which costs less than to know when it ends. */
#include "engine/fetch/registry.h"

#include "base/base64.h"
#include "base/json.h"
#include "http/client.h"

#include <errno.h>

enum { LOGIN_US = 30 * 1000 * 1000, REPLY_MAX = 64 << 10 };

struct str registry_region(struct str host)
{
	ptrdiff_t at = str_find(host, S(".dkr.ecr."));
	struct str rest = at >= 0 ? str_from_at(host, (size_t)at + 9) : STR_NONE, region = str_cut(&rest, '.');
	return str_set(rest) && region.n ? region : S("us-east-1");
}

struct str registry_basic(const struct registry *r)
{
	return ARENA_CAT(r->arena, S("Basic "), base64_encode(r->arena, ARENA_CAT(r->arena, r->user, S(":"), r->password)));
}

/* The API beside the registry: of AWS's a host of its own, of a cloud of ours the same. */
static struct str api_of(struct registry *r, struct str host, struct str region)
{
	struct str domain = str_ends(host, S(".amazonaws.com"))      ? S(".amazonaws.com")
	                    : str_ends(host, S(".amazonaws.com.cn")) ? S(".amazonaws.com.cn")
	                                                             : STR_NONE;
	return str_set(domain) ? ARENA_CAT(r->arena, S("https://api.ecr."), region, domain) : r->base;
}

static int ask_for_token(struct registry *r)
{
	struct arena *a = r->arena;
	struct str body = S("{}"), region = registry_region(registry_host(r->base));
	struct str base = api_of(r, registry_host(r->base), region);
	const struct registry_signing signing = {.user = r->user,
	                                         .password = r->password,
	                                         .region = region,
	                                         .host = registry_host(base),
	                                         .type = S("application/x-amz-json-1.1"),
	                                         .target = S("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
	                                         .body = body};
	struct str date, signature = r->sign(a, &signing, &date);
	const struct http_header headers[] = {{S("host"), signing.host},
	                                      {S("x-amz-date"), date},
	                                      {S("content-type"), signing.type},
	                                      {S("x-amz-target"), signing.target},
	                                      {S("authorization"), signature}};
	struct http_client_reply reply;
	const struct http_client_request q = {.method = "POST",
	                                      .url = arena_dupz(a, ARENA_CAT(a, base, S("/"))),
	                                      .headers = headers,
	                                      .header_count = sizeof(headers) / sizeof(headers[0]),
	                                      .body = body,
	                                      .timeout_us = LOGIN_US,
	                                      .max_body = REPLY_MAX,
	                                      .cancel = r->cancel};
	int error = http_client_send(r->client, a, &q, &reply, &r->why);
	if (error)
		return error;
	const struct json_value *said = json_parse(a, reply.body, NULL), *all = json_get(said, S("authorizationData"));
	const struct json_value *token = json_is(all, JSON_ARRAY) ? json_get(all->first, S("authorizationToken")) : NULL;
	if (reply.status != 200 || !json_is(token, JSON_STRING) || str_find_char(token->text, '\n') >= 0) {
		struct str type = json_get_str(said, S("__type"));
		r->why = arena_printf(a, "the registry gives no authorization token for this access key: status %u %.*s",
		                      reply.status, STR_ARG(str_set(type) ? type : S("")));
		return -EACCES;
	}
	r->authorization = ARENA_CAT(a, S("Basic "), token->text);
	return 0;
}

int registry_login(struct registry *r, struct str challenge)
{
	if (!str_set(r->user)) {
		r->why = S("the registry wants a password");
		return -EACCES;
	}
	if (r->sign && str_find(challenge, S("service=\"ecr.amazonaws.com\"")) >= 0)
		return ask_for_token(r);
	r->authorization = registry_basic(r);
	return 0;
}
