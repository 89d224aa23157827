/* The client's side of requests. */
#include "wire/codec.h"

#include "base/uri.h"

static bool missing(struct arena *a, struct str *ret_message, struct str name)
{
	*ret_message = ARENA_CAT(a, S("missing value of "), name);
	return false;
}

/* The text of the member of that wire name and location, or STR_NONE. */
static struct str bound_text(struct wire_out *out, const struct shape *s, const void *base, struct str name,
                             enum member_location location, uint16_t flag)
{
	for (uint32_t i = 0; s && i < s->members; i++) {
		const struct member *m = shape_member(out->api, s, i);
		if (flag ? !(m->flags & flag) || !str_eq(api_text(out->api, m->name), name)
		         : m->location != location || !str_eq(api_text(out->api, m->wire_name), name))
			continue;
		const void *p = member_value(out->api, m, base);
		return p ? value_text(out->arena, m, member_shape(out->api, m), p, MT_ISO8601, false,
		                      arena_alloc(out->arena, VALUE_SCRATCH))
		         : STR_NONE;
	}
	return STR_NONE;
}

static bool put_path(struct wire_out *out, struct str template, const struct shape *s, const void *base, struct buf *path,
                     struct str *ret_message)
{
	while (template.n) {
		ptrdiff_t open = str_find_char(template, '{');
		ptrdiff_t close = open < 0 ? -1 : str_find_char(template, '}');
		if (close < open || open < 0) {
			buf_add_str(path, template);
			break;
		}
		buf_add(path, template.p, (size_t)open);
		struct str name = str_sub(template, (size_t)open + 1, (size_t)(close - open) - 1);
		bool greedy = str_ends(name, S("+"));
		name.n -= greedy;
		struct str value = bound_text(out, s, base, name, IN_URI, 0);
		if (!value.n)
			return missing(out->arena, ret_message, name);
		uri_put(path, value, greedy);
		template = str_from_at(template, (size_t)close + 1);
	}
	return true;
}

static void put_query_value(struct wire_out *out, struct buf *query, struct str name, const struct member *m, const void *p)
{
	const struct shape *s = member_shape(out->api, m);
	char scratch[VALUE_SCRATCH];
	if (s->kind != SHAPE_LIST) {
		form_put(query, name, value_text(out->arena, m, s, p, MT_ISO8601, false, scratch));
		return;
	}
	const struct any_list *list = p;
	const struct member *item = shape_member(out->api, s, 0);
	for (uint32_t i = 0; i < list->n; i++) {
		const void *v = (const char *)list->v + (size_t)i * s->size;
		if (value_present(member_shape(out->api, item), v))
			put_query_value(out, query, name, item, v);
	}
}

static bool query_names(struct wire_out *out, const struct shape *s, const void *base, struct str name)
{
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(out->api, s, i);
		if (m->location == IN_QUERY && str_eq(api_text(out->api, m->wire_name), name) && member_value(out->api, m, base))
			return true;
	}
	return false;
}

static void put_query(struct wire_out *out, const struct shape *s, const void *base, struct buf *query)
{
	for (uint32_t i = 0; s && i < s->members; i++) {
		const struct member *m = shape_member(out->api, s, i);
		const void *p = m->location == IN_QUERY || m->location == IN_QUERY_MAP ? member_value(out->api, m, base) : NULL;
		if (!p)
			continue;
		if (m->location == IN_QUERY) {
			put_query_value(out, query, api_text(out->api, m->wire_name), m, p);
			continue;
		}
		const struct any_list *map = p;
		const struct shape *ms = member_shape(out->api, m);
		const struct member *value = shape_member(out->api, ms, 1);
		for (uint32_t j = 0; j < map->n; j++) {
			const char *entry = (const char *)map->v + (size_t)j * ms->size;
			struct str key = *(const struct str *)(const void *)entry;
			if (!query_names(out, s, base, key) && value_present(member_shape(out->api, value), entry + value->offset))
				put_query_value(out, query, key, value, entry + value->offset);
		}
	}
}

static void put_rest_body(struct wire_out *out, const struct operation *op, const struct shape *s, const void *base,
                          struct wire_pairs *headers)
{
	bool json = out->protocol == PROTOCOL_REST_JSON;
	struct str type = json ? S("application/json") : S("application/xml");
	struct json_out j = json_out(out->body);
	if (s->payload) {
		const struct member *m = shape_member(out->api, s, s->payload - 1u);
		const struct shape *inner = member_shape(out->api, m);
		const void *p = member_value(out->api, m, base);
		if (inner->kind == SHAPE_STRUCTURE) {
			if (p && json)
				wire_json_write(out, &j, inner, p);
			else if (p)
				wire_xml_structure(out, inner, p, api_text(out->api, m->wire_name),
				                   inner->xml_ns ? STR_NONE : str_from(out->api->xml_ns));
			else if (json)
				buf_add_lit(out->body, "{}");
		} else if (p && (inner->kind == SHAPE_BLOB || inner->kind == SHAPE_STRING || inner->kind == SHAPE_DOCUMENT)) {
			type = inner->kind == SHAPE_STRING ? S("text/plain")
			       : inner->kind == SHAPE_BLOB ? S("application/octet-stream")
			                                   : type;
			buf_add_str(out->body, *(const struct str *)p);
		}
	} else if (json) {
		size_t bound = 0;
		for (uint32_t i = 0; i < s->members; i++)
			bound += shape_member(out->api, s, i)->location != IN_BODY;
		if (bound < s->members)
			wire_json_write(out, &j, s, base);
	} else {
		struct str root = api_text(out->api, op->input_name ? op->input_name : s->name),
		           ns = op->input_ns ? api_text(out->api, op->input_ns) : STR_NONE;
		size_t empty = out->body->n;
		wire_xml_members(out, s, base, STR_NONE);
		if (out->body->n > empty) {
			out->body->n = empty;
			wire_xml_structure(out, s, base, root, ns);
		}
	}
	struct wire_headers view = wire_headers_of(headers);
	if (out->body->n && !str_set(view.get(view.ctx, S("Content-Type"))))
		wire_pairs_add(out->arena, headers, S("Content-Type"), type);
}

static bool encode_rest(struct wire_out *out, const struct operation *op, const struct shape *s, const void *in,
                        struct wire_out_request *ret, struct str *ret_message)
{
	struct buf CLEAN_BUF text;
	buf_init(&text, 1 << 20);
	struct str query = api_text(out->api, op->uri), template = str_cut(&query, '?');
	if (!put_path(out, template, s, in, &text, ret_message))
		return false;
	ret->path = arena_dup(out->arena, buf_str(&text));
	buf_clear(&text);
	if (query.n)
		buf_add_str(&text, query);
	put_query(out, s, in, &text);
	ret->query = arena_dup(out->arena, buf_str(&text));
	if (s) {
		wire_put_headers(out, s, in, &ret->headers, NULL);
		put_rest_body(out, op, s, in, &ret->headers);
	}
	return true;
}

static bool put_host_prefix(struct wire_out *out, const struct operation *op, const struct shape *s, const void *in,
                            struct wire_out_request *ret, struct str *ret_message)
{
	struct str rest = api_text(out->api, op->host_prefix), done = S("");
	while (rest.n) {
		ptrdiff_t open = str_find_char(rest, '{'), close = str_find_char(rest, '}');
		if (open < 0 || close < open) {
			done = ARENA_CAT(out->arena, done, rest);
			break;
		}
		struct str name = str_sub(rest, (size_t)open + 1, (size_t)(close - open) - 1);
		struct str value = bound_text(out, s, in, name, IN_BODY, MEMBER_HOST_LABEL);
		if (!value.n)
			return missing(out->arena, ret_message, name);
		done = ARENA_CAT(out->arena, done, str_sub(rest, 0, (size_t)open), value);
		rest = str_from_at(rest, (size_t)close + 1);
	}
	ret->host_prefix = done;
	return true;
}

bool wire_encode_request(struct arena *a, const struct api *api, const struct operation *op, enum protocol protocol, const void *in,
                         struct buf *body, struct wire_out_request *ret, struct str *ret_message)
{
	struct wire_out out = {.arena = a, .api = api, .protocol = protocol, .body = body};
	const struct shape *s = operation_input(api, op);
	struct str name = api_text(api, op->name);
	struct wire_out_request r = {.method = S("POST"), .path = S("/"), .query = S("")};
	struct json_out json = json_out(body);
	switch (protocol) {
	case PROTOCOL_QUERY:
	case PROTOCOL_EC2:
		wire_pairs_add(a, &r.headers, S("Content-Type"), S("application/x-www-form-urlencoded; charset=utf-8"));
		form_put(body, S("Action"), name);
		form_put(body, S("Version"), str_from(api->api_version));
		if (s)
			wire_form_write(&out, s, in);
		break;
	case PROTOCOL_CBOR:
		r.path = ARENA_CAT(a, S("/service/"), str_from(api->target_prefix), S("/operation/"), name);
		wire_pairs_add(a, &r.headers, S("smithy-protocol"), S("rpc-v2-cbor"));
		wire_pairs_add(a, &r.headers, S("Accept"), S("application/cbor"));
		if (s) {
			wire_pairs_add(a, &r.headers, S("Content-Type"), S("application/cbor"));
			wire_cbor_write(&out, s, in);
		}
		break;
	case PROTOCOL_REST_JSON:
	case PROTOCOL_REST_XML:
		r.method = api_text(api, op->method);
		if (!encode_rest(&out, op, s, in, &r, ret_message))
			return false;
		break;
	default:
		wire_pairs_add(a, &r.headers, S("X-Amz-Target"), ARENA_CAT(a, str_from(api->target_prefix), S("."), name));
		wire_pairs_add(a, &r.headers, S("Content-Type"),
		               protocol == PROTOCOL_JSON10 ? S("application/x-amz-json-1.0") : S("application/x-amz-json-1.1"));
		if (s)
			wire_json_write(&out, &json, s, in);
		else
			buf_add_lit(body, "{}");
	}
	if (api->query_compatible && wire_own_names(protocol))
		wire_pairs_add(a, &r.headers, S("x-amzn-query-mode"), S("true"));
	if (op->host_prefix && !put_host_prefix(&out, op, s, in, &r, ret_message))
		return false;
	*ret = r;
	return true;
}
