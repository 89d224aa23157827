#include "wire/codec.h"

/* A body that is one document: the whole input, or its payload structure. */
static bool read_document(struct wire_in *in, const struct shape *s, struct str body, struct str root, struct str other_root,
                          void *base)
{
	if (in->protocol == PROTOCOL_REST_JSON)
		return wire_json_read(in, s, body, base);
	struct str error = STR_NONE;
	struct xml_node *node = xml_parse(in->arena, body, &error);
	in->syntax = true; /* S3 calls every fault in a document malformed */
	in->closed = quirk_is_s3(in->api);
	if (!node)
		return wire_in_fail(in, "%.*s", STR_ARG(error));
	if (root.n && !str_eq(node->name, root) && !str_eq(node->name, other_root))
		return wire_in_fail(in, "The document's root is %.*s, not %.*s", STR_ARG(node->name), STR_ARG(root));
	bool ok = wire_xml_read(in, s, node, STR_NONE, base);
	in->syntax = !ok;
	return ok;
}

static bool read_payload(struct wire_in *in, const struct shape *s, struct str body, void *base)
{
	const struct member *m = shape_member(in->api, s, s->payload - 1u);
	const struct shape *inner = member_shape(in->api, m);
	if (member_streams(in->api, m) || !body.n)
		return true;
	if (inner->kind == SHAPE_STRUCTURE)
		return read_document(in, inner, body, api_text(in->api, m->wire_name),
		                     api_text(in->api, inner->xml_name ? inner->xml_name : inner->name), member_slot(in, m, base));
	if (in->protocol == PROTOCOL_REST_JSON &&
	    (inner->kind == SHAPE_LIST || inner->kind == SHAPE_MAP || inner->kind == SHAPE_DOCUMENT))
		return wire_json_read(in, inner, body, member_slot(in, m, base));
	if (inner->kind == SHAPE_STRING && !str_is_utf8(body))
		return wire_in_fail(in, "The body is not valid UTF-8");
	if (inner->kind == SHAPE_STRING || inner->kind == SHAPE_BLOB)
		*(struct str *)member_slot(in, m, base) = body;
	return true;
}

static bool has_body_members(const struct api *api, const struct shape *s)
{
	for (uint32_t i = 0; i < s->members; i++)
		if (shape_member(api, s, i)->location == IN_BODY)
			return true;
	return false;
}

static bool read_rest(struct wire_in *in, const struct shape *s, const struct wire_target *target,
                      const struct wire_request *request, void *base)
{
	if (!wire_bind_request(in, s, target, request, base))
		return false;
	if (s->payload)
		return read_payload(in, s, request->body, base);
	if (!request->body.n || !has_body_members(in->api, s))
		return true;
	return read_document(in, s, request->body, api_text(in->api, target->op->input_name), STR_NONE, base);
}

/* Memory that an input may take beyond twice its body: a few bytes can stand for a large struct. */
enum { INPUT_BYTES_MAX = 64 << 20 };

static bool read_input(struct wire_in *in, const struct shape *s, const struct wire_target *target,
                       const struct wire_request *request, void *base)
{
	switch (target->protocol) {
	case PROTOCOL_QUERY:
	case PROTOCOL_EC2:
		return wire_form_read(in, s, &target->form, base);
	case PROTOCOL_REST_JSON:
	case PROTOCOL_REST_XML:
		return read_rest(in, s, target, request, base);
	case PROTOCOL_CBOR:
		return !request->body.n || wire_cbor_read(in, s, request->body, base);
	default:
		return !request->body.n || wire_json_read(in, s, request->body, base);
	}
}

bool wire_decode(struct arena *a, const struct wire_target *target, const struct wire_request *request, void *base,
                 struct wire_fault *ret_fault)
{
	const struct shape *s = operation_input(target->api, target->op);
	struct wire_in in = {.arena = a, .api = target->api, .protocol = target->protocol, .request = true};
	if (!s)
		return true;
	size_t limit = a->limit_bytes;
	bool overflow = a->overflow;
	if (!limit)
		a->limit_bytes = a->used_bytes + INPUT_BYTES_MAX + 2 * request->body.n;
	bool ok = read_input(&in, s, target, request, base) && !wire_in_full(&in);
	a->limit_bytes = limit;
	a->overflow = overflow;
	if (!ok)
		quirk_malformed(target->api, target->protocol, &in, ret_fault);
	else
		wire_fill_tokens(&in, s, base);
	return ok;
}
