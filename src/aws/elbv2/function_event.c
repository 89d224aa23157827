#include "function.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/uri.h"

enum { EVENT_BYTES_MAX = 6 * 1024 * 1024, HEADERS_MAX = 200 };

/* What concerns the connection to the node alone. */
static bool is_between_hops(struct str name)
{
	static const char *const names[] = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_ieq(name, str_from(names[i])))
			return true;
	return str_istarts(name, S("x-lb-"));
}

/* --- the event: names with all their values, in the order in which they came */

struct names {
	struct listen_header *v;
	uint32_t n;
	bool set;
};

static void put_names(struct json_out *o, const struct names *l, bool multi)
{
	json_open(o, '{');
	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t last = i;
		bool before = false;
		for (uint32_t k = 0; k < l->n; k++) {
			bool same = str_eq(l->v[k].name, l->v[i].name);
			before |= same && k < i;
			last = same ? k : last;
		}
		if (before)
			continue;
		json_key(o, l->v[i].name);
		if (!multi) {
			json_string(o, l->v[last].value);
			continue;
		}
		json_open(o, '[');
		for (uint32_t k = i; k < l->n; k++)
			if (str_eq(l->v[k].name, l->v[i].name))
				json_string(o, l->v[k].value);
		json_close(o, ']');
	}
	json_close(o, '}');
}

static struct str lower(struct arena *a, struct str text)
{
	char *z = arena_dupz(a, text);
	for (size_t i = 0; i < text.n; i++)
		z[i] = ascii_lower(z[i]);
	return str_of(z, text.n);
}

static struct str header(const struct elb_function_request *q, const char *name)
{
	for (unsigned i = 0; i < q->header_count; i++)
		if (str_ieq(q->headers[i].name, str_from(name)))
			return q->headers[i].value;
	return STR_NONE;
}

/* Text goes as it is; everything else, and what is packed, as base64. */
static bool is_text(const struct elb_function_request *q)
{
	static const char *const types[] = {"application/json", "application/javascript", "application/xml"};
	struct str rest = header(q, "content-type");
	if (str_set(header(q, "content-encoding")))
		return false;
	struct str type = str_set(rest) ? str_trim(str_cut(&rest, ';')) : STR_NONE;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_ieq(type, str_from(types[i])))
			return true;
	return str_istarts(type, S("text/"));
}

static void open_event(struct json_out *o, struct str group, struct str method, struct str path)
{
	json_open(o, '{');
	json_key(o, S("requestContext"));
	json_open(o, '{');
	json_key(o, S("elb"));
	json_open(o, '{');
	json_key(o, S("targetGroupArn"));
	json_string(o, group);
	json_close(o, '}');
	json_close(o, '}');
	json_key(o, S("httpMethod"));
	json_string(o, method);
	json_key(o, S("path"));
	json_string(o, path);
}

static void close_event(struct json_out *o, struct str body, bool base64)
{
	json_key(o, S("body"));
	json_string(o, body);
	json_key(o, S("isBase64Encoded"));
	json_bool(o, base64);
	json_close(o, '}');
}

struct str elb_function_event(struct arena *a, const struct elb_function_request *q)
{
	struct buf CLEAN_BUF b;
	struct names headers = {0}, parameters = {0};
	struct str rest = q->query;
	struct uri_part part;
	bool base64 = q->body.n && !is_text(q);
	buf_init(&b, EVENT_BYTES_MAX);
	struct json_out o = json_out(&b);
	while (str_set(rest) && uri_next_part(&rest, &part))
		*LIST_ADD(a, &parameters) = (struct listen_header){part.name, part.value};
	for (unsigned i = 0; i < q->header_count; i++)
		if (!is_between_hops(q->headers[i].name))
			*LIST_ADD(a, &headers) = (struct listen_header){lower(a, q->headers[i].name), q->headers[i].value};
	open_event(&o, q->group, q->method, q->path);
	json_key(&o, q->multi ? S("multiValueQueryStringParameters") : S("queryStringParameters"));
	put_names(&o, &parameters, q->multi);
	json_key(&o, q->multi ? S("multiValueHeaders") : S("headers"));
	put_names(&o, &headers, q->multi);
	close_event(&o, base64 ? base64_encode(a, q->body) : q->body.n ? q->body : S(""), base64);
	return arena_dup(a, buf_str(&b));
}

struct str elb_function_check_event(struct arena *a, struct str group, struct str path)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, EVENT_BYTES_MAX);
	struct json_out o = json_out(&b);
	open_event(&o, group, S("GET"), path);
	json_key(&o, S("queryStringParameters"));
	json_raw(&o, S("{}"));
	json_key(&o, S("headers"));
	json_raw(&o, S("{\"user-agent\":\"ELB-HealthChecker/2.0\"}"));
	close_event(&o, S(""), false);
	return arena_dup(a, buf_str(&b));
}

/* --- the answer */

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && !memchr("!#$%&'*+-.^_`|~", s.p[i], 15))
			return false;
	return s.n > 0;
}

static bool is_field(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 127)
			return false;
	return true;
}

static bool add(struct elb_function_answer *ret, struct str name, const struct json_value *v)
{
	if (!json_is(v, JSON_STRING) || !is_token(name) || !is_field(v->text))
		return false;
	if (is_between_hops(name) || str_ieq(name, S("content-length")))
		return true;
	if (ret->header_count == HEADERS_MAX)
		return false;
	ret->headers[ret->header_count++] = (struct listen_header){name, v->text};
	return true;
}

static bool take_headers(const struct json_value *v, bool multi, struct elb_function_answer *ret)
{
	if (!v || v->kind == JSON_NULL)
		return true;
	if (v->kind != JSON_OBJECT)
		return false;
	json_each(v, one)
	{
		if (!multi) {
			if (!add(ret, one->key, one))
				return false;
			continue;
		}
		if (one->kind != JSON_ARRAY)
			return false;
		json_each(one, value) if (!add(ret, one->key, value)) return false;
	}
	return true;
}

bool elb_function_answer(struct arena *a, struct str payload, bool multi, struct elb_function_answer *ret)
{
	const struct json_value *v = json_parse(a, payload, NULL), *status = json_get(v, S("statusCode")),
	                        *body = json_get(v, S("body")), *coded = json_get(v, S("isBase64Encoded"));
	int64_t code = 0;
	*ret = (struct elb_function_answer){.body = S("")};
	ret->headers = arena_array(a, HEADERS_MAX, sizeof(*ret->headers));
	if (!json_is(v, JSON_OBJECT) || !status || (status->kind != JSON_NUMBER && status->kind != JSON_STRING) ||
	    !json_to_int(status->text, &code) || code < 200 || code > 599)
		return false;
	if (body && body->kind != JSON_STRING && body->kind != JSON_NULL)
		return false;
	if (json_is(body, JSON_STRING))
		ret->body = body->text;
	if (json_is(coded, JSON_TRUE))
		ret->body = base64_decode(a, ret->body);
	if (!str_set(ret->body) || !take_headers(json_get(v, multi ? S("multiValueHeaders") : S("headers")), multi, ret))
		return false;
	ret->status = (unsigned)code;
	return true;
}
