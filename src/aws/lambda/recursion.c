#include "aws/lambda/recursion.h"

#include "aws/lambda/publish.h"
#include "base/hash.h"

enum { PASSES_MAX = 16, WAYS_MAX = 8, HASH_CHARS = 8 };

/* --- the header */

/* The same in every life of the cloud, as messages outlive it. */
static void fn_hash(const struct fn *fn, char out[static HASH_CHARS + 1])
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str arn = lambda_function_arn(&a, fn->region, fn->account, fn->name, STR_NONE);
	memcpy(out, hash_hex(&a, HASH_SHA256, arn).p, HASH_CHARS);
	out[HASH_CHARS] = 0;
}

static struct str lineage_of(struct str trace)
{
	struct str rest = trace;
	while (str_set(rest)) {
		struct str part = str_trim(str_cut(&rest, ';'));
		if (str_starts(part, S("Lineage=")))
			return str_from_at(part, S("Lineage=").n);
	}
	return STR_NONE;
}

/* Ways stand between bars, which SDKs encode when they pass a header on. */
static struct str cut_way(struct str *rest)
{
	static const struct str encoded[] = {S_INIT("%7C"), S_INIT("%7c")};
	ptrdiff_t end = str_find_char(*rest, '|');
	size_t bar = 1;
	for (size_t i = 0; i < sizeof(encoded) / sizeof(*encoded); i++) {
		ptrdiff_t at = str_find(*rest, encoded[i]);
		if (at >= 0 && (end < 0 || at < end)) {
			end = at;
			bar = encoded[i].n;
		}
	}
	struct str way = end < 0 ? *rest : str_sub(*rest, 0, (size_t)end);
	*rest = end < 0 ? STR_NONE : str_from_at(*rest, (size_t)end + bar);
	return way;
}

/* "1:HASH:COUNT" */
static bool read_way(struct str way, struct str *ret_hash, unsigned *ret_count)
{
	struct str rest = way;
	int64_t n;
	str_cut(&rest, ':');
	if (!str_set(rest))
		return false;
	*ret_hash = str_cut(&rest, ':');
	if (!str_set(rest) || !str_to_i64(rest, &n) || n < 0 || n > 1 << 20)
		return false;
	*ret_count = (unsigned)n;
	return true;
}

static bool find_way(struct str trace, const char *hash, unsigned *ret_count)
{
	struct str rest = lineage_of(trace), of;
	while (str_set(rest))
		if (read_way(cut_way(&rest), &of, ret_count) && str_is(of, hash))
			return true;
	return false;
}

unsigned recursion_passes(struct str trace, const struct fn *fn)
{
	char hash[HASH_CHARS + 1];
	unsigned count;
	fn_hash(fn, hash);
	return find_way(trace, hash, &count) ? count + 1 : 0;
}

bool recursion_enter(struct arena *a, const struct lambda *l, const struct fn *fn, struct str qualifier, struct str *trace)
{
	char hash[HASH_CHARS + 1];
	unsigned passes = recursion_passes(*trace, fn), other, kept = 0;
	if (passes >= PASSES_MAX && !fn->may_recur) {
		const struct event_name n = {fn->account, fn->region, fn->name, qualifier};
		publish_event(l->publish, &n, "RecursiveInvocationsDropped", "Count", 1);
		return false;
	}
	fn_hash(fn, hash);
	struct str head = S(""), rest = *trace, of;
	while (str_set(rest)) {
		struct str part = str_trim(str_cut(&rest, ';'));
		if (part.n && !str_starts(part, S("Lineage=")))
			head = ARENA_CAT(a, head, part, S(";"));
	}
	struct str lineage = arena_printf(a, "1:%s:%u", hash, passes);
	rest = lineage_of(*trace);
	while (str_set(rest) && ++kept < WAYS_MAX) {
		struct str way = cut_way(&rest);
		if (read_way(way, &of, &other) && !str_is(of, hash))
			lineage = ARENA_CAT(a, lineage, S("|"), way);
	}
	*trace = ARENA_CAT(a, head, S("Lineage="), lineage);
	return true;
}

/* --- the operations */

int lambda_put_function_recursion_config(struct call *c, const struct lambda_put_function_recursion_config_request *in,
                                         struct lambda_put_function_recursion_config_response *out)
{
	struct lambda_name n;
	struct state_lambda_function_record row = {0};
	if (lambda_load_function(c, in->function_name, &n, &row) != CALL_OK)
		return CALL_FAIL;
	row.recursive_loop = in->recursive_loop;
	lambda_put_function_row(c, &n, &row);
	out->recursive_loop = in->recursive_loop;
	return CALL_OK;
}

int lambda_get_function_recursion_config(struct call *c, const struct lambda_get_function_recursion_config_request *in,
                                         struct lambda_get_function_recursion_config_response *out)
{
	struct lambda_name n;
	struct state_lambda_function_record row = {0};
	if (lambda_load_function(c, in->function_name, &n, &row) != CALL_OK)
		return CALL_FAIL;
	out->recursive_loop = str_set(row.recursive_loop) ? row.recursive_loop : S("Terminate");
	return CALL_OK;
}
