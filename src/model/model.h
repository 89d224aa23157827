/* What an AWS API is, as data.
 *
 * tools/generate.py turns each models/<service>.json into two files in the build directory: gen/<service>.h
 * with one C struct for every structure that the API names, and gen/<service>.c with the const tables
 * declared here. Generic walkers (src/wire) read requests into those structs and write replies out of them;
 * nothing outside src/wire and src/model needs to look into a table.
 *
 * Tables refer to each other by index and to names by offset into the service's text, never by pointer: they
 * need no relocation, so their pages stay shared and clean and a service that is not used costs no memory.
 *
 * How a shape looks in C, where T is the member's target:
 *   string, blob, document    struct str             absent: p == NULL (documents hold JSON text)
 *   boolean                   struct opt_bool        absent: !set
 *   integer, long             struct opt_int
 *   float, double             struct opt_double
 *   timestamp                 struct opt_time        milliseconds since 1970
 *   structure, union          struct X *             absent: NULL
 *   list                      struct { T *v; uint32_t n; bool set; }   strings: struct str_list; structures lie in v by value
 *   map                       struct { struct { struct str key; T value; } *v; uint32_t n; bool set; }
 *   streaming blob            struct str holds nothing; the bytes pass through call->body / call->reply_body (core/call.h)
 *   event stream              the same
 * Struct and member names are the model's in snake case: CreateFunctionRequest.MemorySize is
 * `struct lambda_create_function_request`, `.memory_size` (the rule, with its corner cases, opens tools/generate.py).
 * For every operation there is an index, LAMBDA_OP_CREATE_FUNCTION, and the function type that its handler has:
 * `typedef int lambda_create_function_handler(struct call *, const struct <input> *, struct <output> *)`, with
 * struct model_none where the operation has no input or output. */
#pragma once
#include "base/arena.h"

struct opt_bool {
	bool set, v;
};
struct opt_int {
	int64_t v;
	bool set;
};
struct opt_double {
	double v;
	bool set;
};
struct opt_time {
	int64_t ms;
	bool set;
};
#define OPT_BOOL(x) ((struct opt_bool){.set = true, .v = (x)})
#define OPT_INT(x) ((struct opt_int){.set = true, .v = (x)})
#define OPT_DOUBLE(x) ((struct opt_double){.set = true, .v = (x)})
#define OPT_TIME(x) ((struct opt_time){.set = true, .ms = (x)})

struct str_list {
	struct str *v;
	uint32_t n;
	bool set;
};
struct str_map_entry {
	struct str key, value;
};
struct str_map {
	struct str_map_entry *v;
	uint32_t n;
	bool set;
};
/* What an operation without input or output has in their place. */
struct model_none {
	char none;
};
/* The layout that every list and map shares. */
struct any_list {
	void *v;
	uint32_t n;
	bool set;
};

/* Appends a zeroed element to any list or map of a generated struct and returns it; memory is the arena's. Only for lists that
 * began empty, were decoded or copied: v must have room for n rounded up to a power of two, or it is overrun. */
#define LIST_ADD(a, l) ((__typeof__((l)->v))model_list_add((a), (struct any_list *)(void *)(l), sizeof(*(l)->v)))
void *model_list_add(struct arena *a, struct any_list *l, size_t size);
struct str str_map_get(const struct str_map *m, struct str key); /* absent: STR_NONE */

enum shape_kind {
	SHAPE_STRUCTURE,
	SHAPE_LIST,
	SHAPE_MAP,
	SHAPE_STRING,
	SHAPE_BLOB,
	SHAPE_BOOLEAN,
	SHAPE_INTEGER,
	SHAPE_LONG,
	SHAPE_FLOAT,
	SHAPE_DOUBLE,
	SHAPE_TIMESTAMP,
	SHAPE_DOCUMENT,
};
enum shape_flag {
	SHAPE_FLATTENED = 1 << 0, /* list, map: XML and query repeat the element without a wrapper */
	SHAPE_UNION = 1 << 1,
	SHAPE_ERROR = 1 << 2, /* structure: an exception */
	SHAPE_FAULT = 1 << 3, /* error: the server's */
	SHAPE_STREAMING = 1 << 4,
	SHAPE_EVENT_STREAM = 1 << 5,
	SHAPE_EVENT = 1 << 6,
	SHAPE_SENSITIVE = 1 << 7,
	SHAPE_BOX = 1 << 8,
	SHAPE_JSON_VALUE = 1 << 9, /* string: JSON in base64 in a header */
};
enum member_flag {
	MEMBER_REQUIRED = 1 << 0,
	MEMBER_FLATTENED = 1 << 1,
	MEMBER_XML_ATTRIBUTE = 1 << 2,
	MEMBER_TOKEN = 1 << 3, /* idempotency token: filled in when absent */
	MEMBER_HOST_LABEL = 1 << 4,
	MEMBER_STREAMING = 1 << 5,
	MEMBER_EVENT_PAYLOAD = 1 << 6,
	MEMBER_EVENT_HEADER = 1 << 7,
	MEMBER_JSON_VALUE = 1 << 8,
};
enum member_location { IN_BODY, IN_HEADER, IN_HEADERS /* prefix */, IN_URI, IN_QUERY /* one name */, IN_QUERY_MAP, IN_STATUS };
enum member_time { MT_DEFAULT, MT_ISO8601, MT_RFC822, MT_EPOCH };

/* Constraints of a shape; have says which are there. Lengths count code points of strings, bytes of blobs, elements of lists. */
enum { HAS_MIN = 1, HAS_MAX = 2, HAS_PATTERN = 4, HAS_ENUM = 8 };

struct shape {
	uint32_t name;         /* text */
	uint8_t kind;          /* enum shape_kind */
	uint8_t have;          /* HAS_* */
	uint16_t flags;        /* enum shape_flag */
	uint32_t size;         /* sizeof the C struct (structure) or of one element (list, map entry); else of the value */
	uint32_t first_member; /* structure: members[first_member..+members); list: its item; map: key, then value */
	uint16_t members;
	uint16_t payload;    /* structure: 1 + index among its members of the payload member, or 0 */
	uint32_t enum_first; /* enum_values[enum_first..+enums): text offsets, in the order of AWS's messages */
	uint16_t enums;
	uint16_t http_status;   /* error */
	uint32_t pattern;       /* text */
	uint32_t error_code;    /* error: text of the code on the wire where it differs from the name, else 0 */
	uint32_t xml_ns;        /* text: namespace that an element of this shape declares, or 0 */
	uint32_t xml_ns_prefix; /* text: its prefix, or 0 */
	uint32_t xml_name;      /* text: element name given by the shape itself, or 0 */
	int64_t min, max;       /* of floats and doubles: in thousandths */
};
/* Which name goes on the wire: JSON 1.x and CBOR use name; rest-json bodies, XML and query use wire_name; ec2 requests use
 * ec2_name. Headers, URI labels and query strings use wire_name. Elements of lists and keys and values of maps are members too
 * (wire_name: item, member, key, value or what the model says). Where a list is flattened and its element has a name of its own,
 * that name is already the wire_name of every member that targets the list. */
struct member {
	uint32_t name;      /* text: as the model spells it */
	uint32_t wire_name; /* text: locationName, or name where the model gives none */
	uint32_t ec2_name;  /* text: the ec2 query name (queryName, or wire_name capitalised) */
	uint16_t shape;     /* index */
	uint16_t offset;    /* bytes into the C struct, or into a map entry */
	uint16_t flags;     /* enum member_flag */
	uint8_t location;   /* enum member_location */
	uint8_t time;       /* enum member_time: the member's own, else the shape's */
};
enum operation_flag {
	OPERATION_UNSIGNED = 1 << 0,   /* authtype none */
	OPERATION_STREAM_IN = 1 << 1,  /* the input's payload is a streaming blob */
	OPERATION_STREAM_OUT = 1 << 2, /* so is the output's, or it is an event stream */
	OPERATION_EVENTS_OUT = 1 << 3,
	OPERATION_CHECKSUM_REQUIRED = 1 << 4,
	OPERATION_UNSIGNED_PAYLOAD = 1 << 5,
};
struct operation {
	uint32_t name;          /* text */
	uint32_t method;        /* text: GET ... */
	uint32_t uri;           /* text: /2015-03-31/functions/{FunctionName}?x=y */
	uint32_t input, output; /* 1 + shape index, or 0 */
	uint16_t status;        /* HTTP status of success */
	uint16_t flags;         /* enum operation_flag */
	uint32_t first_error;   /* error_shapes[first_error..+errors): shape indexes */
	uint16_t errors;
	uint32_t host_prefix;          /* text or 0 */
	uint32_t input_name, input_ns; /* text or 0: root element of a rest-xml request and its namespace */
	uint32_t result_wrapper;       /* text or 0: query */
	uint32_t checksum_member;      /* text or 0: input member that names the checksum algorithm */
};
enum protocol {
	PROTOCOL_QUERY,
	PROTOCOL_EC2,
	PROTOCOL_JSON10,
	PROTOCOL_JSON11,
	PROTOCOL_REST_JSON,
	PROTOCOL_REST_XML,
	PROTOCOL_CBOR,
	PROTOCOLS
};

struct api {              /* one AWS API: gen/<service>.c defines `const struct api <service>_api` */
	const char *id;   /* our name and folder: "lambda" */
	const char *text; /* all names, each NUL-terminated; offset 0 is "" */
	const struct shape *shapes;
	const struct member *members;
	const struct operation *operations; /* sorted by name, as shapes are */
	const uint32_t *enum_values, *error_shapes;
	uint32_t shape_count, member_count, operation_count, text_bytes;
	const char *endpoint_prefix, *signing_name, *service_id, *api_version, *target_prefix, *xml_ns; /* "": none */
	uint32_t protocols;     /* bit set of 1 << enum protocol: those that real clients use */
	enum protocol protocol; /* the model's first */
	bool query_compatible;  /* awsQueryCompatible: JSON and CBOR errors carry x-amzn-query-error */
	bool global;            /* one endpoint for all regions: iam, route53 */
};

static inline struct str api_text(const struct api *api, uint32_t at)
{
	return str_from(api->text + at);
}
static inline const struct shape *api_shape(const struct api *api, uint32_t i)
{
	return &api->shapes[i];
}
/* The operation's typed input and output; NULL where it has none. */
const struct shape *operation_input(const struct api *api, const struct operation *op);
const struct shape *operation_output(const struct api *api, const struct operation *op);
/* By name; NULL: the API has none such. Scalars with the same constraints share one shape, under the first of their names. */
const struct operation *api_operation(const struct api *api, struct str name);
const struct shape *api_shape_named(const struct api *api, struct str name);
static inline uint32_t api_operation_index(const struct api *api, const struct operation *op)
{
	return (uint32_t)(op - api->operations);
}

/* Every API with a model, sorted by id; ends with NULL. Generated (gen/apis.c). */
extern const struct api *const model_apis[];
const struct api *model_api(struct str id);
/* By the service name in a credential scope; several APIs may share one (dynamodb): NULL-terminated walk from `after`. */
const struct api *model_api_by_signing_name(struct str signing_name, const struct api *after);

/* Is the member at `at`, whose target is `shape`, there? Structures lie behind their pointer. */
bool model_is_set(const struct shape *shape, const void *at);
/* Checks a filled struct against its shape: required members, lengths, ranges, patterns, enums. Returns true when it holds;
 * else *ret_message gets AWS's text ("1 validation error detected: Value '...' at '...' failed to satisfy constraint: Member must
 * ...") and *ret_missing is set when the (first) fault is a missing member. Works for our own state records too. Idempotency tokens
 * are filled in before; streaming members are not looked at. */
bool model_check(struct arena *a, const struct api *api, const struct shape *shape, const void *value, struct str *ret_message,
                 bool *ret_missing);
/* Deep copy into another arena. */
void model_copy(struct arena *a, const struct api *api, const struct shape *shape, const void *from, void *to);
