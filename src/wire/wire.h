/* Between bytes of the AWS protocols and the typed structs of gen/<service>.h, both ways.
 *
 * The server side: wire_identify() finds protocol and operation of a request, wire_decode() fills the input
 * struct, wire_encode() and wire_encode_error() write the reply. The client side, for our own tools and tests,
 * is the mirror: wire_encode_request() and wire_decode_reply(). All are generic walks over an API's tables;
 * what single services do differently is listed in quirk.c.
 *
 * Everything decoded lives in the arena given, or is a view of the request's own bytes: keep both as long as the
 * struct. Streaming payloads and event streams are not touched here: their bytes pass beside the struct. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/form.h"
#include "model/model.h"

struct wire_pair {
	struct str name, value;
};
struct wire_pairs {
	struct wire_pair *v;
	uint32_t n, cap; /* grows in the arena */
};
void wire_pairs_add(struct arena *a, struct wire_pairs *pairs, struct str name, struct str value);

/* What the walkers ask of HTTP headers. Names compare without case. */
struct wire_headers {
	struct str (*get)(void *ctx, struct str name);                                /* STR_NONE: absent */
	bool (*at)(void *ctx, size_t i, struct str *ret_name, struct str *ret_value); /* the i-th; false: no more */
	void *ctx;
};
/* Headers that lie in a wire_pairs. */
struct wire_headers wire_headers_of(const struct wire_pairs *pairs);

struct wire_request {
	struct str method;
	struct str path;  /* raw, percent-encoded; of a virtual-host S3 request with the bucket put in front */
	struct str query; /* raw, without the '?' */
	struct str content_type, target /* x-amz-target */, smithy_protocol;
	struct wire_headers headers;
	struct str body; /* all of it, unless the operation streams it */
};

enum { WIRE_LABELS_MAX = 8 };

/* Which operation a request asks for. */
struct wire_target {
	const struct api *api;
	const struct operation *op;
	enum protocol protocol;
	struct wire_pair labels[WIRE_LABELS_MAX]; /* of the path: member wire name, decoded value */
	uint32_t label_count;
	struct form form; /* query and ec2: the parameters, Action and Version included */
};

/* A request that cannot be served, in the words of its protocol. */
struct wire_fault {
	struct str code, message;
	uint16_t status;
	struct str argument, value; /* S3: the header or parameter that is wrong and what it held; absent: none */
};

/* Finds protocol and operation among those of `api`. False: *ret_fault is what to answer, in ret->protocol, which is set (with
 * ret->api) in either case. The body is looked at only for query and ec2, and only when it is a form. */
bool wire_identify(struct arena *a, const struct api *api, const struct wire_request *request, struct wire_target *ret,
                   struct wire_fault *ret_fault);
/* The API that an unsigned request means, by target prefix, RPC path, Action and Version, or path; NULL: none.
 * Paths that fit no other API are S3's. */
const struct api *wire_guess_api(struct arena *a, const struct wire_request *request);

/* Fills `in`, the zeroed struct of the operation's input (anything when it has none). False: *ret_fault says what is wrong.
 * Unknown members are passed over; idempotency tokens that are absent are made.
 * An arena without a limit gives at most 64 MiB and twice the body. Constraints are not checked: model_check() does. */
bool wire_decode(struct arena *a, const struct wire_target *target, const struct wire_request *request, void *in,
                 struct wire_fault *ret_fault);

struct wire_reply {
	uint16_t status;
	struct wire_pairs headers; /* content type and request id among them; not the length */
	bool no_body;              /* the status or the method allows none, or it is streamed */
};
/* Writes a success reply: the body into `body` (a streamed one is left to the caller), status and headers into *ret. `out` may be
 * NULL where the operation has no output. `head`: a HEAD request, no body. */
void wire_encode(struct arena *a, const struct wire_target *target, const void *out, struct str request_id, struct buf *body,
                 struct wire_reply *ret);

struct wire_error {
	struct str code;                /* as the model names the shape, or the code on the wire */
	struct str message;             /* absent: none is written */
	uint16_t status;                /* 0: the error shape's, else 400, or 500 with server_fault */
	bool server_fault;              /* Receiver, not Sender; known errors of the model know it themselves */
	const struct wire_pair *fields; /* more text members: S3's Key, Lambda's Type ... */
	uint32_t field_count;
	const struct shape *shape; /* with value: the typed error struct, whose members but the message are written */
	const void *value;
};
/* `target->op` may be NULL when the request was not identified; api and protocol are set. */
void wire_encode_error(struct arena *a, const struct wire_target *target, const struct wire_error *error, struct str request_id,
                       struct buf *body, struct wire_reply *ret);

/* ---- Our own records: a structure as CBOR, by the same tables ---- */
/* Fills the zeroed struct `ret`; False: the bytes are not such a structure. */
bool wire_record_read(struct arena *a, const struct api *api, const struct shape *s, struct str bytes, void *ret);
void wire_record_write(struct arena *a, const struct api *api, const struct shape *s, const void *value, struct buf *out);

/* ---- The client's side ---- */

struct wire_out_request {
	struct str method;
	struct str path;        /* encoded */
	struct str query;       /* encoded, without '?' */
	struct str host_prefix; /* to put before the host, or STR_NONE */
	struct wire_pairs headers;
};
/* False: a member that the path or the host needs is absent; *ret_message names it. */
bool wire_encode_request(struct arena *a, const struct api *api, const struct operation *op, enum protocol protocol, const void *in,
                         struct buf *body, struct wire_out_request *ret, struct str *ret_message);

struct wire_reply_error {
	struct str code, message, request_id;
	bool sender;
	const struct shape *shape; /* the model's error of that code, or NULL; then `value` is its struct */
	void *value;
};
/* Status below 300: fills `out`, the zeroed output struct, and returns 0. Else, returns 1 with *ret_error. -1: a body that cannot
 * be read; ret_error->message says why. */
int wire_decode_reply(struct arena *a, const struct api *api, const struct operation *op, enum protocol protocol, uint16_t status,
                      const struct wire_headers *headers, struct str body, void *out, struct wire_reply_error *ret_error);
/* Reads a reply strictly: STR_NONE when it is exactly what the model allows, else what is wrong (an unknown member or header-bound
 * value, a wrong type, a missing required member, a text outside its enumeration, a body that cannot be read). */
struct str wire_reply_check(struct arena *a, const struct api *api, const struct operation *op, enum protocol protocol,
                            uint16_t status, const struct wire_headers *headers, struct str body);
