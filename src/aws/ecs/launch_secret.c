/* What a container wants of a secret of Secrets Manager, and what it gets of it. */
#include "crew.h"

#include "base/buf.h"
#include "base/json.h"

enum { MEMBER_BYTES_MAX = 1 << 20 };

struct launch_wanted launch_wanted(struct str from)
{
	struct str rest = from;
	for (int i = 0; i < 7; i++)
		str_cut(&rest, ':');
	struct launch_wanted w = {.arn = str_set(rest) ? str_sub(from, 0, from.n - rest.n - 1) : from};
	struct str *const more[] = {&w.json_key, &w.stage, &w.version};
	for (int i = 0; i < 3 && str_set(rest); i++) {
		struct str one = str_cut(&rest, ':');
		*more[i] = one.n ? one : STR_NONE;
	}
	return w;
}

bool launch_member(struct arena *a, struct str json, struct str key, struct str *ret)
{
	const struct json_value *v = json_get(json_parse(a, json, NULL), key);
	struct buf CLEAN_BUF b = {0};
	if (!v)
		return false;
	if (json_is(v, JSON_STRING)) {
		*ret = v->text;
		return true;
	}
	buf_init(&b, MEMBER_BYTES_MAX);
	json_put_value(&b, v);
	*ret = arena_dup(a, buf_str(&b));
	return true;
}
