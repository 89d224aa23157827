/* Regular expressions whose groups have names, as `parse` has them. PCRE2 does the work, in the arena of the query and within
 * limits: a row on which it goes back too often is one that does not match. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/logs/insights_tree.h"

#include <pcre2.h>

enum { STEPS_MAX = 100000, HEAP_KIB_MAX = 1024, GROUPS_MAX = 200 };

struct insights_regex {
	pcre2_code *code;
	pcre2_match_context *limits;
	pcre2_match_data *found;
};

static void *take(size_t n, void *arena)
{
	return arena_alloc(arena, n);
}

static void give(void *p, void *arena)
{
	(void)p, (void)arena;
}

/* The names in the order of their groups. */
static bool names_of(const struct insights_regex *r, struct arena *a, struct str **ret, uint32_t *ret_n)
{
	uint32_t groups = 0, named = 0, size = 0;
	PCRE2_SPTR table = NULL;
	pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	pcre2_pattern_info(r->code, PCRE2_INFO_NAMECOUNT, &named);
	pcre2_pattern_info(r->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	pcre2_pattern_info(r->code, PCRE2_INFO_NAMETABLE, &table);
	if (!groups || named != groups || groups > GROUPS_MAX)
		return false;
	*ret = arena_array(a, groups, sizeof(**ret));
	*ret_n = groups;
	for (uint32_t i = 0; i < named; i++, table += size)
		(*ret)[(table[0] << 8 | table[1]) - 1] = arena_dup(a, str_from((const char *)table + 2));
	return true;
}

const struct insights_regex *insights_regex(struct arena *a, struct str text, struct str **ret_names, uint32_t *ret_n)
{
	struct insights_regex *r = arena_new(a, struct insights_regex);
	pcre2_general_context *memory = pcre2_general_context_create(take, give, a);
	int error;
	PCRE2_SIZE at;
	r->code = pcre2_compile((PCRE2_SPTR)text.p, text.n, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_MATCH_INVALID_UTF, &error,
	                        &at, pcre2_compile_context_create(memory));
	if (!r->code || !names_of(r, a, ret_names, ret_n))
		return NULL;
	r->limits = pcre2_match_context_create(memory);
	pcre2_set_match_limit(r->limits, STEPS_MAX);
	pcre2_set_heap_limit(r->limits, HEAP_KIB_MAX);
	r->found = pcre2_match_data_create_from_pattern(r->code, memory);
	return r;
}

bool insights_regex_find(const struct insights_regex *r, struct str s, struct str *ret, uint32_t n)
{
	if (pcre2_match(r->code, (PCRE2_SPTR)s.p, s.n, 0, 0, r->found, r->limits) < 0)
		return false;
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->found);
	for (uint32_t i = 0; i < n; i++)
		ret[i] = at[2 * i + 2] == PCRE2_UNSET ? STR_NONE : str_sub(s, at[2 * i + 2], at[2 * i + 3] - at[2 * i + 2]);
	return true;
}
