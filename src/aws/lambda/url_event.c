/* Payload format 2.0 of function URLs, both ways. */
#include "aws/lambda/url.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"

#include <time.h>

enum { EVENT_BYTES = 64 << 20, HEADERS_MAX = 512, CORS_HEADERS = 8 };

static void put_text(struct json_out *j, const char *name, struct str value)
{
	json_key(j, str_from(name));
	json_string(j, value);
}

static struct str lower(struct arena *a, struct str s)
{
	char *z = arena_dupz(a, s);
	for (size_t i = 0; i < s.n; i++)
		z[i] = ascii_lower(z[i]);
	return str_of(z, s.n);
}

static struct str header(const struct url_request *q, const char *name)
{
	for (size_t i = 0; i < q->header_count; i++)
		if (str_ieq(q->headers[i].name, str_from(name)))
			return q->headers[i].value;
	return STR_NONE;
}

/* --- the request */

/* Of names that come more than once, all values with commas between. */
static void put_headers(struct json_out *j, struct arena *a, const struct url_request *q)
{
	json_key(j, S("headers"));
	json_open(j, '{');
	for (size_t i = 0; i < q->header_count; i++) {
		struct str name = lower(a, q->headers[i].name), value = q->headers[i].value;
		bool first = !str_is(name, "cookie") && !str_starts(name, S("x-forwarded-"));
		for (size_t k = 0; k < i && first; k++)
			first = !str_ieq(q->headers[k].name, name);
		if (!first)
			continue;
		for (size_t k = i + 1; k < q->header_count; k++)
			if (str_ieq(q->headers[k].name, name))
				value = ARENA_CAT(a, value, S(","), q->headers[k].value);
		json_key(j, name);
		json_string(j, value);
	}
	put_text(j, "x-forwarded-for", q->source_ip);
	put_text(j, "x-forwarded-proto", q->tls ? S("https") : S("http"));
	struct str host = header(q, "host"), port = str_from_at(host, (size_t)(str_rfind_char(host, ':') + 1));
	put_text(j, "x-forwarded-port", str_rfind_char(host, ':') >= 0 ? port : q->tls ? S("443") : S("80"));
	json_close(j, '}');
}

static void put_cookies(struct json_out *j, const struct url_request *q)
{
	bool any = false;
	for (size_t i = 0; i < q->header_count; i++) {
		if (!str_ieq(q->headers[i].name, S("cookie")))
			continue;
		if (!any) {
			json_key(j, S("cookies"));
			json_open(j, '[');
		}
		any = true;
		struct str rest = q->headers[i].value;
		while (str_set(rest)) {
			struct str cookie = str_trim(str_cut(&rest, ';'));
			if (cookie.n)
				json_string(j, cookie);
		}
	}
	if (any)
		json_close(j, ']');
}

static struct str decoded(struct arena *a, struct str s)
{
	struct str text = uri_decode_form(a, s);
	return str_set(text) ? text : s;
}

static void put_query(struct json_out *j, struct arena *a, struct str query)
{
	struct str_map all = {0};
	struct uri_part part;
	struct str rest = query;
	while (str_set(rest) && uri_next_part(&rest, &part)) {
		struct str name = decoded(a, part.name), value = decoded(a, part.value);
		uint32_t i = 0;
		while (i < all.n && !str_eq(all.v[i].key, name))
			i++;
		if (i < all.n)
			all.v[i].value = ARENA_CAT(a, all.v[i].value, S(","), value);
		else
			*LIST_ADD(a, &all) = (struct str_map_entry){name, value};
	}
	if (!all.n)
		return;
	json_key(j, S("queryStringParameters"));
	json_open(j, '{');
	for (uint32_t i = 0; i < all.n; i++) {
		json_key(j, all.v[i].key);
		json_string(j, all.v[i].value);
	}
	json_close(j, '}');
}

static void put_caller(struct json_out *j, const struct principal *p)
{
	json_key(j, S("authorizer"));
	json_open(j, '{');
	json_key(j, S("iam"));
	json_open(j, '{');
	put_text(j, "accessKey", p->access_key_id);
	put_text(j, "accountId", p->account);
	put_text(j, "callerId", p->user_id);
	json_key(j, S("cognitoIdentity"));
	json_null(j);
	json_key(j, S("principalOrgId"));
	json_null(j);
	put_text(j, "userArn", p->arn);
	put_text(j, "userId", p->user_id);
	json_close(j, '}');
	json_close(j, '}');
}

/* "12/Mar/2020:19:03:58 +0000" */
static struct str log_time(struct arena *a, int64_t ms)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t s = (time_t)(ms / 1000);
	struct tm t;
	gmtime_r(&s, &t);
	return arena_printf(a, "%02d/%.3s/%d:%02d:%02d:%02d +0000", t.tm_mday, months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour,
	                    t.tm_min, t.tm_sec);
}

static void put_context(struct json_out *j, struct arena *a, const struct url_request *q)
{
	bool named = q->caller->kind != PRINCIPAL_ANONYMOUS;
	json_key(j, S("requestContext"));
	json_open(j, '{');
	put_text(j, "accountId", named ? q->caller->account : S("anonymous"));
	put_text(j, "apiId", q->id);
	json_key(j, S("authentication"));
	json_null(j);
	if (named)
		put_caller(j, q->caller);
	put_text(j, "domainName", q->domain);
	put_text(j, "domainPrefix", q->id);
	json_key(j, S("http"));
	json_open(j, '{');
	put_text(j, "method", q->method);
	put_text(j, "path", q->path);
	put_text(j, "protocol", S("HTTP/1.1"));
	put_text(j, "sourceIp", q->source_ip);
	struct str agent = header(q, "user-agent");
	put_text(j, "userAgent", str_set(agent) ? agent : S(""));
	json_close(j, '}');
	put_text(j, "requestId", q->request_id);
	put_text(j, "routeKey", S("$default"));
	put_text(j, "stage", S("$default"));
	put_text(j, "time", log_time(a, q->now_ms));
	json_key(j, S("timeEpoch"));
	json_int(j, q->now_ms);
	json_close(j, '}');
}

static bool is_text(struct str type)
{
	static const char *const types[] = {"application/json", "application/javascript", "application/xml"};
	struct str rest = type, kind = str_trim(str_cut(&rest, ';'));
	if (str_istarts(kind, S("text/")))
		return true;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_ieq(kind, str_from(types[i])))
			return true;
	return false;
}

struct str url_event(struct arena *a, const struct url_request *q)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, EVENT_BYTES);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put_text(&j, "version", S("2.0"));
	put_text(&j, "routeKey", S("$default"));
	put_text(&j, "rawPath", q->path);
	put_text(&j, "rawQueryString", str_set(q->query) ? q->query : S(""));
	put_cookies(&j, q);
	put_headers(&j, a, q);
	put_query(&j, a, q->query);
	put_context(&j, a, q);
	bool coded = q->body.n && (!is_text(header(q, "content-type")) || !str_is_utf8(q->body));
	if (q->body.n)
		put_text(&j, "body", coded ? base64_encode(a, q->body) : q->body);
	json_key(&j, S("isBase64Encoded"));
	json_bool(&j, coded);
	json_close(&j, '}');
	return arena_dup(a, buf_str(&b));
}

/* --- the answer */

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", s.p[i]))
			return false;
	return s.n > 0;
}

static bool is_field(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || !s.p[i])
			return false;
	return true;
}

/* What the connection itself says. */
static bool is_ours(struct str name)
{
	static const char *const names[] = {"connection", "content-length", "transfer-encoding", "upgrade", "keep-alive",
	                                    "te",         "trailer"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_ieq(name, str_from(names[i])))
			return true;
	return false;
}

static bool add(struct url_answer *r, struct str name, struct str value)
{
	if (!is_token(name) || !is_field(value) || r->header_count == HEADERS_MAX)
		return false;
	if (!is_ours(name))
		r->headers[r->header_count++] = (struct listen_header){name, value};
	return true;
}

static struct str scalar(const struct json_value *v)
{
	switch (v->kind) {
	case JSON_STRING:
	case JSON_NUMBER:
		return v->text;
	case JSON_TRUE:
		return S("true");
	case JSON_FALSE:
		return S("false");
	default:
		return STR_NONE;
	}
}

static bool has_header(const struct url_answer *r, const char *name)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (str_ieq(r->headers[i].name, str_from(name)))
			return true;
	return false;
}

static bool read_head(struct arena *a, const struct json_value *v, const char *type, struct url_answer *ret)
{
	int64_t status = 200;
	const struct json_value *code = json_get(v, S("statusCode"));
	*ret = (struct url_answer){.headers = arena_zalloc(a, HEADERS_MAX * sizeof(*ret->headers))};
	if (code && code->kind != JSON_NULL &&
	    ((code->kind != JSON_NUMBER && code->kind != JSON_STRING) || !json_to_int(code->text, &status) || status < 200 ||
	     status > 599))
		return false;
	ret->status = (unsigned)status;
	const struct json_value *headers = json_get(v, S("headers")), *cookies = json_get(v, S("cookies"));
	json_each(headers, h)
	{
		struct str value = scalar(h);
		if (str_set(value) && !add(ret, h->key, value))
			return false;
	}
	if (!has_header(ret, "content-type"))
		add(ret, S("content-type"), str_from(type));
	json_each(cookies, cookie) if (cookie->kind != JSON_STRING || !add(ret, S("set-cookie"), cookie->text)) return false;
	return true;
}

bool url_prelude(struct arena *a, struct str json, struct url_answer *ret)
{
	const struct json_value *v = json_parse(a, json, NULL);
	return json_is(v, JSON_OBJECT) && read_head(a, v, "application/octet-stream", ret);
}

bool url_answer(struct arena *a, struct str payload, struct url_answer *ret)
{
	const struct json_value *v = json_parse(a, payload, NULL);
	if (!json_get(v, S("statusCode"))) {
		if (!read_head(a, NULL, "application/json", ret))
			return false;
		ret->body = json_is(v, JSON_NULL) ? S("null") : payload;
		return v != NULL;
	}
	if (!read_head(a, v, "application/json", ret))
		return false;
	const struct json_value *body = json_get(v, S("body"));
	ret->body = S("");
	if (!body || body->kind == JSON_NULL)
		return true;
	if (body->kind != JSON_STRING)
		return false;
	ret->body = json_is(json_get(v, S("isBase64Encoded")), JSON_TRUE) ? base64_decode(a, body->text) : body->text;
	return str_set(ret->body);
}

/* --- CORS */

static bool listed(const struct str_list *l, struct str word)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_is(l->v[i], "*") || str_ieq(l->v[i], word))
			return true;
	return false;
}

static struct str joined(struct arena *a, const struct str_list *l)
{
	struct str all = S("");
	for (uint32_t i = 0; i < l->n; i++)
		all = ARENA_CAT(a, all, i ? S(",") : S(""), l->v[i]);
	return all;
}

void url_cors(struct arena *a, const struct lambda_cors *cors, struct str origin, bool preflight, struct url_answer *r)
{
	*r = (struct url_answer){.headers = arena_zalloc(a, CORS_HEADERS * sizeof(*r->headers))};
	if (!str_set(origin) || !listed(&cors->allow_origins, origin))
		return;
	bool all = cors->allow_origins.n == 1 && str_is(cors->allow_origins.v[0], "*") && !cors->allow_credentials.v;
	add(r, S("access-control-allow-origin"), all ? S("*") : origin);
	if (!all)
		add(r, S("vary"), S("Origin"));
	if (cors->allow_credentials.v)
		add(r, S("access-control-allow-credentials"), S("true"));
	if (cors->expose_headers.n)
		add(r, S("access-control-expose-headers"), joined(a, &cors->expose_headers));
	if (!preflight)
		return;
	if (cors->allow_methods.n)
		add(r, S("access-control-allow-methods"), joined(a, &cors->allow_methods));
	if (cors->allow_headers.n)
		add(r, S("access-control-allow-headers"), joined(a, &cors->allow_headers));
	if (cors->max_age.set)
		add(r, S("access-control-max-age"), arena_printf(a, "%lld", (long long)cors->max_age.v));
}
