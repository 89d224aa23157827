#include "rows.h"

#include "base/base64.h"
#include "base/clock.h"

static const struct record_type group_row = {&state_autoscaling_api, "GroupRecord"};

struct scope scaling_scope(struct call *c)
{
	return (struct scope){.txn = call_txn(c),
	                      .arena = c->arena,
	                      .cloud = c->cloud,
	                      .account = c->account,
	                      .region = c->region,
	                      .now_ms = c->now_ms};
}

int scaling_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ValidationError", 400, "%.*s", STR_ARG(message));
}

int scaling_no_group(struct call *c, struct str name)
{
	return scaling_invalid(c, "AutoScalingGroup name not found - AutoScalingGroup '%.*s' not found", STR_ARG(name));
}

struct str scaling_arn(const struct scope *s, const char *kind, struct str uuid, struct str rest)
{
	return arena_printf(s->arena, "arn:aws:autoscaling:%.*s:%.*s:%s:%.*s:%.*s", STR_ARG(s->region), STR_ARG(s->account), kind,
	                    STR_ARG(uuid), STR_ARG(rest));
}

struct str scaling_time(struct arena *a, int64_t ms)
{
	return time_format(a, ms / 1000 * 1000, TIME_ISO8601);
}

/* --- records */

struct str scaling_key(const struct scope *s, const char *kind, struct str group, struct str name)
{
	return KEY(s->arena, S("autoscaling"), str_from(kind), s->account, s->region, group, name);
}

struct str scaling_under(const struct scope *s, const char *kind, struct str group)
{
	return str_set(group) ? KEY_UNDER(s->arena, S("autoscaling"), str_from(kind), s->account, s->region, group)
	                      : KEY_UNDER(s->arena, S("autoscaling"), str_from(kind), s->account, s->region);
}

struct str scaling_group_key(const struct scope *s, struct str name)
{
	return KEY(s->arena, S("autoscaling"), S("group"), s->account, s->region, name);
}

bool scaling_find(const struct scope *s, struct str name, struct state_autoscaling_group_record *ret)
{
	return record_get(s->txn, s->arena, scaling_group_key(s, name), &group_row, ret);
}

void scaling_put(const struct scope *s, const struct state_autoscaling_group_record *r)
{
	record_put(s->txn, s->arena, scaling_group_key(s, r->group->auto_scaling_group_name), &group_row, r);
}

void scaling_drop(const struct scope *s, struct str name)
{
	store_delete(s->txn, scaling_group_key(s, name));
}

void scaling_drop_all(const struct scope *s, const char *kind, struct str group)
{
	struct str under = scaling_under(s, kind, group), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	struct str_list all = {0};
	while (store_next(iter, &key, &v))
		*LIST_ADD(s->arena, &all) = arena_dup(s->arena, key);
	for (uint32_t i = 0; i < all.n; i++)
		store_delete(s->txn, all.v[i]);
}

int scaling_get(struct call *c, struct str name, struct state_autoscaling_group_record *ret)
{
	struct scope s = scaling_scope(c);
	ptrdiff_t at = str_find(name, S(":autoScalingGroupName/"));
	struct str plain = at >= 0 ? str_from_at(name, (size_t)at + S(":autoScalingGroupName/").n) : name;
	*ret = (struct state_autoscaling_group_record){0};
	if (!scaling_find(&s, plain, ret))
		return scaling_no_group(c, name);
	if (ret->deleting.v)
		return scaling_invalid(c, "AutoScalingGroup name not found - AutoScalingGroup '%.*s' is pending delete",
		                       STR_ARG(name));
	return CALL_OK;
}

/* --- members */

static struct str member_key(const struct scope *s, struct str instance)
{
	return KEY(s->arena, S("autoscaling"), S("member"), s->account, s->region, instance);
}

struct str scaling_group_of(const struct scope *s, struct str instance)
{
	struct store_value v;
	return instance.n && store_get(s->txn, member_key(s, instance), &v) ? arena_dup(s->arena, v.value) : STR_NONE;
}

void scaling_note_member(const struct scope *s, struct str instance, struct str group)
{
	store_put(s->txn, member_key(s, instance), group);
}

void scaling_forget_member(const struct scope *s, struct str instance)
{
	if (str_set(instance))
		store_delete(s->txn, member_key(s, instance));
}

struct state_autoscaling_member *scaling_member(const struct state_autoscaling_group_record *r, struct str instance)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (str_set(r->members.v[i].id) && str_eq(r->members.v[i].id, instance))
			return &r->members.v[i];
	return NULL;
}

int scaling_get_member(struct call *c, struct str instance, struct state_autoscaling_group_record *ret,
                       struct state_autoscaling_member **ret_member)
{
	struct scope s = scaling_scope(c);
	struct str name = scaling_group_of(&s, instance);
	*ret = (struct state_autoscaling_group_record){0};
	*ret_member = str_set(name) && scaling_find(&s, name, ret) ? scaling_member(ret, instance) : NULL;
	if (*ret_member)
		return CALL_OK;
	return scaling_invalid(c, "Instance Id not found - No managed instance found for instance ID %.*s", STR_ARG(instance));
}

static bool state_starts(const struct state_autoscaling_member *m, struct str head)
{
	return str_starts(m->state, head);
}

bool member_begins(const struct state_autoscaling_member *m)
{
	return state_starts(m, S("Pending"));
}

bool member_ends(const struct state_autoscaling_member *m)
{
	return state_starts(m, S("Terminat")) || state_starts(m, S("Warmed:Terminat"));
}

bool member_warm(const struct state_autoscaling_member *m)
{
	return state_starts(m, S("Warmed:"));
}

bool member_counts(const struct state_autoscaling_member *m)
{
	return member_begins(m) || member_in(m, "InService");
}

int64_t member_weight(const struct state_autoscaling_member *m)
{
	return m->weight.set ? m->weight.v : 1;
}

int64_t scaling_capacity(const struct state_autoscaling_group_record *r)
{
	int64_t all = 0;
	for (uint32_t i = 0; i < r->members.n; i++)
		if (member_counts(&r->members.v[i]))
			all += member_weight(&r->members.v[i]);
	return all;
}

bool scaling_suspended(const struct state_autoscaling_group_record *r, const char *process)
{
	const struct autoscaling_suspended_processes *p = &r->group->suspended_processes;
	for (uint32_t i = 0; i < p->n; i++)
		if (str_is(p->v[i].process_name, process))
			return true;
	return false;
}

/* --- pages */

int scaling_page(struct call *c, struct opt_int max_records, struct str token, uint32_t usual, uint32_t most, struct page *ret)
{
	*ret = (struct page){.left = usual};
	if (max_records.set && (max_records.v < 1 || max_records.v > most))
		return scaling_invalid(c,
		                       "1 validation error detected: Value '%lld' at 'maxRecords' failed to satisfy constraint: "
		                       "Member must have value %s than or equal to %u",
		                       (long long)max_records.v, max_records.v < 1 ? "greater" : "less",
		                       max_records.v < 1 ? 1 : most);
	if (max_records.set)
		ret->left = (uint32_t)max_records.v;
	if (!token.n)
		return CALL_OK;
	ret->after = base64url_decode(c->arena, token);
	return str_set(ret->after) ? CALL_OK
	                           : call_fail(c, "InvalidNextToken", 400, "The token '%.*s' is invalid.", STR_ARG(token));
}

struct str scaling_token(struct call *c, struct str last)
{
	return base64url_encode(c->arena, last);
}

bool scaling_among(const struct str_list *l, struct str text)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], text))
			return true;
	return !l->n;
}
