#include "rows.h"

#include <stdarg.h>

int scheduler_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ValidationException", 400, "%.*s", STR_ARG(text));
}

/* --- groups */

struct str group_arn(struct call *c, struct str name)
{
	return ARENA_CAT(c->arena, S("arn:aws:scheduler:"), c->region, S(":"), c->account, S(":schedule-group/"), name);
}

bool group_find(struct call *c, struct str name, struct group *ret)
{
	*ret = (struct group){.name = name, .key = KEY(c->arena, S("scheduler"), S("group"), c->account, c->region, name)};
	return record_get(call_txn(c), c->arena, ret->key, SCHEDULER_ROW("Group"), &ret->r) || str_is(name, "default");
}

int group_get(struct call *c, struct str name, struct group *ret)
{
	struct str called = str_set(name) ? name : S("default");
	if (group_find(c, called, ret))
		return CALL_OK;
	return call_fail(c, "ResourceNotFoundException", 404, "Schedule group %.*s does not exist.", STR_ARG(called));
}

/* --- schedules */

struct str schedule_arn(struct arena *a, const struct schedule *s)
{
	return ARENA_CAT(a, S("arn:aws:scheduler:"), s->region, S(":"), s->account, S(":schedule/"), s->group, S("/"), s->name);
}

struct str schedule_key(struct arena *a, struct str account, struct str region, struct str group, struct str name)
{
	return KEY(a, S("scheduler"), S("schedule"), account, region, group, name);
}

bool schedule_find(struct call *c, struct str group, struct str name, struct schedule *ret)
{
	*ret = (struct schedule){
	        .account = c->account, .region = c->region, .group = str_set(group) ? group : S("default"), .name = name};
	ret->key = schedule_key(c->arena, c->account, c->region, ret->group, name);
	return record_get(call_txn(c), c->arena, ret->key, SCHEDULER_ROW("Schedule"), &ret->r);
}

int schedule_get(struct call *c, struct str group, struct str name, struct schedule *ret)
{
	struct group g;
	if (group_get(c, group, &g) != CALL_OK)
		return CALL_FAIL;
	if (schedule_find(c, g.name, name, ret))
		return CALL_OK;
	return call_fail(c, "ResourceNotFoundException", 404, "Schedule %.*s does not exist.", STR_ARG(name));
}

void schedule_put(struct store_txn *t, struct arena *a, struct schedule *s)
{
	record_put(t, a, s->key, SCHEDULER_ROW("Schedule"), &s->r);
}
