/* YAML 1.1, and with it nearly all of JSON, as a small value tree, over libyaml: for documents without a model that people write by
 * hand (configuration files of source bundles, environment manifests).
 *
 * Scalars stay texts as they are written. An alias is its anchor's own node, so a tree may share branches; what it comes to with
 * all of them written out is bounded, as are its depth and the text's length. Merge keys (<<) are resolved; tags other than YAML's
 * own are refused. Nothing is kept but the tree, which lives in the arena. Safe on any thread. */
#pragma once
#include "base/arena.h"

enum { YAML_DEPTH_MAX = 64, YAML_NODES_MAX = 50000, YAML_BYTES_MAX = 1 << 20 };

enum yaml_kind { YAML_NULL, YAML_TEXT, YAML_LIST, YAML_MAP };
struct yaml_value {
	enum yaml_kind kind;
	uint32_t n;                /* items, or pairs */
	struct str text;           /* YAML_TEXT */
	size_t written;            /* nodes, with aliases written out */
	struct yaml_value **items; /* of a map: the values */
	struct str *keys;          /* of a map: texts; the last one of a name counts */
};

/* One document. An empty one is YAML_NULL. NULL: *ret_error says what and where. */
const struct yaml_value *yaml_parse(struct arena *a, struct str text, struct str *ret_error);
/* NULL: no map (m may be NULL), or it has no such key. */
const struct yaml_value *yaml_get(const struct yaml_value *m, const char *key);
/* A member's text. STR_NONE: there is none, or it is no text. */
struct str yaml_get_text(const struct yaml_value *m, const char *key);
static inline bool yaml_is(const struct yaml_value *v, enum yaml_kind kind)
{
	return v && v->kind == kind;
}
