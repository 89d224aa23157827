#include "aws/s3/cors.h"

#include "aws/s3/bucket.h"
#include "aws/s3/post_form.h"
#include "base/uri.h"
#include "core/listen.h"

#include <inttypes.h>

enum { CORS_RULES_MAX = 100 };

static bool list_allows(const struct str_list *list, struct str text, bool fold_case)
{
	for (unsigned i = 0; i < list->n; i++)
		if (str_glob(list->v[i], text, fold_case))
			return true;
	return false;
}

static bool all_headers_allowed(const struct s3_cors_rule *r, struct str headers)
{
	while (str_set(headers)) {
		struct str one = str_trim(str_cut(&headers, ','));
		if (one.n && !list_allows(&r->allowed_headers, one, true))
			return false;
	}
	return true;
}

const struct s3_cors_rule *cors_match(const struct s3_cors_configuration *k, struct str origin, struct str method,
                                      struct str headers)
{
	for (unsigned i = 0; k && i < k->cors_rules.n; i++) {
		const struct s3_cors_rule *r = &k->cors_rules.v[i];
		bool method_allowed = false;
		for (unsigned m = 0; m < r->allowed_methods.n; m++)
			method_allowed |= str_eq(r->allowed_methods.v[m], method);
		if (method_allowed && list_allows(&r->allowed_origins, origin, false) && all_headers_allowed(r, headers))
			return r;
	}
	return NULL;
}

struct s3_names_of_path s3_request_names(struct call *c)
{
	struct s3_names_of_path names = {0};
	struct str path = listen_path(c->http), bucket = s3_bucket_of_host(listen_header(c->http, S("host")));
	if (str_starts(path, S("/")))
		path = str_from_at(path, 1);
	names.bucket = str_set(bucket) ? s3_small(c->arena, bucket) : uri_decode(c->arena, str_cut(&path, '/'));
	names.key = str_set(path) && path.n ? uri_decode(c->arena, path) : STR_NONE;
	return names;
}

static struct str joined(struct arena *a, const struct str_list *list)
{
	struct str all = STR_NONE;
	for (unsigned i = 0; i < list->n; i++)
		all = str_set(all) ? ARENA_CAT(a, all, S(", "), list->v[i]) : list->v[i];
	return all;
}

static void allow(struct call *c, const struct s3_cors_rule *r, struct str origin)
{
	bool any = r->allowed_origins.n && list_allows(&r->allowed_origins, S("*"), false);
	call_reply_header(c, S("access-control-allow-origin"), any ? S("*") : origin);
	call_reply_header(c, S("access-control-allow-methods"), joined(c->arena, &r->allowed_methods));
	if (r->expose_headers.n)
		call_reply_header(c, S("access-control-expose-headers"), joined(c->arena, &r->expose_headers));
	if (r->max_age_seconds.set)
		call_reply_header(c, S("access-control-max-age"), arena_printf(c->arena, "%" PRId64, r->max_age_seconds.v));
	if (!any)
		call_reply_header(c, S("access-control-allow-credentials"), S("true"));
	call_reply_header(c, S("vary"), S("Origin, Access-Control-Request-Headers, Access-Control-Request-Method"));
}

static int forbidden(struct call *c, const char *why, struct str method, bool object)
{
	call_fail(c, "AccessForbidden", 403, "CORSResponse: %s", why);
	call_field(c, "Method", method);
	return call_field(c, "ResourceType", object ? S("OBJECT") : S("BUCKET"));
}

static int preflight(struct call *c)
{
	struct s3_names_of_path names = s3_request_names(c);
	struct str origin = call_header(c, S("origin")), method = call_header(c, S("access-control-request-method"));
	struct str headers = call_header(c, S("access-control-request-headers"));
	if (!str_set(origin))
		return call_fail(c, "BadRequest", 400, "Insufficient information. Origin request header needed.");
	if (!str_set(method))
		return call_fail(c, "BadRequest", 400, "Invalid Access-Control-Request-Method: null");
	const struct state_s3_bucket *b = str_set(names.bucket) && names.bucket.n ? bucket_get(c, names.bucket) : NULL;
	if (!b || !b->cors)
		return forbidden(c, b ? "CORS is not enabled for this bucket." : "Bucket not found", method, str_set(names.key));
	const struct s3_cors_rule *r = cors_match(b->cors, origin, method, headers);
	if (!r)
		return forbidden(
		        c,
		        "This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
		        method, str_set(names.key));
	allow(c, r, origin);
	if (str_set(headers))
		call_reply_header(c, S("access-control-allow-headers"), headers);
	return CALL_OK;
}

call_resume_fn *cors_intercept(struct call *c)
{
	if (str_is(listen_method(c->http), "OPTIONS"))
		return preflight;
	if (str_is(listen_method(c->http), "POST") && post_form_is(c))
		return post_form;
	return NULL;
}

void cors_dress(struct call *c)
{
	struct str origin = c->http ? call_header(c, S("origin")) : STR_NONE;
	if (!str_set(origin) || str_is(listen_method(c->http), "OPTIONS"))
		return;
	struct s3_names_of_path names = s3_request_names(c);
	const struct state_s3_bucket *b = str_set(names.bucket) && names.bucket.n ? bucket_get(c, names.bucket) : NULL;
	const struct s3_cors_rule *r = b ? cors_match(b->cors, origin, listen_method(c->http), STR_NONE) : NULL;
	if (r)
		allow(c, r, origin);
}

int s3_get_bucket_cors(struct call *c, const struct s3_get_bucket_cors_request *in, struct s3_get_bucket_cors_output *out)
{
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	if (!b.cors)
		return s3_fail_bucket(c, S3_NO_SUCH_CORS, in->bucket);
	out->cors_rules = b.cors->cors_rules;
	return CALL_OK;
}

static int check_rule(struct call *c, const struct s3_cors_rule *r)
{
	static const char *const methods[] = {"GET", "PUT", "HEAD", "POST", "DELETE"};
	if (!r->allowed_methods.n || !r->allowed_origins.n)
		return s3_fail(c, S3_MALFORMED_XML);
	for (unsigned i = 0; i < r->allowed_methods.n; i++) {
		bool known = false;
		for (size_t k = 0; k < sizeof(methods) / sizeof(*methods); k++)
			known |= str_is(r->allowed_methods.v[i], methods[k]);
		if (!known)
			return call_fail(c, "InvalidRequest", 400,
			                 "Found unsupported HTTP method in CORS config. Unsupported method is %.*s",
			                 STR_ARG(r->allowed_methods.v[i]));
	}
	const struct str_list *lists[] = {&r->allowed_origins, &r->allowed_headers};
	const char *const names[] = {"AllowedOrigin", "AllowedHeader"};
	for (size_t k = 0; k < 2; k++)
		for (unsigned i = 0; i < lists[k]->n; i++) {
			struct str one = lists[k]->v[i];
			ptrdiff_t star = str_find_char(one, '*');
			if (star >= 0 && str_find_char(str_from_at(one, (size_t)star + 1), '*') >= 0)
				return call_fail(c, "InvalidRequest", 400, "%s \"%.*s\" can not have more than one wildcard.",
				                 names[k], STR_ARG(one));
		}
	for (unsigned i = 0; i < r->expose_headers.n; i++)
		if (str_find_char(r->expose_headers.v[i], '*') >= 0)
			return call_fail(
			        c, "InvalidRequest", 400,
			        "ExposeHeader \"%.*s\" contains wildcard. We currently do not support wildcard for ExposeHeader.",
			        STR_ARG(r->expose_headers.v[i]));
	return CALL_OK;
}

int s3_put_bucket_cors(struct call *c, const struct s3_put_bucket_cors_request *in, struct model_none *out)
{
	(void)out;
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	if (!in->cors_configuration || !in->cors_configuration->cors_rules.n ||
	    in->cors_configuration->cors_rules.n > CORS_RULES_MAX)
		return s3_fail(c, S3_MALFORMED_XML);
	for (unsigned i = 0; i < in->cors_configuration->cors_rules.n; i++)
		if (check_rule(c, &in->cors_configuration->cors_rules.v[i]) != CALL_OK)
			return CALL_FAIL;
	b.cors = in->cors_configuration;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_delete_bucket_cors(struct call *c, const struct s3_delete_bucket_cors_request *in, struct model_none *out)
{
	(void)out;
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	b.cors = NULL;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}
