/* What the walkers share: how values lie in typed structs, their texts, and how reading fails.
 * For src/wire alone. */
#pragma once
#include "base/base64.h"
#include "base/cbor.h"
#include "base/json.h"
#include "base/xml.h"
#include "wire/wire.h"

enum { WIRE_DEPTH_MAX = 64 };

/* One reading. */
struct wire_in {
	struct arena *arena;
	const struct api *api;
	enum protocol protocol;
	bool strict;      /* unknown members and non-canonical values are faults: reply checks */
	bool request;     /* idempotency tokens are made */
	bool closed;      /* elements that the model does not know are faults: S3 holds documents against its schema */
	bool syntax;      /* the fault lies in the bytes, not in a type */
	struct str fault; /* set: reading failed */
	struct str where; /* the last member entered, for messages */
	struct str text;  /* what no value of its type could be made of */
};
/* Records the first fault; always false. */
__attribute__((format(printf, 2, 3))) bool wire_in_fail(struct wire_in *in, const char *fmt, ...);

/* Has the arena's limit been crossed? Then reading fails at the next value: a small body may stand for large structs. */
bool wire_in_full(struct wire_in *in);

/* One writing of a body. */
struct wire_out {
	struct arena *arena;
	const struct api *api;
	enum protocol protocol;
	struct buf *body;
	bool ms; /* ISO 8601 times always with milliseconds */
};

static inline const struct member *shape_member(const struct api *api, const struct shape *s, uint32_t i)
{
	return &api->members[s->first_member + i];
}
static inline const struct shape *member_shape(const struct api *api, const struct member *m)
{
	return &api->shapes[m->shape];
}
/* The value of a member of the struct at `base` as it lies in lists too (structures by value), or NULL when absent. */
const void *member_value(const struct api *api, const struct member *m, const void *base);
/* Where that value is to be written; a structure is made when it is absent. */
void *member_slot(struct wire_in *in, const struct member *m, void *base);
/* Is the value at `p` there? Structures by value always are. */
bool value_present(const struct shape *s, const void *p);
/* Do its bytes pass beside the struct? */
static inline bool member_streams(const struct api *api, const struct member *m)
{
	return (m->flags & MEMBER_STREAMING) || (member_shape(api, m)->flags & (SHAPE_STREAMING | SHAPE_EVENT_STREAM));
}

/* A member by its name on the wire among those of a structure, looking from *hint on, where the one after it is left; NULL: none.
 * `own_names`: names as the model spells them, not locationNames. Body members only. */
const struct member *member_named(const struct api *api, const struct shape *s, struct str name, bool own_names, uint32_t *hint);
/* JSON-RPC and CBOR spell members as the model does, rest-json by locationName. */
static inline bool wire_own_names(enum protocol p)
{
	return p == PROTOCOL_JSON10 || p == PROTOCOL_JSON11 || p == PROTOCOL_CBOR;
}

/* Scalars as text: headers, labels, queries, XML. value_text() may return a view of the value, of `scratch`, or arena memory. */
enum { VALUE_SCRATCH = 64 };
struct str value_text(struct arena *a, const struct member *m, const struct shape *s, const void *p, enum member_time time, bool ms,
                      char scratch[static VALUE_SCRATCH]);
bool value_from_text(struct wire_in *in, const struct member *m, const struct shape *s, struct str text, enum member_time time,
                     void *p);
/* NaN, Infinity, -Infinity or a number. */
bool value_double(struct str text, double *ret);
/* Fills the idempotency tokens that a structure lacks. */
void wire_fill_tokens(struct wire_in *in, const struct shape *s, void *base);

/* ---- Bodies ---- */
/* A JSON text into the structure at `base`. */
bool wire_json_read(struct wire_in *in, const struct shape *s, struct str text, void *base);
/* Writes the structure as an object, without members that are bound elsewhere; `more` may write further members. */
void wire_json_write(struct wire_out *out, struct json_out *json, const struct shape *s, const void *base);
/* The same of one structure whose object is already open: only its members, `skip` left out. */
void wire_json_members(struct wire_out *out, struct json_out *json, const struct shape *s, const void *base, struct str skip);

bool wire_cbor_read(struct wire_in *in, const struct shape *s, struct str bytes, void *base);
void wire_cbor_write(struct wire_out *out, const struct shape *s, const void *base);
/* How many of a structure's members are there, and those members alone (for an error's map). */
uint32_t wire_cbor_count(const struct api *api, const struct shape *s, const void *base, struct str skip);
void wire_cbor_members(struct wire_out *out, const struct shape *s, const void *base, struct str skip);

/* The children and attributes of an element into a structure. `ignore`: an element that the envelope adds, not the model; or
 * STR_NONE. */
bool wire_xml_read(struct wire_in *in, const struct shape *s, const struct xml_node *node, struct str ignore, void *base);
/* The members of a structure as elements. `ec2`: names as ec2 spells replies are wire names all the same. */
void wire_xml_members(struct wire_out *out, const struct shape *s, const void *base, struct str skip);
/* <name ...attributes of the structure>members</name>; ns: a default namespace, or empty. */
void wire_xml_structure(struct wire_out *out, const struct shape *s, const void *base, struct str name, struct str ns);

bool wire_form_read(struct wire_in *in, const struct shape *s, const struct form *form, void *base);
void wire_form_write(struct wire_out *out, const struct shape *s, const void *base);

/* ---- HTTP bindings ---- */
bool wire_bind_request(struct wire_in *in, const struct shape *s, const struct wire_target *target,
                       const struct wire_request *request, void *base);
bool wire_bind_reply(struct wire_in *in, const struct shape *s, uint16_t status, const struct wire_headers *headers, void *base);
/* Headers of a request or reply out of its struct; *status, if given, is set by a member bound to it. */
void wire_put_headers(struct wire_out *out, const struct shape *s, const void *base, struct wire_pairs *headers, uint16_t *status);

/* ---- Routing ---- */
const struct operation *wire_route(struct arena *a, const struct api *api, const struct wire_request *request,
                                   struct wire_target *target);
/* Does the path fit an operation whose template begins with fixed text? */
bool wire_route_claims(const struct api *api, const struct wire_request *request);

/* The model's error shape of a code, as its shape or as the wire spells it: among those of the operation (which may be NULL)
 * first, then of the whole API; NULL: none. */
const struct shape *wire_error_shape(const struct api *api, const struct operation *op, struct str code);

/* ---- What services do differently (quirk.c) ---- */
struct str quirk_root_name(const struct api *api, const struct operation *op, const struct shape *output);
bool quirk_beside_enumeration(const struct api *api, struct str shape, struct str value);
bool quirk_left_out(const struct api *api, struct str shape, struct str member);
bool quirk_never_routed(const struct api *api, struct str op_name);
bool quirk_is_s3(const struct api *api);
/* May a request of the query protocol leave out its version? */
bool quirk_needs_no_version(const struct api *api);
/* Is an operation whose required headers and parameters are not all there another one's request, or nobody's? */
bool quirk_needs_required(const struct api *api);
bool quirk_times_with_ms(const struct api *api);
/* Is a header's value one that counts as no header at all? */
bool quirk_passes_over(const struct api *api, struct str header, struct str value);
/* The prefix of __type: "com.amazonaws.dynamodb.v20120810#" or "". */
struct str quirk_type_prefix(const struct api *api);
/* The code and text of a body that is not what the operation takes. */
void quirk_malformed(const struct api *api, enum protocol protocol, const struct wire_in *in, struct wire_fault *ret);
/* The code of an error shape in XML and x-amzn-query-error: SQS has old ones that its model does not keep. */
struct str quirk_error_code(const struct api *api, const struct shape *error);
/* What lambda's error bodies say as "Type", or STR_NONE. */
struct str quirk_error_type(const struct api *api, bool server);
