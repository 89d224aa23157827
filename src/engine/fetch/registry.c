#include "engine/fetch/registry.h"

#include "base/json.h"
#include "base/uri.h"
#include "http/client.h"

#include <errno.h>

enum { STEPS_MAX = 8, SHORT_US = 30 * 1000 * 1000, BLOB_US = 15 * 60 * 1000 * 1000, TOKEN_BYTES_MAX = 64 << 10 };

#define MANIFEST_TYPES \
	"application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " \
	"application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"

int registry_open(struct registry *r, struct arena *a, struct str base, struct str name, const atomic_bool *cancel)
{
	const char *why = NULL;
	*r = (struct registry){.arena = a, .base = base, .name = name, .cancel = cancel};
	struct str host = registry_host(base), who = str_sub(base, 0, (size_t)(host.p - base.p));
	ptrdiff_t at = str_find(who, S("://"));
	if (at >= 0 && str_ends(who, S("@"))) {
		r->base = ARENA_CAT(a, str_sub(who, 0, (size_t)at + 3), host);
		who = str_sub(who, (size_t)at + 3, who.n - (size_t)at - 4);
		r->user = uri_decode(a, str_cut(&who, ':'));
		r->password = uri_decode(a, str_set(who) ? who : S(""));
	}
	r->client = http_client_new(NULL, NULL, &why);
	if (!r->client)
		r->why = str_from(why);
	return r->client ? 0 : -ENOSYS;
}

struct str registry_host(struct str base)
{
	ptrdiff_t at = str_find(base, S("://"));
	struct str host = at >= 0 ? str_from_at(base, (size_t)at + 3) : base;
	at = str_rfind_char(host, '@');
	return at >= 0 ? str_from_at(host, (size_t)at + 1) : host;
}

void registry_close(struct registry *r)
{
	http_client_free(r->client);
	r->client = NULL;
}

/* ---- challenges ---- */

static struct str quoted(struct arena *a, struct str *rest)
{
	char *out = arena_alloc(a, rest->n + 1);
	size_t n = 0, i = 1;
	for (; i < rest->n && rest->p[i] != '"'; i++) {
		if (rest->p[i] == '\\' && ++i == rest->n)
			return STR_NONE;
		out[n++] = rest->p[i];
	}
	if (i >= rest->n)
		return STR_NONE;
	*rest = str_from_at(*rest, i + 1);
	return str_of(out, n);
}

static struct str token(struct str *rest)
{
	size_t n = 0;
	while (n < rest->n && rest->p[n] != ',' && rest->p[n] != ' ')
		n++;
	struct str out = str_sub(*rest, 0, n);
	*rest = str_from_at(*rest, n);
	return out;
}

bool registry_challenge_read(struct arena *a, struct str header, struct registry_challenge *ret)
{
	struct registry_challenge c = {0};
	if (!str_istarts(header, S("bearer ")))
		return false;
	struct str rest = str_trim(str_from_at(header, 7));
	while (rest.n) {
		ptrdiff_t at = str_find_char(rest, '=');
		if (at <= 0)
			return false;
		struct str key = str_trim(str_sub(rest, 0, (size_t)at));
		rest = str_trim(str_from_at(rest, (size_t)at + 1));
		struct str value = rest.n && rest.p[0] == '"' ? quoted(a, &rest) : token(&rest);
		if (!str_set(value))
			return false;
		if (str_ieq(key, S("realm")))
			c.realm = value;
		else if (str_ieq(key, S("service")))
			c.service = value;
		else if (str_ieq(key, S("scope")))
			c.scope = value;
		rest = str_trim(rest);
		if (rest.n && rest.p[0] != ',')
			return false;
		rest = rest.n ? str_trim(str_from_at(rest, 1)) : rest;
	}
	*ret = c;
	return str_set(c.realm) && (str_starts(c.realm, S("https://")) || str_starts(c.realm, S("http://")));
}

static struct str header_of(const struct http_client_reply *reply, const char *name)
{
	for (unsigned i = 0; i < reply->header_count; i++)
		if (str_ieq(reply->headers[i].name, str_from(name)))
			return reply->headers[i].value;
	return STR_NONE;
}

static bool is_own(const struct registry *r, struct str url)
{
	return str_starts(url, r->base) && url.n > r->base.n && url.p[r->base.n] == '/';
}

static int take_token(struct registry *r, const struct http_client_reply *refusal)
{
	struct registry_challenge c;
	struct http_client_reply reply;
	struct str challenge = header_of(refusal, "www-authenticate");
	if (str_istarts(challenge, S("basic")))
		return registry_login(r, challenge);
	if (!registry_challenge_read(r->arena, challenge, &c)) {
		r->why = S("the registry wants a password");
		return -EACCES;
	}
	struct str scope = str_set(c.scope) ? c.scope : ARENA_CAT(r->arena, S("repository:"), r->name, S(":pull"));
	struct str url = arena_printf(r->arena, "%.*s%sservice=%.*s&scope=%.*s", STR_ARG(c.realm),
	                              str_find_char(c.realm, '?') >= 0 ? "&" : "?",
	                              STR_ARG(uri_encode(r->arena, str_set(c.service) ? c.service : S(""), false)),
	                              STR_ARG(uri_encode(r->arena, scope, false)));
	/* A password goes to a place that somebody else names, as every client of such registries does it, but not in the clear. */
	bool known = str_set(r->user) && (is_own(r, c.realm) || str_starts(c.realm, S("https://")));
	const struct http_header login = {S("Authorization"), known ? registry_basic(r) : STR_NONE};
	const struct http_client_request q = {.method = "GET",
	                                      .headers = &login,
	                                      .header_count = known,
	                                      .url = arena_dupz(r->arena, url),
	                                      .timeout_us = SHORT_US,
	                                      .max_body = TOKEN_BYTES_MAX,
	                                      .cancel = r->cancel};
	int error = http_client_send(r->client, r->arena, &q, &reply, &r->why);
	if (error)
		return error;
	const struct json_value *v = json_parse(r->arena, reply.body, NULL), *t = json_get(v, S("token"));
	if (!json_is(t, JSON_STRING))
		t = json_get(v, S("access_token"));
	if (reply.status != 200 || !json_is(t, JSON_STRING) || str_find_char(t->text, '\n') >= 0) {
		r->why = str_set(r->user) ? S("the registry gives no token for this name and password")
		                          : S("the registry gives nobody a token who has no password");
		return -EACCES;
	}
	r->authorization = ARENA_CAT(r->arena, S("Bearer "), t->text);
	return 0;
}

/* ---- requests ---- */

static int status_error(struct registry *r, unsigned status)
{
	r->why = arena_printf(r->arena, "the registry answers with status %u", status);
	return status == 404 ? -ENOENT : status == 401 || status == 403 ? -EACCES : -EPROTO;
}

/* Where a redirect leads; absent: nowhere that could be asked. */
static struct str redirected(struct registry *r, struct str location)
{
	if (str_starts(location, S("https://")) || str_starts(location, S("http://")))
		return location;
	return str_set(location) && str_starts(location, S("/")) && !str_starts(location, S("//"))
	               ? ARENA_CAT(r->arena, r->base, location)
	               : STR_NONE;
}

static int ask(struct registry *r, struct str path, struct http_client_request q, registry_again_fn *again,
               struct http_client_reply *ret_reply)
{
	struct str url = ARENA_CAT(r->arena, r->base, path);
	bool refused = false;
	for (int step = 0; step < STEPS_MAX; step++) {
		struct http_header headers[2];
		unsigned n = 0;
		if (!q.on_body)
			headers[n++] = (struct http_header){S("Accept"), S(MANIFEST_TYPES)};
		if (str_set(r->authorization) && is_own(r, url))
			headers[n++] = (struct http_header){S("Authorization"), r->authorization};
		q.method = "GET";
		q.cancel = r->cancel;
		q.url = arena_dupz(r->arena, url);
		q.headers = headers;
		q.header_count = n;
		if (again)
			again(q.ctx);
		int error = http_client_send(r->client, r->arena, &q, ret_reply, &r->why);
		if (error)
			return error;
		unsigned status = ret_reply->status;
		if (status == 401 && !refused && is_own(r, url)) {
			refused = true;
			if ((error = take_token(r, ret_reply)) < 0)
				return error;
		} else if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
			url = redirected(r, header_of(ret_reply, "location"));
			if (!str_set(url))
				return status_error(r, status);
		} else {
			return status == 200 ? 0 : status_error(r, status);
		}
	}
	r->why = S("the registry sends from one address to the next");
	return -EPROTO;
}

int registry_manifest(struct registry *r, struct str reference, struct str *ret_text, struct str *ret_media_type)
{
	struct http_client_reply reply;
	const struct http_client_request q = {.timeout_us = SHORT_US, .max_body = REGISTRY_MANIFEST_MAX};
	int error = ask(r, ARENA_CAT(r->arena, S("/v2/"), r->name, S("/manifests/"), reference), q, NULL, &reply);
	if (error)
		return error;
	struct str type = header_of(&reply, "content-type");
	*ret_text = reply.body;
	*ret_media_type = str_set(type) ? str_trim(str_cut(&type, ';')) : STR_NONE;
	return 0;
}

int registry_blob(struct registry *r, struct str digest, registry_again_fn *again, registry_take_fn *take, void *ctx)
{
	struct http_client_reply reply;
	const struct http_client_request q = {.timeout_us = BLOB_US, .on_body = take, .ctx = ctx};
	return ask(r, ARENA_CAT(r->arena, S("/v2/"), r->name, S("/blobs/"), digest), q, again, &reply);
}

int registry_ping(struct registry *r)
{
	struct http_client_reply reply;
	const struct http_client_request q = {.timeout_us = SHORT_US, .max_body = REGISTRY_MANIFEST_MAX};
	return ask(r, S("/v2/"), q, NULL, &reply);
}
