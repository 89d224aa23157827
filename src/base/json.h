/* JSON (RFC 8259): a pull parser, a writer, and a small value tree.
 *
 * The parser hands out one token at a time from bytes that the caller keeps; it accepts exactly the
 * grammar, UTF-8 that is well formed, escapes whose surrogates come in pairs, and a bounded depth. Texts
 * without escapes are views of the input, others are decoded into the arena. The tree is for documents
 * without a model: policies, filter patterns, configuration. Keys keep their order; duplicates are kept. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum { JSON_DEPTH_MAX = 128, JSON_DEPTH_CAP = 1024 };

enum json_token {
	JSON_ERROR, /* sticky: json_reader.error says why, at its byte offset `at` */
	JSON_END,   /* the whole text was one value */
	JSON_NULL,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NUMBER, /* text: as spelled */
	JSON_STRING, /* text: decoded */
	JSON_KEY,    /* text: decoded; its value's token comes next */
	JSON_ARRAY,
	JSON_ARRAY_END,
	JSON_OBJECT,
	JSON_OBJECT_END,
};

struct json_reader {
	struct arena *arena;
	const char *begin, *next, *end;
	const char *error; /* NULL: none yet */
	size_t at;         /* byte offset where the last token, or the error, begins */
	struct str text;
	uint32_t depth, depth_max;
	uint32_t expect;                       /* parser state */
	uint64_t objects[JSON_DEPTH_CAP / 64]; /* bit per depth: an object, else an array */
};

/* depth_max: at most JSON_DEPTH_CAP; 0: JSON_DEPTH_MAX. */
void json_reader_init(struct json_reader *r, struct arena *a, struct str text, uint32_t depth_max);
enum json_token json_next(struct json_reader *r);
/* Passes over the rest of the value whose first token was just read; false: an error in it. */
bool json_skip(struct json_reader *r, enum json_token first);
/* The raw text of the value whose first token was just read; the reader stands behind it. STR_NONE: an error in it. */
struct str json_raw_value(struct json_reader *r, enum json_token first);
/* "NUMBER_VALUE" and so on: the names that AWS's messages use. */
const char *json_token_name(enum json_token t);

/* Numbers of JSON_NUMBER texts. False: not an integer, or out of range; 1.0 and 1e3 are integers. */
bool json_to_int(struct str number, int64_t *ret);
bool json_to_double(struct str number, double *ret);

/* ---- Writer: commas are its business, nesting is the caller's. Output is compact. ---- */
struct json_out {
	struct buf *b;
	bool comma; /* a value was written at this level */
};
static inline struct json_out json_out(struct buf *b)
{
	return (struct json_out){.b = b};
}
void json_open(struct json_out *o, char bracket); /* '{' or '[' */
void json_close(struct json_out *o, char bracket);
void json_key(struct json_out *o, struct str key);
void json_string(struct json_out *o, struct str s); /* an absent one becomes null */
void json_int(struct json_out *o, int64_t v);
void json_double(struct json_out *o, double v); /* NaN and infinities as the strings that AWS uses */
void json_bool(struct json_out *o, bool v);
void json_null(struct json_out *o);
void json_raw(struct json_out *o, struct str json); /* one value, already JSON */

/* Quoted and escaped; malformed UTF-8 becomes U+FFFD, so that the output is always JSON. */
void json_put_string(struct buf *b, struct str s);
/* The shortest decimal that reads back as the same double; finite values only. Returns the length. */
size_t json_double_to(char out[static 32], double v);
void json_put_int(struct buf *b, int64_t v);

/* ---- Tree ---- */
struct json_value {
	enum json_token kind;            /* JSON_NULL .. JSON_STRING, JSON_ARRAY or JSON_OBJECT */
	uint32_t count;                  /* elements or members */
	struct str key;                  /* in an object: its name */
	struct str text;                 /* string: decoded; number: as spelled */
	struct json_value *first, *next; /* children in order; the next sibling */
	size_t at, end;                  /* where in the source it begins; of an object or array: behind its bracket */
};

/* One value and nothing behind it, living in the arena (texts may be views of the source). NULL: *ret_error, if given, says
 * what and where ("... at offset N"). */
struct json_value *json_parse(struct arena *a, struct str text, struct str *ret_error);
/* The last member of that name, as most readers take it. NULL: none, or v is no object (v may be NULL). */
const struct json_value *json_get(const struct json_value *v, struct str key);
/* A string member's text; STR_NONE: absent or not a string. */
struct str json_get_str(const struct json_value *v, struct str key);
/* A key that an object of the tree holds twice; STR_NONE: none. */
struct str json_duplicate(const struct json_value *v);
static inline bool json_is(const struct json_value *v, enum json_token kind)
{
	return v && v->kind == kind;
}
void json_put_value(struct buf *b, const struct json_value *v);
#define json_each(v, var) for (const struct json_value *var = (v) ? (v)->first : NULL; var; var = var->next)
