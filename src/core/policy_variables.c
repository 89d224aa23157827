/* Policy variables: ${aws:username}, ${aws:PrincipalTag/team, 'none'}, and ${*} ${?} ${$} for the characters themselves.
 *
 * A value that is filled in may hold * or ?, which must not work as wildcards; so an expanded pattern travels with a mask that
 * tells the document's own bytes from filled-in ones. */
#include "core/policy_compiled.h"

/* Cuts the next variable: *before is the text ahead of it, *inside what is between the braces. False: none (left). */
static bool next_variable(struct str *rest, struct str *before, struct str *inside)
{
	ptrdiff_t at = str_find(*rest, S("${"));
	if (at < 0)
		return false;
	struct str behind = str_from_at(*rest, (size_t)at + 2);
	ptrdiff_t end = str_find_char(behind, '}');
	if (end < 0)
		return false;
	*before = str_sub(*rest, 0, (size_t)at);
	*inside = str_sub(behind, 0, (size_t)end);
	*rest = str_from_at(behind, (size_t)end + 1);
	return true;
}

static bool is_escape(struct str inside)
{
	return inside.n == 1 && (inside.p[0] == '*' || inside.p[0] == '?' || inside.p[0] == '$');
}

/* name, 'default' */
static struct str variable_name(struct str inside, struct str *ret_default)
{
	struct str rest = inside, name = str_trim(str_cut(&rest, ','));
	rest = str_set(rest) ? str_trim(rest) : STR_NONE;
	*ret_default = rest.n >= 2 && rest.p[0] == '\'' && rest.p[rest.n - 1] == '\'' ? str_sub(rest, 1, rest.n - 2) : STR_NONE;
	return name;
}

void policy_each_variable(struct str text, void (*fn)(void *ctx, struct str name), void *ctx)
{
	struct str rest = text, before, inside, fallback;
	while (next_variable(&rest, &before, &inside))
		if (!is_escape(inside))
			fn(ctx, variable_name(inside, &fallback));
}

static bool variable_value(const struct policy_request *q, struct str inside, struct str *ret)
{
	if (is_escape(inside)) {
		*ret = inside;
		return true;
	}
	struct str fallback, name = variable_name(inside, &fallback);
	struct str_list values = {0};
	if (q->key(q->ctx, name, &values)) {
		/* Keys with several values cannot be filled in. */
		if (values.n != 1)
			return false;
		*ret = values.v[0];
		return true;
	}
	*ret = fallback;
	return str_set(fallback);
}

bool policy_expand(const struct policy_pattern *p, const struct policy_request *q, struct str *ret, const char **ret_literal)
{
	if (!p->variables) {
		*ret = p->text;
		*ret_literal = NULL;
		return true;
	}
	enum { PARTS_MAX = 32, EXPANDED_MAX = 16384 };
	struct str texts[2 * PARTS_MAX + 1], rest = p->text, before, inside;
	unsigned n = 0;
	size_t total = 0;
	while (n < 2 * PARTS_MAX && next_variable(&rest, &before, &inside)) {
		texts[n++] = before;
		if (!variable_value(q, inside, &texts[n]))
			return false;
		total += before.n + texts[n++].n;
	}
	texts[n++] = rest;
	total += rest.n;
	if (total > EXPANDED_MAX)
		return false;
	char *out = arena_alloc(q->arena, 2 * total + 1), *literal = out + total;
	struct str whole = str_of(out, total);
	*ret_literal = literal;
	for (unsigned i = 0; i < n; i++) {
		if (texts[i].n == 0)
			continue;
		memcpy(out, texts[i].p, texts[i].n);
		memset(literal, i % 2, texts[i].n);
		out += texts[i].n;
		literal += texts[i].n;
	}
	*ret = whole;
	return true;
}

/* Like str_glob, with the mask. */
static bool glob_masked(struct str pattern, const char *literal, struct str text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, retry = 0;
	while (t < text.n) {
		bool wild = p < pattern.n && !(literal && literal[p]);
		if (wild && pattern.p[p] == '*') {
			star = p++;
			retry = t;
		} else if (p < pattern.n && ((wild && pattern.p[p] == '?') || pattern.p[p] == text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++retry;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*' && !(literal && literal[p]))
		p++;
	return p == pattern.n;
}

bool policy_pattern_match(const struct policy_pattern *p, const struct policy_request *q, struct str text)
{
	if (p->any)
		return true;
	if (!p->variables)
		return p->wild ? str_glob(p->text, text, false) : str_eq(p->text, text);
	struct str pattern;
	const char *literal;
	return policy_expand(p, q, &pattern, &literal) && glob_masked(pattern, literal, text);
}

bool policy_pattern_equal(const struct policy_pattern *p, const struct policy_request *q, struct str text, bool fold)
{
	struct str pattern;
	const char *literal;
	if (!policy_expand(p, q, &pattern, &literal))
		return false;
	return fold ? str_ieq(pattern, text) : str_eq(pattern, text);
}

bool policy_pattern_arn(const struct policy_pattern *p, const struct policy_request *q, struct str arn)
{
	if (p->any)
		return true;
	struct str pattern;
	const char *literal;
	if (!policy_expand(p, q, &pattern, &literal))
		return false;
	if (!literal && !p->wild && pattern.n == arn.n)
		return memcmp(pattern.p, arn.p, arn.n) == 0;
	/* Five parts up to colons, one by one; what an incomplete pattern lacks may be anything. */
	for (int part = 0; part < 5; part++) {
		struct str head = pattern, whole = pattern;
		head = str_cut(&pattern, ':');
		if (!str_set(arn) || !glob_masked(head, literal, str_cut(&arn, ':')))
			return false;
		if (!str_set(pattern))
			return true;
		if (literal)
			literal += (size_t)(pattern.p - whole.p);
	}
	return str_set(arn) && glob_masked(pattern, literal, arn);
}
