/* Replies and errors. */
#include "wire/codec.h"

static void put_xml_head(struct buf *b)
{
	buf_add_lit(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
}

static void put_open_ns(struct buf *b, struct str name, struct str suffix, const char *ns)
{
	buf_add_char(b, '<');
	buf_add_str(b, name);
	buf_add_str(b, suffix);
	if (ns[0]) {
		buf_add_lit(b, " xmlns=\"");
		xml_put_attr(b, str_from(ns));
		buf_add_char(b, '"');
	}
	buf_add_char(b, '>');
}

static void put_close(struct buf *b, struct str name, struct str suffix)
{
	buf_add_lit(b, "</");
	buf_add_str(b, name);
	buf_add_str(b, suffix);
	buf_add_char(b, '>');
}

static struct str content_type_of(enum protocol p)
{
	static const char *const types[PROTOCOLS] = {
	        [PROTOCOL_QUERY] = "text/xml",
	        [PROTOCOL_EC2] = "text/xml;charset=UTF-8",
	        [PROTOCOL_JSON10] = "application/x-amz-json-1.0",
	        [PROTOCOL_JSON11] = "application/x-amz-json-1.1",
	        [PROTOCOL_REST_JSON] = "application/json",
	        [PROTOCOL_REST_XML] = "application/xml",
	        [PROTOCOL_CBOR] = "application/cbor",
	};
	return str_from(types[p]);
}

static void put_id_headers(struct arena *a, const struct wire_target *t, struct str request_id, struct wire_reply *ret)
{
	if (quirk_is_s3(t->api)) {
		wire_pairs_add(a, &ret->headers, S("x-amz-request-id"), request_id);
		wire_pairs_add(a, &ret->headers, S("x-amz-id-2"), base64_encode(a, request_id));
	} else {
		wire_pairs_add(a, &ret->headers, S("x-amzn-RequestId"), request_id);
	}
	if (t->protocol == PROTOCOL_CBOR)
		wire_pairs_add(a, &ret->headers, S("smithy-protocol"), S("rpc-v2-cbor"));
}

static bool has_header(const struct wire_reply *r, const char *name)
{
	for (uint32_t i = 0; i < r->headers.n; i++)
		if (str_ieq(r->headers.v[i].name, str_from(name)))
			return true;
	return false;
}

static void put_type(struct arena *a, struct wire_reply *ret, struct str type)
{
	if (!has_header(ret, "content-type"))
		wire_pairs_add(a, &ret->headers, S("Content-Type"), type);
}

static void encode_query(struct wire_out *out, const struct wire_target *t, const struct shape *s, const void *value,
                         struct str request_id)
{
	struct buf *b = out->body;
	struct str name = api_text(t->api, t->op->name);
	put_open_ns(b, name, S("Response"), t->api->xml_ns);
	if (s) {
		struct str wrapper = t->op->result_wrapper ? api_text(t->api, t->op->result_wrapper) : STR_NONE;
		if (wrapper.n)
			xml_put_open(b, wrapper);
		if (value)
			wire_xml_members(out, s, value, STR_NONE);
		if (wrapper.n)
			xml_put_close(b, wrapper);
	}
	buf_add_lit(b, "<ResponseMetadata><RequestId>");
	xml_put_text(b, request_id);
	buf_add_lit(b, "</RequestId></ResponseMetadata>");
	put_close(b, name, S("Response"));
}

static void encode_ec2(struct wire_out *out, const struct wire_target *t, const struct shape *s, const void *value,
                       struct str request_id)
{
	struct buf *b = out->body;
	struct str name = api_text(t->api, t->op->name);
	put_xml_head(b);
	put_open_ns(b, name, S("Response"), t->api->xml_ns);
	xml_put_element(b, S("requestId"), request_id);
	if (s && value)
		wire_xml_members(out, s, value, STR_NONE);
	else /* what EC2 answers where there is nothing to say */
		buf_add_lit(b, "<return>true</return>");
	put_close(b, name, S("Response"));
}

static void encode_document(struct wire_out *out, const struct shape *s, const void *value, struct str root)
{
	if (out->protocol == PROTOCOL_REST_JSON) {
		struct json_out json = json_out(out->body);
		wire_json_write(out, &json, s, value);
	} else {
		put_xml_head(out->body);
		wire_xml_structure(out, s, value, root, str_from(out->api->xml_ns));
	}
}

static void encode_payload(struct wire_out *out, const struct shape *s, const void *value, struct wire_reply *ret)
{
	const struct member *m = shape_member(out->api, s, s->payload - 1u);
	const struct shape *inner = member_shape(out->api, m);
	if (member_streams(out->api, m)) {
		ret->no_body = true;
		if (inner->flags & SHAPE_EVENT_STREAM)
			put_type(out->arena, ret, S("application/vnd.amazon.eventstream"));
		return;
	}
	const void *p = member_value(out->api, m, value);
	if (!p)
		return;
	if (inner->kind == SHAPE_STRUCTURE) {
		put_type(out->arena, ret, content_type_of(out->protocol));
		encode_document(out, inner, p, api_text(out->api, m->wire_name));
	} else if (inner->kind == SHAPE_STRING || inner->kind == SHAPE_BLOB || inner->kind == SHAPE_DOCUMENT) {
		bool json = out->protocol == PROTOCOL_REST_JSON || quirk_is_s3(out->api);
		put_type(out->arena, ret,
		         json                          ? S("application/json")
		         : inner->kind == SHAPE_STRING ? S("text/plain")
		                                       : S("application/octet-stream"));
		buf_add_str(out->body, *(const struct str *)p);
	}
}

static void encode_rest(struct wire_out *out, const struct wire_target *t, const struct shape *s, const void *value,
                        struct wire_reply *ret)
{
	if (s && value) {
		wire_put_headers(out, s, value, &ret->headers, &ret->status);
		if (s->payload) {
			encode_payload(out, s, value, ret);
			return;
		}
	}
	bool body = false;
	for (uint32_t i = 0; s && i < s->members; i++)
		body |= shape_member(out->api, s, i)->location == IN_BODY;
	if (!body && (out->protocol == PROTOCOL_REST_XML || !s))
		return;
	put_type(out->arena, ret, content_type_of(out->protocol));
	if (value && quirk_is_s3(t->api) && str_is(api_text(t->api, t->op->name), "GetBucketLocation")) {
		/* The only document that is a text: the region stands in the root itself, and nothing for us-east-1. */
		const struct str *region = member_value(t->api, shape_member(t->api, s, 0), value);
		put_xml_head(out->body);
		put_open_ns(out->body, S("LocationConstraint"), S(""), t->api->xml_ns);
		xml_put_text(out->body, region ? *region : S(""));
		put_close(out->body, S("LocationConstraint"), S(""));
	} else if (value) {
		encode_document(out, s, value, out->protocol == PROTOCOL_REST_XML ? quirk_root_name(t->api, t->op, s) : STR_NONE);
	} else if (out->protocol == PROTOCOL_REST_JSON) {
		buf_add_lit(out->body, "{}");
	}
}

void wire_encode(struct arena *a, const struct wire_target *t, const void *value, struct str request_id, struct buf *body,
                 struct wire_reply *ret)
{
	const struct shape *s = operation_output(t->api, t->op);
	struct wire_out out = {.arena = a, .api = t->api, .protocol = t->protocol, .body = body, .ms = quirk_times_with_ms(t->api)};
	*ret = (struct wire_reply){.status = t->op->status ? t->op->status : 200};
	put_id_headers(a, t, request_id, ret);
	if (t->op->flags & OPERATION_EVENTS_OUT && t->protocol != PROTOCOL_REST_JSON && t->protocol != PROTOCOL_REST_XML) {
		put_type(a, ret, S("application/vnd.amazon.eventstream"));
		ret->no_body = true;
		return;
	}
	switch (t->protocol) {
	case PROTOCOL_QUERY:
		encode_query(&out, t, s, value, request_id);
		break;
	case PROTOCOL_EC2:
		encode_ec2(&out, t, s, value, request_id);
		break;
	case PROTOCOL_REST_JSON:
	case PROTOCOL_REST_XML:
		encode_rest(&out, t, s, value, ret);
		if (str_is(api_text(t->api, t->op->method), "HEAD") || ret->status == 204 || ret->status == 304)
			ret->no_body = true;
		return;
	case PROTOCOL_CBOR:
		if (s && value)
			wire_cbor_write(&out, s, value);
		else
			cbor_put_map(body, 0);
		break;
	default: {
		struct json_out json = json_out(body);
		if (s && value)
			wire_json_write(&out, &json, s, value);
		else if (s)
			buf_add_lit(body, "{}");
	}
	}
	put_type(a, ret, content_type_of(t->protocol));
}

/* ---- Errors ---- */

const struct shape *wire_error_shape(const struct api *api, const struct operation *op, struct str code)
{
	for (uint32_t i = 0; op && i < op->errors; i++) {
		const struct shape *s = api_shape(api, api->error_shapes[op->first_error + i]);
		if (str_eq(api_text(api, s->name), code) || str_eq(quirk_error_code(api, s), code))
			return s;
	}
	const struct shape *named = api_shape_named(api, code);
	if (named && (named->flags & SHAPE_ERROR))
		return named;
	for (uint32_t i = 0; i < api->shape_count; i++)
		if ((api->shapes[i].flags & SHAPE_ERROR) && str_eq(quirk_error_code(api, &api->shapes[i]), code))
			return &api->shapes[i];
	return NULL;
}

struct spelled {
	const struct shape *shape; /* or NULL: not in the model */
	struct str name;           /* of the shape: JSON, CBOR */
	struct str code;           /* on the wire of XML */
	struct str message_name;
	uint16_t status;
	bool server;
};

static struct spelled spell(const struct wire_target *t, const struct wire_error *e)
{
	const struct shape *s = e->shape ? e->shape : wire_error_shape(t->api, t->op, e->code);
	struct spelled w = {.name = e->code,
	                    .code = e->code,
	                    .message_name = S("message"),
	                    .status = e->status,
	                    .server = e->server_fault,
	                    .shape = s};
	if (s) {
		w.name = api_text(t->api, s->name);
		w.code = quirk_error_code(t->api, s);
		w.server |= (s->flags & SHAPE_FAULT) != 0;
		if (!w.status)
			w.status = s->http_status;
		for (uint32_t i = 0; i < s->members; i++) {
			struct str name = api_text(t->api, shape_member(t->api, s, i)->name);
			if (str_ieq(name, S("message")))
				w.message_name = name;
		}
	}
	if (!w.status)
		w.status = w.server ? 500 : 400;
	w.server |= w.status >= 500;
	return w;
}

static void error_xml_fields(struct wire_out *out, const struct wire_error *e)
{
	if (e->shape && e->value)
		wire_xml_members(out, e->shape, e->value, S("message"));
	for (uint32_t i = 0; i < e->field_count; i++)
		xml_put_element(out->body, e->fields[i].name, e->fields[i].value);
}

static void error_code_message(struct buf *b, const struct spelled *w, struct str message)
{
	xml_put_element(b, S("Code"), w->code);
	if (str_set(message))
		xml_put_element(b, S("Message"), message);
}

static void error_s3(struct wire_out *out, const struct wire_error *e, const struct spelled *w, struct str request_id)
{
	struct buf *b = out->body;
	put_xml_head(b);
	buf_add_lit(b, "<Error>");
	error_code_message(b, w, e->message);
	error_xml_fields(out, e);
	xml_put_element(b, S("RequestId"), request_id);
	xml_put_element(b, S("HostId"), base64_encode(out->arena, request_id));
	buf_add_lit(b, "</Error>");
}

static void error_ec2(struct wire_out *out, const struct wire_error *e, const struct spelled *w, struct str request_id)
{
	struct buf *b = out->body;
	put_xml_head(b);
	buf_add_lit(b, "<Response><Errors><Error>");
	error_code_message(b, w, e->message);
	error_xml_fields(out, e);
	buf_add_lit(b, "</Error></Errors>");
	xml_put_element(b, S("RequestID"), request_id);
	buf_add_lit(b, "</Response>");
}

static void error_query(struct wire_out *out, const struct wire_error *e, const struct spelled *w, struct str request_id)
{
	struct buf *b = out->body;
	if (out->protocol == PROTOCOL_REST_XML)
		put_xml_head(b);
	put_open_ns(b, S("ErrorResponse"), S(""), out->api->xml_ns);
	buf_add_lit(b, "<Error>");
	xml_put_element(b, S("Type"), w->server ? S("Receiver") : S("Sender"));
	error_code_message(b, w, e->message);
	error_xml_fields(out, e);
	buf_add_lit(b, "</Error>");
	xml_put_element(b, S("RequestId"), request_id);
	buf_add_lit(b, "</ErrorResponse>");
}

/* Lambda says in each modelled error whose fault it is, unless the handler did. */
static bool wants_type(struct wire_out *out, const struct wire_error *e, const struct spelled *w)
{
	for (uint32_t i = 0; i < e->field_count; i++)
		if (str_is(e->fields[i].name, "Type"))
			return false;
	for (uint32_t i = 0; w->shape && i < w->shape->members; i++) {
		const struct member *m = shape_member(out->api, w->shape, i);
		if (str_is(api_text(out->api, m->name), "Type"))
			return !(e->shape && e->value && member_value(out->api, m, e->value));
	}
	return false;
}

static void error_json(struct wire_out *out, const struct wire_error *e, const struct spelled *w)
{
	struct json_out json = json_out(out->body);
	struct str type = quirk_error_type(out->api, w->server);
	json_open(&json, '{');
	if (out->protocol != PROTOCOL_REST_JSON) {
		json_key(&json, S("__type"));
		json_string(&json, ARENA_CAT(out->arena, quirk_type_prefix(out->api), w->name));
	}
	for (uint32_t i = 0; i < e->field_count; i++) {
		json_key(&json, e->fields[i].name);
		json_string(&json, e->fields[i].value);
	}
	if (e->shape && e->value)
		wire_json_members(out, &json, e->shape, e->value, S("message"));
	if (str_set(type) && wants_type(out, e, w)) {
		json_key(&json, S("Type"));
		json_string(&json, type);
	}
	if (str_set(e->message)) {
		json_key(&json, w->message_name);
		json_string(&json, e->message);
	}
	json_close(&json, '}');
}

static void error_cbor(struct wire_out *out, const struct wire_error *e, const struct spelled *w)
{
	struct buf *b = out->body;
	uint32_t typed = e->shape && e->value ? wire_cbor_count(out->api, e->shape, e->value, S("message")) : 0;
	cbor_put_map(b, 1 + e->field_count + typed + str_set(e->message));
	cbor_put_text(b, S("__type"));
	cbor_put_text(b, ARENA_CAT(out->arena, quirk_type_prefix(out->api), w->name));
	for (uint32_t i = 0; i < e->field_count; i++) {
		cbor_put_text(b, e->fields[i].name);
		cbor_put_text(b, e->fields[i].value);
	}
	if (typed)
		wire_cbor_members(out, e->shape, e->value, S("message"));
	if (str_set(e->message)) {
		cbor_put_text(b, w->message_name);
		cbor_put_text(b, e->message);
	}
}

void wire_encode_error(struct arena *a, const struct wire_target *t, const struct wire_error *e, struct str request_id,
                       struct buf *body, struct wire_reply *ret)
{
	struct wire_out out = {.arena = a, .api = t->api, .protocol = t->protocol, .body = body, .ms = quirk_times_with_ms(t->api)};
	struct spelled w = spell(t, e);
	*ret = (struct wire_reply){.status = w.status};
	put_id_headers(a, t, request_id, ret);
	if (e->shape && e->value && (t->protocol == PROTOCOL_REST_JSON || t->protocol == PROTOCOL_REST_XML))
		wire_put_headers(&out, e->shape, e->value, &ret->headers, NULL);
	switch (t->protocol) {
	case PROTOCOL_QUERY:
		error_query(&out, e, &w, request_id);
		break;
	case PROTOCOL_EC2:
		error_ec2(&out, e, &w, request_id);
		break;
	case PROTOCOL_REST_XML:
		if (quirk_is_s3(t->api))
			error_s3(&out, e, &w, request_id);
		else
			error_query(&out, e, &w, request_id);
		break;
	case PROTOCOL_CBOR:
		error_cbor(&out, e, &w);
		break;
	case PROTOCOL_REST_JSON:
		wire_pairs_add(a, &ret->headers, S("x-amzn-errortype"), w.name);
		error_json(&out, e, &w);
		break;
	default:
		error_json(&out, e, &w);
		break;
	}
	if (t->api->query_compatible &&
	    (t->protocol == PROTOCOL_CBOR || t->protocol == PROTOCOL_JSON10 || t->protocol == PROTOCOL_JSON11))
		wire_pairs_add(a, &ret->headers, S("x-amzn-query-error"),
		               ARENA_CAT(a, w.code, w.server ? S(";Receiver") : S(";Sender")));
	/* The headers of a 304 are those of what the client has kept, whose type is not that of an error. */
	if (ret->status != 304)
		put_type(a, ret, content_type_of(t->protocol));
	if (t->op && str_is(api_text(t->api, t->op->method), "HEAD"))
		ret->no_body = true;
}
