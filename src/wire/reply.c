/* The client's side of replies: reading them, and checking them against the model. */
#include "wire/codec.h"

/* One reading of one reply. */
struct reading {
	struct wire_in in;
	const struct operation *op;
	const struct wire_headers *headers;
	struct str body;
	uint16_t status;
};

static struct str header(const struct reading *r, const char *name)
{
	return r->headers ? r->headers->get(r->headers->ctx, str_from(name)) : STR_NONE;
}

static bool wrong_root(struct wire_in *in, const struct xml_node *node, struct str want)
{
	return in->strict && !str_eq(node->name, want) &&
	       !wire_in_fail(in, "root element %.*s, not %.*s", STR_ARG(node->name), STR_ARG(want));
}

static struct xml_node *read_xml(struct wire_in *in, struct str body)
{
	struct str error = STR_NONE;
	struct xml_node *node = xml_parse(in->arena, body, &error);
	if (!node) {
		in->syntax = true;
		wire_in_fail(in, "%.*s", STR_ARG(error));
	}
	return node;
}

/* <OpResponse><OpResult>members</OpResult><ResponseMetadata/></OpResponse>, or ec2's without the inner two. */
static bool read_query(struct reading *r, const struct shape *s, void *out)
{
	struct wire_in *in = &r->in;
	bool ec2 = in->protocol == PROTOCOL_EC2;
	struct str wrapper = !ec2 && r->op->result_wrapper ? api_text(in->api, r->op->result_wrapper) : STR_NONE;
	const struct xml_node *node = read_xml(in, r->body);
	if (!node)
		return false;
	if (wrong_root(in, node, ARENA_CAT(in->arena, api_text(in->api, r->op->name), S("Response"))))
		return false;
	if (in->strict && !xml_child(node, ec2 ? S("requestId") : S("ResponseMetadata")))
		return wire_in_fail(in, "no request id");
	if (!s)
		return true;
	if (wrapper.n) {
		xml_each(node, child) if (in->strict && !str_eq(child->name, wrapper) &&
		                          !str_is(child->name,
		                                  "ResponseMetadata")) return wire_in_fail(in, "unknown element %.*s in %.*s",
		                                                                           STR_ARG(child->name),
		                                                                           STR_ARG(node->name));
		const struct xml_node *result = xml_child(node, wrapper);
		if (!result)
			return !in->strict || wire_in_fail(in, "no element %.*s", STR_ARG(wrapper));
		return wire_xml_read(in, s, result, STR_NONE, out);
	}
	return wire_xml_read(in, s, node, ec2 ? S("requestId") : S("ResponseMetadata"), out);
}

static bool read_document(struct reading *r, const struct shape *s, struct str root, void *out)
{
	struct wire_in *in = &r->in;
	if (in->protocol == PROTOCOL_REST_JSON)
		return wire_json_read(in, s, r->body, out);
	const struct xml_node *node = read_xml(in, r->body);
	if (!node || wrong_root(in, node, root))
		return false;
	if (quirk_is_s3(in->api) && str_is(api_text(in->api, r->op->name), "GetBucketLocation")) {
		if (node->text.n)
			*(struct str *)member_slot(in, shape_member(in->api, s, 0), out) = node->text;
		return true;
	}
	return wire_xml_read(in, s, node, STR_NONE, out);
}

static bool read_payload(struct reading *r, const struct shape *s, void *out)
{
	struct wire_in *in = &r->in;
	const struct member *m = shape_member(in->api, s, s->payload - 1u);
	const struct shape *inner = member_shape(in->api, m);
	if (member_streams(in->api, m))
		return true;
	switch (inner->kind) {
	case SHAPE_STRUCTURE:
		return !r->body.n || read_document(r, inner, api_text(in->api, m->wire_name), member_slot(in, m, out));
	case SHAPE_STRING:
	case SHAPE_BLOB:
		*(struct str *)member_slot(in, m, out) = r->body.p ? r->body : S("");
		return true;
	default:
		return !r->body.n || in->protocol != PROTOCOL_REST_JSON ||
		       wire_json_read(in, inner, r->body, member_slot(in, m, out));
	}
}

static bool read_output(struct reading *r, const struct shape *s, void *out)
{
	struct wire_in *in = &r->in;
	switch (in->protocol) {
	case PROTOCOL_QUERY:
	case PROTOCOL_EC2:
		return read_query(r, s, out);
	case PROTOCOL_CBOR:
		return !s || !r->body.n || (r->op->flags & OPERATION_EVENTS_OUT) || wire_cbor_read(in, s, r->body, out);
	case PROTOCOL_REST_JSON:
	case PROTOCOL_REST_XML:
		if (!s)
			return true;
		if (!wire_bind_reply(in, s, r->status, r->headers, out))
			return false;
		if (s->payload)
			return read_payload(r, s, out);
		return !r->body.n || str_is(api_text(in->api, r->op->method), "HEAD") ||
		       read_document(r, s, quirk_root_name(in->api, r->op, s), out);
	default:
		return !s || !r->body.n || (r->op->flags & OPERATION_EVENTS_OUT) || wire_json_read(in, s, r->body, out);
	}
}

/* ---- Errors ---- */

/* "aws.x#Name:http://..." is Name. */
static struct str bare_code(struct str code)
{
	struct str rest = code;
	code = str_cut(&rest, ':');
	ptrdiff_t hash = str_find_char(code, '#');
	return str_trim(str_from_at(code, (size_t)(hash + 1)));
}

static void error_from_json(struct reading *r, struct wire_reply_error *e, struct str *ret_type)
{
	const struct json_value *v = json_parse(r->in.arena, r->body, NULL);
	struct str type = header(r, "x-amzn-errortype");
	if (!str_set(type))
		type = json_get_str(v, S("__type"));
	if (!str_set(type))
		type = json_get_str(v, S("code"));
	*ret_type = bare_code(type);
	static const char *const names[] = {"message", "Message", "errorMessage"};
	for (size_t i = 0; i < 3 && !str_set(e->message); i++)
		e->message = json_get_str(v, str_from(names[i]));
}

static void error_from_cbor(struct reading *r, struct wire_reply_error *e, struct str *ret_type)
{
	struct cbor_reader c;
	cbor_reader_init(&c, r->in.arena, r->body);
	struct cbor_item map = cbor_next(&c);
	if (map.kind != CBOR_MAP)
		return;
	struct cbor_walk w = cbor_enter(&c, &map);
	while (cbor_more(&c, &w)) {
		struct cbor_item key = cbor_next(&c), value = cbor_next(&c);
		if (key.kind == CBOR_TEXT && value.kind == CBOR_TEXT && str_is(key.text, "__type"))
			*ret_type = bare_code(value.text);
		else if (key.kind == CBOR_TEXT && value.kind == CBOR_TEXT && str_ieq(key.text, S("message")))
			e->message = value.text;
		else if (!cbor_skip(&c, &value))
			return;
	}
}

/* Returns the element that holds the error's members. */
static const struct xml_node *error_from_xml(struct reading *r, struct wire_reply_error *e, struct str *ret_type)
{
	const struct xml_node *root = xml_parse(r->in.arena, r->body, NULL), *node = root;
	if (root && str_is(root->name, "Response"))
		node = xml_child(xml_child(root, S("Errors")), S("Error"));
	else if (root && str_is(root->name, "ErrorResponse"))
		node = xml_child(root, S("Error"));
	if (!node)
		return NULL;
	const struct xml_node *code = xml_child(node, S("Code")), *message = xml_child(node, S("Message")),
	                      *type = xml_child(node, S("Type"));
	if (!message)
		message = xml_child(node, S("message"));
	*ret_type = code ? code->text : STR_NONE;
	e->message = message ? message->text : STR_NONE;
	e->sender = type ? str_is(type->text, "Sender") : r->status < 500;
	static const char *const ids[] = {"RequestId", "RequestID", "requestId"};
	for (size_t i = 0; i < 3 && !str_set(e->request_id); i++) {
		const struct xml_node *id = xml_child(root, str_from(ids[i]));
		e->request_id = id ? id->text : STR_NONE;
	}
	return node;
}

static void read_error(struct reading *r, struct wire_reply_error *e)
{
	struct wire_in *in = &r->in;
	struct str type = STR_NONE;
	const struct xml_node *node = NULL;
	*e = (struct wire_reply_error){.sender = r->status < 500};
	if (in->protocol == PROTOCOL_CBOR)
		error_from_cbor(r, e, &type);
	else if (in->protocol == PROTOCOL_JSON10 || in->protocol == PROTOCOL_JSON11 || in->protocol == PROTOCOL_REST_JSON)
		error_from_json(r, e, &type);
	else
		node = error_from_xml(r, e, &type);
	static const char *const ids[] = {"x-amzn-requestid", "x-amz-request-id"};
	for (size_t i = 0; i < 2 && !str_set(e->request_id); i++)
		e->request_id = header(r, ids[i]);
	e->code = type;
	e->shape = type.n ? wire_error_shape(in->api, r->op, type) : NULL;
	struct str legacy = header(r, "x-amzn-query-error");
	if (str_set(legacy)) {
		struct str rest = legacy;
		e->code = str_cut(&rest, ';');
		if (str_set(rest))
			e->sender = str_is(rest, "Sender");
	}
	if (!e->shape)
		return;
	e->value = arena_zalloc(in->arena, e->shape->size);
	bool rest = in->protocol == PROTOCOL_REST_JSON || in->protocol == PROTOCOL_REST_XML;
	if (rest && r->headers)
		wire_bind_reply(in, e->shape, r->status, r->headers, e->value);
	if (node)
		wire_xml_read(in, e->shape, node, STR_NONE, e->value);
	else if (in->protocol == PROTOCOL_CBOR)
		wire_cbor_read(in, e->shape, r->body, e->value);
	else if (r->body.n && in->protocol != PROTOCOL_QUERY && in->protocol != PROTOCOL_EC2 && in->protocol != PROTOCOL_REST_XML)
		wire_json_read(in, e->shape, r->body, e->value);
}

int wire_decode_reply(struct arena *a, const struct api *api, const struct operation *op, enum protocol protocol, uint16_t status,
                      const struct wire_headers *headers, struct str body, void *out, struct wire_reply_error *ret_error)
{
	struct reading r = {
	        .in = {.arena = a, .api = api, .protocol = protocol}, .op = op, .headers = headers, .body = body, .status = status};
	if (status >= 300) {
		read_error(&r, ret_error);
		return 1;
	}
	if (read_output(&r, operation_output(api, op), out))
		return 0;
	*ret_error = (struct wire_reply_error){.message = r.in.fault};
	return -1;
}

/* ---- Checks ---- */

static bool in_enumeration(const struct api *api, const struct shape *s, struct str value)
{
	for (uint32_t i = 0; i < s->enums; i++)
		if (str_eq(value, api_text(api, api->enum_values[s->enum_first + i])))
			return true;
	return false;
}

/* What the model forbids in a value, at any depth: a required member that is not there, a text that is not in its enumeration.
 * STR_NONE: nothing. */
static struct str forbidden(struct arena *a, const struct api *api, const struct shape *s, const void *value)
{
	struct str found = STR_NONE;
	if (s->kind == SHAPE_STRING && (s->have & HAS_ENUM)) {
		struct str text = *(const struct str *)value;
		return !str_set(text) || in_enumeration(api, s, text) || quirk_beside_enumeration(api, api_text(api, s->name), text)
		               ? STR_NONE
		               : arena_printf(a, "'%.*s' is not a value of %s", STR_ARG(text), api->text + s->name);
	}
	if (s->kind == SHAPE_LIST || s->kind == SHAPE_MAP) {
		const struct any_list *list = value;
		const struct member *m = shape_member(api, s, s->kind == SHAPE_MAP ? 1 : 0);
		for (uint32_t i = 0; i < list->n && !str_set(found); i++)
			found = forbidden(a, api, member_shape(api, m),
			                  (const char *)list->v + (size_t)i * s->size + (s->kind == SHAPE_MAP ? m->offset : 0));
		return found;
	}
	for (uint32_t i = 0; s->kind == SHAPE_STRUCTURE && i < s->members && !str_set(found); i++) {
		const struct member *m = shape_member(api, s, i);
		const void *p = member_value(api, m, value);
		if (!p && (m->flags & MEMBER_REQUIRED) && !member_streams(api, m) &&
		    !quirk_left_out(api, api_text(api, s->name), api_text(api, m->name)))
			return ARENA_CAT(a, S("required member "), api_text(api, m->name), S(" of "), api_text(api, s->name),
			                 S(" is missing"));
		if (p)
			found = forbidden(a, api, member_shape(api, m), p);
	}
	return found;
}

static struct str check_error(struct reading *r)
{
	struct wire_reply_error e;
	r->in.strict = false;
	if (str_is(api_text(r->in.api, r->op->method), "HEAD") || r->status == 304)
		return r->body.n ? S("a body where none may be") : STR_NONE;
	read_error(r, &e);
	if (!e.code.n)
		return S("an error without a code");
	if (!str_set(e.request_id))
		return S("an error without a request id");
	return r->in.fault;
}

struct str wire_reply_check(struct arena *a, const struct api *api, const struct operation *op, enum protocol protocol,
                            uint16_t status, const struct wire_headers *headers, struct str body)
{
	struct reading r = {.in = {.arena = a, .api = api, .protocol = protocol, .strict = true},
	                    .op = op,
	                    .headers = headers,
	                    .body = body,
	                    .status = status};
	const struct shape *s = operation_output(api, op);
	if (status >= 300)
		return check_error(&r);
	void *out = arena_zalloc(a, s ? s->size : 1);
	if (!read_output(&r, s, out))
		return r.in.fault;
	if (!s && body.n && protocol != PROTOCOL_QUERY && protocol != PROTOCOL_EC2 && !str_is(body, "{}") &&
	    !(protocol == PROTOCOL_CBOR && body.n == 1))
		return S("a body where the model has no output");
	if (s && (str_is(api_text(api, op->method), "HEAD") || (op->flags & OPERATION_EVENTS_OUT)))
		return STR_NONE;
	return s ? forbidden(a, api, s, out) : STR_NONE;
}
