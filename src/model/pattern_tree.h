/* What a pattern says, as a tree: made by pattern_parse.c, turned into a program by pattern.c, seen by nobody else.
 * Trees and sets live in the arena of the compilation. */
#pragma once
#include "base/arena.h"

#define PATTERN_NO_LIMIT UINT32_MAX

struct pattern_range {
	uint32_t low, high;
};
enum { SET_LETTERS = 1, SET_NUMBERS = 2, SET_SEPARATORS = 4 };
/* Characters that one place of the pattern accepts. */
struct pattern_set {
	uint64_t ascii[2]; /* the whole answer for U+0000..7F, filled by pattern_set_finish() */
	struct pattern_range *ranges;
	uint32_t count;
	uint8_t categories;     /* SET_* that belong to the set */
	uint8_t not_categories; /* SET_* whose complement does */
	bool negated;
};
void pattern_set_add(struct arena *a, struct pattern_set *set, uint32_t low, uint32_t high);
/* All but the given ranges, which are sorted and do not touch. */
void pattern_set_add_others(struct arena *a, struct pattern_set *set, const struct pattern_range *ranges, uint32_t count);
/* Call once all is added; fold_case lets ASCII letters stand for both cases. */
void pattern_set_finish(struct arena *a, struct pattern_set *set, bool fold_case);
bool pattern_set_has(const struct pattern_set *set, uint32_t c);

enum node_kind {
	NODE_EMPTY,
	NODE_SET,
	NODE_CAT,
	NODE_ALT,
	NODE_REPEAT,
	NODE_BEGIN,
	NODE_END,
	NODE_WORD,
	NODE_NOT_WORD,
	NODE_AHEAD,
	NODE_BEHIND
};
struct node {
	enum node_kind kind;
	bool negative;                 /* NODE_AHEAD, NODE_BEHIND */
	struct node *first, *next;     /* the first part, and the next part of the same parent */
	const struct pattern_set *set; /* NODE_SET, NODE_BEHIND */
	uint32_t min, max;             /* NODE_REPEAT: how often; PATTERN_NO_LIMIT */
	uint32_t longest;              /* characters that it can take, or PATTERN_NO_LIMIT */
};

/* NULL: *ret_why says what is wrong. */
struct node *pattern_parse(struct arena *a, struct str text, const char **ret_why);
/* The code point at *at, which moves behind it. */
uint32_t pattern_decode(struct str text, size_t *at);
/* a * b and a + b, where PATTERN_NO_LIMIT stays what it is. */
uint32_t pattern_times(uint32_t a, uint32_t b);
uint32_t pattern_plus(uint32_t a, uint32_t b);
