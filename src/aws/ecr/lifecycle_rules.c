#include "aws/ecr/lifecycle.h"

#include "base/json.h"

#include <stdlib.h>

enum { RULES_MAX = 50, DAY_MS = 86400000 };

static bool wrong(struct arena *a, struct str *ret_why, const char *what)
{
	*ret_why = arena_dup(a, str_from(what));
	return false;
}

static bool read_strings(struct arena *a, const struct json_value *v, struct str_list *ret)
{
	if (!v)
		return true;
	if (!json_is(v, JSON_ARRAY))
		return false;
	json_each(v, one)
	{
		if (!json_is(one, JSON_STRING) || !one->text.n)
			return false;
		*LIST_ADD(a, ret) = one->text;
	}
	return true;
}

static bool read_number(const struct json_value *v, int64_t *ret)
{
	return json_is(v, JSON_NUMBER) && json_to_int(v->text, ret) && *ret > 0;
}

static bool read_count(struct arena *a, const struct json_value *s, struct lifecycle_rule *r, struct str *ret_why)
{
	struct str type = json_get_str(s, S("countType")), unit = json_get_str(s, S("countUnit"));
	r->by_count = str_is(type, "imageCountMoreThan");
	if (str_is(type, "sinceImagePulled") || str_is(type, "sinceImageTransitioned"))
		return wrong(a, ret_why, "Quartet provides the countTypes imageCountMoreThan and sinceImagePushed");
	if (!r->by_count && !str_is(type, "sinceImagePushed"))
		return wrong(a, ret_why, "countType is imageCountMoreThan or sinceImagePushed");
	if (r->by_count && str_set(unit))
		return wrong(a, ret_why, "countUnit is given with sinceImagePushed alone");
	if (!r->by_count && !str_is(unit, "days"))
		return wrong(a, ret_why, "countUnit of sinceImagePushed is days");
	return read_number(json_get(s, S("countNumber")), &r->number) || wrong(a, ret_why, "countNumber is a number above 0");
}

static bool read_selection(struct arena *a, const struct json_value *s, struct lifecycle_rule *r, struct str *ret_why)
{
	struct str status = json_get_str(s, S("tagStatus"));
	if (!json_is(s, JSON_OBJECT))
		return wrong(a, ret_why, "a rule has a selection");
	if (json_get(s, S("storageClass")) && !str_is(json_get_str(s, S("storageClass")), "standard"))
		return wrong(a, ret_why, "Quartet provides the storageClass standard");
	if (!read_strings(a, json_get(s, S("tagPrefixList")), &r->prefixes) ||
	    !read_strings(a, json_get(s, S("tagPatternList")), &r->patterns))
		return wrong(a, ret_why, "tagPrefixList and tagPatternList are lists of strings");
	r->tags = str_is(status, "any") ? LIFECYCLE_ANY : str_is(status, "untagged") ? LIFECYCLE_UNTAGGED : LIFECYCLE_TAGGED;
	if (r->tags == LIFECYCLE_TAGGED && !str_is(status, "tagged"))
		return wrong(a, ret_why, "tagStatus is tagged, untagged or any");
	if (r->tags == LIFECYCLE_TAGGED && (r->prefixes.n > 0) == (r->patterns.n > 0))
		return wrong(a, ret_why, "tagged images are selected by a tagPrefixList or by a tagPatternList");
	if (r->tags != LIFECYCLE_TAGGED && (r->prefixes.n || r->patterns.n))
		return wrong(a, ret_why, "tagPrefixList and tagPatternList select tagged images alone");
	for (uint32_t i = 0; i < r->patterns.n; i++) {
		unsigned stars = 0;
		for (size_t k = 0; k < r->patterns.v[i].n; k++)
			stars += r->patterns.v[i].p[k] == '*';
		if (stars > 4)
			return wrong(a, ret_why, "a pattern has at most four *");
	}
	return read_count(a, s, r, ret_why);
}

static bool known_members(const struct json_value *v, const char *const *names)
{
	json_each(v, m)
	{
		const char *const *name = names;
		while (*name && !str_is(m->key, *name))
			name++;
		if (!*name)
			return false;
	}
	return true;
}

static bool read_rule(struct arena *a, const struct json_value *v, struct lifecycle_rule *r, struct str *ret_why)
{
	static const char *const of_rule[] = {"rulePriority", "description", "selection", "action", NULL};
	static const char *const of_selection[] = {"tagStatus", "tagPrefixList", "tagPatternList", "storageClass",
	                                           "countType", "countUnit",     "countNumber",    NULL};
	const struct json_value *selection = json_get(v, S("selection")), *action = json_get(v, S("action"));
	if (!json_is(v, JSON_OBJECT) || !known_members(v, of_rule) || !known_members(selection, of_selection))
		return wrong(a, ret_why, "a rule or its selection has a member that is not known");
	if (!read_number(json_get(v, S("rulePriority")), &r->priority))
		return wrong(a, ret_why, "rulePriority is a number above 0");
	if (str_is(json_get_str(action, S("type")), "transition"))
		return wrong(a, ret_why, "Quartet provides the action expire");
	if (!str_is(json_get_str(action, S("type")), "expire"))
		return wrong(a, ret_why, "a rule's action is {\"type\": \"expire\"}");
	return read_selection(a, selection, r, ret_why);
}

static int by_priority(const void *a, const void *b)
{
	const struct lifecycle_rule *x = a, *y = b;
	return (x->priority > y->priority) - (x->priority < y->priority);
}

bool ecr_lifecycle_read(struct arena *a, struct str text, struct lifecycle_rules *ret, struct str *ret_why)
{
	const struct json_value *v = json_parse(a, text, NULL), *rules = json_get(v, S("rules"));
	*ret = (struct lifecycle_rules){0};
	if (!json_is(v, JSON_OBJECT))
		return wrong(a, ret_why, "the text is not a JSON object");
	if (!json_is(rules, JSON_ARRAY) || !rules->count || rules->count > RULES_MAX || v->count != 1)
		return wrong(a, ret_why, "a policy has rules, 1 to 50 of them, and nothing else");
	ret->v = arena_array(a, rules->count, sizeof(*ret->v));
	json_each(rules, one) if (!read_rule(a, one, &ret->v[ret->n++], ret_why)) return false;
	qsort(ret->v, ret->n, sizeof(*ret->v), by_priority);
	unsigned untagged = 0;
	for (unsigned i = 0; i < ret->n; i++) {
		untagged += ret->v[i].tags == LIFECYCLE_UNTAGGED;
		if (i && ret->v[i].priority == ret->v[i - 1].priority)
			return wrong(a, ret_why, "rulePriority is unique");
		if (ret->v[i].tags == LIFECYCLE_ANY && i + 1 < ret->n)
			return wrong(a, ret_why, "the rule of tagStatus any has the highest rulePriority, and there is one of it");
	}
	return untagged < 2 || wrong(a, ret_why, "there is one rule of tagStatus untagged");
}

/* --- which images */

static bool some_tag(const struct str_list *tags, struct str pattern)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (str_glob(pattern, tags->v[i], false))
			return true;
	return false;
}

static bool some_prefix(const struct str_list *tags, struct str prefix)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (str_starts(tags->v[i], prefix))
			return true;
	return false;
}

static bool means(const struct lifecycle_rule *r, const struct lifecycle_image *image)
{
	if (r->tags == LIFECYCLE_ANY)
		return true;
	if (r->tags == LIFECYCLE_UNTAGGED || !image->tags.n)
		return r->tags == LIFECYCLE_UNTAGGED && !image->tags.n;
	for (uint32_t i = 0; i < r->prefixes.n; i++)
		if (!some_prefix(&image->tags, r->prefixes.v[i]))
			return false;
	for (uint32_t i = 0; i < r->patterns.n; i++)
		if (!some_tag(&image->tags, r->patterns.v[i]))
			return false;
	return true;
}

static int newest_first(const void *a, const void *b)
{
	const struct lifecycle_image *x = a, *y = b;
	if (x->pushed_ms != y->pushed_ms)
		return x->pushed_ms > y->pushed_ms ? -1 : 1;
	return str_cmp(x->digest, y->digest);
}

void ecr_lifecycle_apply(const struct lifecycle_rules *rules, struct lifecycle_image *images, unsigned n, int64_t now_ms)
{
	if (n)
		qsort(images, n, sizeof(*images), newest_first);
	for (unsigned r = 0; r < rules->n; r++) {
		const struct lifecycle_rule *rule = &rules->v[r];
		int64_t seen = 0;
		for (unsigned i = 0; i < n; i++) {
			struct lifecycle_image *image = &images[i];
			if (image->held || !means(rule, image))
				continue;
			seen++;
			/* in whole days and what is beyond them: a policy may name more days than milliseconds can be counted for
			 */
			int64_t age_ms = now_ms - image->pushed_ms, days = age_ms / DAY_MS;
			bool older = days > rule->number || (days == rule->number && age_ms % DAY_MS > 0);
			bool over = rule->by_count ? seen > rule->number : older;
			bool taken = false;
			for (unsigned k = 0; k < r && !taken; k++)
				taken = means(&rules->v[k], image);
			if (over && !taken)
				image->priority = rule->priority;
		}
	}
}
