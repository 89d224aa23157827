#include "aws/ecr/oci.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/uri.h"
#include "core/listen.h"

#include <stdarg.h>

/* --- replies */

int oci_fail(struct call *c, const char *code, unsigned status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, code, status, "%.*s", STR_ARG(message));
}

int oci_reply(struct call *c, unsigned status, const char *content_type, struct str body)
{
	call_reply_status(c, status);
	if (content_type)
		call_reply_header(c, S("Content-Type"), str_from(content_type));
	c->reply = (struct reply_body){.kind = REPLY_MEMORY, .fd = -1, .memory = body};
	return CALL_OK;
}

struct str oci_path(struct call *c, const char *kind, struct str id)
{
	return ARENA_CAT(c->arena, S("/v2/"), oci_request(c)->place.name, S("/"), str_from(kind), S("/"), id);
}

/* The specification's codes are of capitals; others' are said by their status. */
static struct str own_code(struct str code, unsigned status)
{
	bool own = code.n > 0;
	for (size_t i = 0; i < code.n; i++)
		own = own && (code.p[i] == '_' || (code.p[i] >= 'A' && code.p[i] <= 'Z'));
	return own             ? code
	       : status >= 500 ? S("UNKNOWN")
	       : status == 429 ? S("TOOMANYREQUESTS")
	       : status == 403 ? S("DENIED")
	       : status == 401 ? S("UNAUTHORIZED")
	                       : S("UNSUPPORTED");
}

/* The API's errors and the gate's, as the specification calls them. */
void ecr_spell_error(struct call *c)
{
	static const struct {
		const char *api, *code;
		unsigned status;
	} known[] = {
	        {"RepositoryNotFoundException", "NAME_UNKNOWN", 404},
	        {"ImageNotFoundException", "MANIFEST_UNKNOWN", 404},
	        {"LayersNotFoundException", "MANIFEST_BLOB_UNKNOWN", 404},
	        {"ReferencedImagesNotFoundException", "MANIFEST_BLOB_UNKNOWN", 404},
	        {"ImageTagAlreadyExistsException", "TAG_INVALID", 400},
	        {"ImageDigestDoesNotMatchException", "DIGEST_INVALID", 400},
	        {"InvalidParameterException", "MANIFEST_INVALID", 400},
	        {"LimitExceededException", "DENIED", 403},
	        {"AccessDeniedException", "DENIED", 403},
	        {"UnableToGetUpstreamImageException", "UNKNOWN", 502},
	        {"ServiceUnavailable", "UNKNOWN", 503},
	        {"InternalFailure", "UNKNOWN", 500},
	};
	unsigned status = c->error.status ? c->error.status : 400;
	struct str code = own_code(c->error.code, status);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!str_is(c->error.code, known[i].api))
			continue;
		code = str_from(known[i].code);
		status = known[i].status;
	}
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("errors"));
	json_open(&o, '[');
	json_open(&o, '{');
	json_key(&o, S("code"));
	json_string(&o, code);
	json_key(&o, S("message"));
	json_string(&o, c->error.message);
	json_close(&o, '}');
	json_close(&o, ']');
	json_close(&o, '}');
	call_reply_header(c, S("Docker-Distribution-Api-Version"), S("registry/2.0"));
	oci_reply(c, status, "application/json; charset=utf-8", arena_dup(c->arena, buf_str(&b)));
}

bool oci_is_meant(struct call *c, struct str header, struct str digest)
{
	struct str tags = call_header(c, header);
	while (str_set(tags) && str_set(digest)) {
		struct str one = str_trim(str_cut(&tags, ','));
		if (str_starts(one, S("W/")))
			one = str_from_at(one, 2);
		if (str_is(one, "*") || (one.n == digest.n + 2 && str_eq(str_sub(one, 1, digest.n), digest)))
			return true;
	}
	return false;
}

bool oci_has_body(struct call *c)
{
	int64_t length = body_length(c->body);
	return length > 0 || (length < 0 && str_set(call_header(c, S("transfer-encoding"))));
}

int oci_page(struct call *c, uint64_t *ret_n, struct str *ret_last)
{
	struct str n = call_query(c, S("n"));
	*ret_n = UINT64_MAX;
	*ret_last = call_query(c, S("last"));
	if (str_set(n) && !str_to_u64(n, ret_n))
		return oci_fail(c, "UNSUPPORTED", 400, "n is not a number: %.*s", STR_ARG(n));
	return CALL_OK;
}

void oci_page_link(struct call *c, struct str path, uint64_t n, struct str last)
{
	call_reply_header(c, S("Link"),
	                  arena_printf(c->arena, "<%.*s?n=%llu&last=%.*s>; rel=\"next\"", STR_ARG(path), (unsigned long long)n,
	                               STR_ARG(uri_encode(c->arena, last, false))));
}

/* --- who asks */

static int unauthorized(struct call *c, const char *why)
{
	oci_fail(c, "UNAUTHORIZED", 401, "%s", why);
	struct str host = call_header(c, S("host"));
	call_reply_header(c, S("WWW-Authenticate"),
	                  arena_printf(c->arena, "Basic realm=\"%s://%.*s/\",service=\"ecr.amazonaws.com\"",
	                               call_over_tls(c) ? "https" : "http", STR_ARG(host)));
	return CALL_FAIL;
}

/* ACCOUNT.dkr.ecr.REGION.localhost:PORT, or .amazonaws.com of a client that was told to send here. */
static bool host_read(struct str host, struct str *ret_account, struct str *ret_region)
{
	struct str rest = host, account = str_cut(&rest, '.');
	if (account.n != 12 || !str_set(rest) || !str_starts(rest, S("dkr.ecr.")))
		return false;
	for (size_t i = 0; i < account.n; i++)
		if (!ascii_is_digit(account.p[i]))
			return false;
	rest = str_from_at(rest, 8);
	*ret_account = account;
	*ret_region = str_cut(&rest, '.');
	return str_set(rest) && ret_region->n > 0;
}

static int authenticate(struct call *c)
{
	struct str header = call_header(c, S("authorization")), region;
	if (!str_set(header) || !str_istarts(header, S("basic ")))
		return unauthorized(c, "Log in as AWS with the password of ecr:GetAuthorizationToken.");
	struct str pair = base64_decode(c->arena, str_trim(str_from_at(header, 6)));
	if (!str_set(pair) || !str_starts(pair, S("AWS:")))
		return unauthorized(c, "The user name is AWS.");
	const struct principal *who = ecr_token_principal(c, str_from_at(pair, 4), &region);
	if (!who)
		return unauthorized(
		        c, "Your Authorization Token has expired, or is none. Run 'aws ecr get-login-password' to get another.");
	principal_unref(c->caller);
	c->caller = who;
	struct str account = who->account, of_host;
	if (host_read(call_header(c, S("host")), &account, &of_host))
		region = of_host;
	c->account = arena_dup(c->arena, account);
	c->region = arena_dup(c->arena, region);
	return CALL_OK;
}

/* --- what for */

static const struct route {
	const char *kind; /* between name and id */
	bool id, list;    /* an id follows; the whole ends with this */
	bool anybody;     /* the handler itself asks who it is */
	int (*serve)(struct call *c, const struct oci_request *r);
} routes[] = {
        {"/blobs/uploads", false, true, false, oci_serve_uploads},
        {"/blobs/uploads/", false, true, false, oci_serve_uploads},
        {"/tags/list", false, true, false, oci_serve_tags},
        {"/blobs/uploads/", true, false, false, oci_serve_upload},
        {"/blobs/", true, false, true, oci_serve_blob},
        {"/manifests/", true, false, false, oci_serve_manifest},
        {"/referrers/", true, false, false, oci_serve_referrers},
};

/* The last place where `kind` stands; names may hold such words too. */
static ptrdiff_t find_last(struct str s, struct str kind)
{
	ptrdiff_t at = -1;
	for (size_t i = 0; i + kind.n <= s.n; i++)
		if (memcmp(s.p + i, kind.p, kind.n) == 0)
			at = (ptrdiff_t)i;
	return at;
}

static const struct route *route_find(struct str path, struct oci_request *r)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		struct str kind = str_from(routes[i].kind);
		if (routes[i].list && str_ends(path, kind) && path.n > kind.n) {
			r->place.name = str_sub(path, 0, path.n - kind.n);
			return &routes[i];
		}
		ptrdiff_t at = routes[i].id ? find_last(path, kind) : -1;
		if (at <= 0)
			continue;
		r->place.name = str_sub(path, 0, (size_t)at);
		r->id = str_from_at(path, (size_t)at + kind.n);
		if (r->id.n && str_find_char(r->id, '/') < 0)
			return &routes[i];
	}
	return NULL;
}

/* A link of GetDownloadUrlForLayer speaks for itself. */
static bool link_is_good(struct call *c, struct oci_request *r)
{
	struct str expires = call_query(c, S("expires")), signature = call_query(c, S("signature"));
	struct str region = call_query(c, S("region")), account = call_query(c, S("account"));
	int64_t until;
	if (!str_set(expires) || !str_set(signature) || !str_set(region) || !str_set(account) || !str_to_i64(expires, &until) ||
	    until * 1000 < c->now_ms)
		return false;
	struct str about = ARENA_CAT(c->arena, account, S("/"), region, S("/"), r->place.name, S("/"), r->id);
	if (!hash_equal(signature, ecr_link_signature(ecr_state(c), c->arena, about, expires)))
		return false;
	c->account = account;
	c->region = region;
	return true;
}

/* The repository that the path names. A pull may bring it from elsewhere, a push may make it. */
static int find_repository(struct call *c, struct oci_request *r, const struct route *route)
{
	struct state_ecr_rule_record rule;
	bool manifest = route->serve == oci_serve_manifest, reads = str_is(r->method, "GET") || str_is(r->method, "HEAD");
	bool pushes = manifest ? str_is(r->method, "PUT") : route->serve == oci_serve_uploads && str_is(r->method, "POST");
	if (ecr_find_repository(call_txn(c), c->arena, &r->place, &r->record) ||
	    (reads && manifest && ecr_find_rule(call_txn(c), c->arena, &r->place, &rule)))
		return CALL_OK;
	if (pushes && ecr_made_by_push(c, &r->place))
		return ecr_get_for_push(c, &r->place, &r->record);
	/* Who may not know what there is does not learn it here. */
	return ecr_allowed(c, "ecr:DescribeRepositories", &r->place) ? ecr_fail_repository(c, &r->place) : CALL_FAIL;
}

static int serve(struct call *c)
{
	struct oci_request *r = arena_new(c->arena, struct oci_request);
	struct str path = uri_decode(c->arena, listen_path(c->http));
	c->in = r;
	r->method = listen_method(c->http);
	if (!str_set(path))
		return oci_fail(c, "NAME_INVALID", 400, "The path is not well-formed.");
	path = str_from_at(path, 4);
	const struct route *route = route_find(path, r);
	bool linked = route && route->anybody && (str_is(r->method, "GET") || str_is(r->method, "HEAD")) && link_is_good(c, r);
	if (!linked && authenticate(c) != CALL_OK)
		return CALL_FAIL;
	call_reply_header(c, S("Docker-Distribution-Api-Version"), S("registry/2.0"));
	r->place.account = c->account;
	r->place.region = c->region;
	if (!path.n)
		return oci_reply(c, 200, "application/json", S("{}"));
	if (str_is(path, "_catalog"))
		return oci_serve_catalogue(c, r);
	if (!route)
		return oci_fail(c, "UNSUPPORTED", 404, "There is nothing of this kind in a registry.");
	if (!ecr_name_good(r->place.name))
		return oci_fail(c, "NAME_INVALID", 400, "This is no name of a repository: %.*s", STR_ARG(r->place.name));
	if (linked)
		c->state = r;
	if (find_repository(c, r, route) != CALL_OK)
		return CALL_FAIL;
	return route->serve(c, r);
}

/* Hosts of the registry, and those that name no other service: an address, localhost, this machine. */
struct str ecr_address(struct arena *a, struct str host, struct str path)
{
	struct str account, region, name = host;
	(void)a;
	if (!str_starts(path, S("/v2/")) && !str_is(path, "/v2"))
		return STR_NONE;
	if (host_read(host, &account, &region))
		return path;
	if (name.n && name.p[0] == '[')
		return path;
	name = str_cut(&name, ':');
	bool numeric = true;
	for (size_t i = 0; i < name.n; i++)
		numeric = numeric && (ascii_is_digit(name.p[i]) || name.p[i] == '.');
	return numeric || str_find_char(name, '.') < 0 ? path : STR_NONE;
}

call_resume_fn *ecr_intercept(struct call *c)
{
	struct str path = c->http ? listen_path(c->http) : STR_NONE;
	struct str authorization = call_header(c, S("authorization"));
	if (!str_set(path) || (!str_starts(path, S("/v2/")) && !str_is(path, "/v2")) ||
	    (str_set(authorization) && str_starts(authorization, S("AWS4-"))))
		return NULL;
	return serve;
}
