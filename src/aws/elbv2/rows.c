#include "rows.h"

#include "base/base64.h"
#include "base/clock.h"
#include "core/meter.h"

enum { HOUR_MS = 3600 * 1000 };

static const struct record_type balancer_row = {&state_elbv2_api, "BalancerRecord"};
static const struct record_type group_row = {&state_elbv2_api, "GroupRecord"};
static const struct record_type listener_row = {&state_elbv2_api, "ListenerRecord"};
static const struct record_type rule_row = {&state_elbv2_api, "RuleRecord"};

struct elb_scope elb_scope(struct call *c)
{
	return (struct elb_scope){.txn = call_txn(c),
	                          .arena = c->arena,
	                          .cloud = c->cloud,
	                          .account = c->account,
	                          .region = c->region,
	                          .now_ms = c->now_ms};
}

/* --- errors */

int elb_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ValidationError", 400, "%.*s", STR_ARG(message));
}

int elb_configuration(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidConfigurationRequest", 0, "%.*s", STR_ARG(message));
}

int elb_absent(struct call *c, const char *what)
{
	return elb_invalid(c, "%s not provided by Quartet", what);
}

/* --- keys */

static struct str key_of(const struct elb_scope *s, const char *kind, struct str name)
{
	return KEY(s->arena, S("elbv2"), str_from(kind), s->account, s->region, name);
}

static struct str listener_key(const struct elb_scope *s, struct str balancer, struct str listener)
{
	return KEY(s->arena, S("elbv2"), S("listener"), s->account, s->region, balancer, listener);
}

static struct str rule_key(const struct elb_scope *s, const struct elb_name *at)
{
	return KEY(s->arena, S("elbv2"), S("rule"), s->account, s->region, at->name, at->listener, at->rule);
}

bool elb_read(struct arena *a, struct str value, const char *shape, void *ret)
{
	return record_read(a, value, &(struct record_type){&state_elbv2_api, shape}, ret);
}

/* --- balancers */

bool elb_balancer_find(const struct elb_scope *s, struct str name, struct state_elbv2_balancer_record *ret)
{
	return record_get(s->txn, s->arena, key_of(s, "balancer", name), &balancer_row, ret);
}

/* By the hour, from the call that makes it to the one that deletes it. */
static void meter(const struct elb_scope *s, const struct state_elbv2_balancer_record *r, size_t uses)
{
	const struct meter_use hours = {.usage = S("LoadBalancerUsage"), .rate = 1, .minimum_ms = HOUR_MS, .step_ms = HOUR_MS};
	struct str arn = r->balancer->load_balancer_arn;
	struct str_map tags = {0};
	for (uint32_t i = 0; uses && i < r->tags.n; i++)
		*LIST_ADD(s->arena, &tags) = (struct str_map_entry){r->tags.v[i].key, r->tags.v[i].value};
	if (uses)
		meter_tags(s->txn, s->arena, s->account, s->region, arn, &tags, clock_wall_ms());
	meter_set(s->txn, s->arena, s->account, s->region, arn, &hours, uses, clock_wall_ms());
	if (!uses)
		meter_tags(s->txn, s->arena, s->account, s->region, arn, NULL, clock_wall_ms());
}

void elb_balancer_put(const struct elb_scope *s, const struct state_elbv2_balancer_record *r)
{
	record_put(s->txn, s->arena, key_of(s, "balancer", r->balancer->load_balancer_name), &balancer_row, r);
	meter(s, r, 1);
}

void elb_balancer_drop(const struct elb_scope *s, const struct state_elbv2_balancer_record *r)
{
	store_delete(s->txn, key_of(s, "balancer", r->balancer->load_balancer_name));
	meter(s, r, 0);
}

int elb_balancer_get(struct call *c, struct str arn, struct state_elbv2_balancer_record *ret)
{
	struct elb_scope s = elb_scope(c);
	struct elb_name n;
	*ret = (struct state_elbv2_balancer_record){0};
	if (!str_starts(arn, S("arn:")))
		return elb_invalid(c, "'%.*s' is not a valid load balancer ARN", STR_ARG(arn));
	if (elb_name_parse(&s, arn, &n) && n.kind == ELB_BALANCER && elb_balancer_find(&s, n.name, ret) &&
	    str_eq(ret->balancer->load_balancer_arn, arn))
		return CALL_OK;
	return call_fail(c, "LoadBalancerNotFound", 0, "Load balancer '%.*s' not found", STR_ARG(arn));
}

/* --- target groups */

bool elb_group_find(const struct elb_scope *s, struct str name, struct state_elbv2_group_record *ret)
{
	return record_get(s->txn, s->arena, key_of(s, "group", name), &group_row, ret);
}

void elb_group_put(const struct elb_scope *s, const struct state_elbv2_group_record *r)
{
	record_put(s->txn, s->arena, key_of(s, "group", r->group->target_group_name), &group_row, r);
}

void elb_group_drop(const struct elb_scope *s, struct str name)
{
	store_delete(s->txn, key_of(s, "group", name));
}

int elb_group_get(struct call *c, struct str arn, struct state_elbv2_group_record *ret)
{
	struct elb_scope s = elb_scope(c);
	struct elb_name n;
	*ret = (struct state_elbv2_group_record){0};
	if (!str_starts(arn, S("arn:")))
		return elb_invalid(c, "'%.*s' is not a valid target group ARN", STR_ARG(arn));
	if (elb_name_parse(&s, arn, &n) && n.kind == ELB_GROUP && elb_group_find(&s, n.name, ret) &&
	    str_eq(ret->group->target_group_arn, arn))
		return CALL_OK;
	return call_fail(c, "TargetGroupNotFound", 0, "Target groups '%.*s' not found", STR_ARG(arn));
}

struct str_list elb_group_users(const struct elb_scope *s, struct str group)
{
	struct str under = KEY_UNDER(s->arena, S("elbv2"), S("use"), s->account, s->region, group), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	struct str_list ret = {.set = true};
	while (store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(s->arena, key);
		if (!ret.n || !str_eq(ret.v[ret.n - 1], parts.v[5]))
			*LIST_ADD(s->arena, &ret) = arena_dup(s->arena, parts.v[5]);
	}
	return ret;
}

/* --- listeners */

bool elb_listener_find(const struct elb_scope *s, struct str balancer, struct str id, struct state_elbv2_listener_record *ret)
{
	return record_get(s->txn, s->arena, listener_key(s, balancer, id), &listener_row, ret);
}

void elb_listener_put(const struct elb_scope *s, const struct elb_name *at, const struct state_elbv2_listener_record *r)
{
	record_put(s->txn, s->arena, listener_key(s, at->name, at->listener), &listener_row, r);
}

void elb_listener_drop(const struct elb_scope *s, const struct elb_name *at)
{
	struct elb_rules rules = elb_rules_of(s, at->name, at->listener);
	for (uint32_t i = 0; i < rules.n; i++) {
		struct elb_name rule;
		if (elb_name_parse(s, rules.v[i].rule->rule_arn, &rule))
			elb_rule_drop(s, &rule);
	}
	store_delete(s->txn, listener_key(s, at->name, at->listener));
}

int elb_listener_get(struct call *c, struct str arn, struct elb_name *ret_at, struct state_elbv2_listener_record *ret)
{
	struct elb_scope s = elb_scope(c);
	*ret = (struct state_elbv2_listener_record){0};
	if (!str_starts(arn, S("arn:")))
		return elb_invalid(c, "'%.*s' is not a valid listener ARN", STR_ARG(arn));
	if (elb_name_parse(&s, arn, ret_at) && ret_at->kind == ELB_LISTENER &&
	    elb_listener_find(&s, ret_at->name, ret_at->listener, ret) && str_eq(ret->listener->listener_arn, arn))
		return CALL_OK;
	return call_fail(c, "ListenerNotFound", 0, "One or more listeners not found");
}

struct elb_listeners elb_listeners_of(const struct elb_scope *s, struct str balancer)
{
	struct str under = KEY_UNDER(s->arena, S("elbv2"), S("listener"), s->account, s->region, balancer), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	struct elb_listeners ret = {.set = true};
	while (store_next(iter, &key, &v)) {
		struct state_elbv2_listener_record r = {0};
		if (!record_read(s->arena, v.value, &listener_row, &r))
			continue;
		LIST_ADD(s->arena, &ret);
		uint32_t at = ret.n - 1;
		for (; at && ret.v[at - 1].listener->port.v > r.listener->port.v; at--)
			ret.v[at] = ret.v[at - 1];
		ret.v[at] = r;
	}
	return ret;
}

/* --- rules */

int64_t elb_rule_priority(const struct state_elbv2_rule_record *r)
{
	int64_t n;
	return str_to_i64(r->rule->priority, &n) ? n : INT64_MAX;
}

bool elb_rule_find(const struct elb_scope *s, const struct elb_name *at, struct state_elbv2_rule_record *ret)
{
	return record_get(s->txn, s->arena, rule_key(s, at), &rule_row, ret);
}

/* Notes that the rule uses the groups, or that it does not any more. */
static void note_uses(const struct elb_scope *s, const struct elb_name *at, const struct elbv2_actions *actions, bool use)
{
	struct str_list groups = {0};
	elb_actions_groups(s->arena, actions, &groups);
	for (uint32_t i = 0; i < groups.n; i++) {
		struct elb_name group;
		if (!elb_name_parse(s, groups.v[i], &group))
			continue;
		struct str key =
		        KEY(s->arena, S("elbv2"), S("use"), s->account, s->region, group.name, at->name, at->listener, at->rule);
		if (use)
			store_put(s->txn, key, S("1"));
		else
			store_delete(s->txn, key);
	}
}

void elb_rule_put(const struct elb_scope *s, const struct elb_name *at, const struct state_elbv2_rule_record *r)
{
	struct state_elbv2_rule_record old = {0};
	if (elb_rule_find(s, at, &old))
		note_uses(s, at, &old.rule->actions, false);
	note_uses(s, at, &r->rule->actions, true);
	record_put(s->txn, s->arena, rule_key(s, at), &rule_row, r);
}

void elb_rule_drop(const struct elb_scope *s, const struct elb_name *at)
{
	struct state_elbv2_rule_record old = {0};
	if (elb_rule_find(s, at, &old))
		note_uses(s, at, &old.rule->actions, false);
	store_delete(s->txn, rule_key(s, at));
}

int elb_rule_get(struct call *c, struct str arn, struct elb_name *ret_at, struct state_elbv2_rule_record *ret)
{
	struct elb_scope s = elb_scope(c);
	*ret = (struct state_elbv2_rule_record){0};
	if (!str_starts(arn, S("arn:")))
		return elb_invalid(c, "'%.*s' is not a valid listener rule ARN", STR_ARG(arn));
	if (elb_name_parse(&s, arn, ret_at) && ret_at->kind == ELB_RULE && elb_rule_find(&s, ret_at, ret) &&
	    str_eq(ret->rule->rule_arn, arn))
		return CALL_OK;
	return call_fail(c, "RuleNotFound", 0, "One or more rules not found");
}

struct elb_rules elb_rules_of(const struct elb_scope *s, struct str balancer, struct str listener)
{
	struct str under = str_set(listener) ? KEY_UNDER(s->arena, S("elbv2"), S("rule"), s->account, s->region, balancer, listener)
	                                     : KEY_UNDER(s->arena, S("elbv2"), S("rule"), s->account, s->region, balancer);
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	struct str key;
	struct elb_rules ret = {.set = true};
	while (store_next(iter, &key, &v)) {
		struct state_elbv2_rule_record r = {0};
		if (!record_read(s->arena, v.value, &rule_row, &r))
			continue;
		LIST_ADD(s->arena, &ret);
		uint32_t at = ret.n - 1;
		for (; at && elb_rule_priority(&ret.v[at - 1]) > elb_rule_priority(&r); at--)
			ret.v[at] = ret.v[at - 1];
		ret.v[at] = r;
	}
	return ret;
}

/* --- pages */

enum { PAGE_MOST = 400 };

static int read_marker(struct call *c, struct str marker, struct str *ret)
{
	*ret = STR_NONE;
	if (!marker.n)
		return CALL_OK;
	*ret = base64url_decode(c->arena, marker);
	return str_set(*ret) ? CALL_OK : elb_invalid(c, "'%.*s' is not a valid marker", STR_ARG(marker));
}

int elb_walk_begin(struct call *c, struct elb_walk *w, const char *kind, struct str below, struct str marker, struct opt_int size)
{
	struct str under = str_set(below) ? KEY_UNDER(c->arena, S("elbv2"), str_from(kind), c->account, c->region, below)
	                                  : KEY_UNDER(c->arena, S("elbv2"), str_from(kind), c->account, c->region);
	*w = (struct elb_walk){.arena = c->arena, .left = size.set ? (uint32_t)size.v : PAGE_MOST};
	if (read_marker(c, marker, &w->after) != CALL_OK)
		return CALL_FAIL;
	if (str_set(w->after) && !str_starts(w->after, under))
		return elb_invalid(c, "'%.*s' is not a valid marker", STR_ARG(marker));
	w->iter = store_scan(call_txn(c), str_set(w->after) ? w->after : under, store_prefix_end(c->arena, under), false);
	return CALL_OK;
}

bool elb_walk_next(struct elb_walk *w)
{
	struct store_value v;
	do {
		if (!store_next(w->iter, &w->key, &v))
			return false;
	} while (str_set(w->after) && str_cmp(w->key, w->after) <= 0);
	w->value = v.value;
	return true;
}

bool elb_walk_take(struct elb_walk *w)
{
	if (!w->left) {
		w->more = true;
		return false;
	}
	w->left--;
	w->last = arena_dup(w->arena, w->key);
	return true;
}

struct str elb_walk_marker(struct call *c, const struct elb_walk *w)
{
	return w->more ? base64url_encode(c->arena, w->last) : STR_NONE;
}

int elb_page_of(struct call *c, struct str marker, struct opt_int size, uint32_t count, uint32_t *ret_from, uint32_t *ret_to,
                struct str *ret_next)
{
	struct str text;
	uint64_t from = 0;
	if (read_marker(c, marker, &text) != CALL_OK)
		return CALL_FAIL;
	if (str_set(text) && (!str_to_u64(text, &from) || from > count))
		return elb_invalid(c, "'%.*s' is not a valid marker", STR_ARG(marker));
	*ret_from = (uint32_t)from;
	*ret_to = size.set && (uint64_t)size.v < count - from ? (uint32_t)from + (uint32_t)size.v : count;
	*ret_next = *ret_to < count ? base64url_encode(c->arena, arena_printf(c->arena, "%u", *ret_to)) : STR_NONE;
	return CALL_OK;
}

bool elb_among(const struct str_list *l, struct str text)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], text))
			return true;
	return false;
}

struct str elb_chained_to(struct call *c, struct str balancer_arn)
{
	struct elb_walk w;
	if (elb_walk_begin(c, &w, "group", STR_NONE, STR_NONE, (struct opt_int){0}) != CALL_OK)
		return STR_NONE;
	while (elb_walk_next(&w)) {
		struct state_elbv2_group_record r = {0};
		if (elb_read(c->arena, w.value, "GroupRecord", &r) && elb_group_is_alb(r.group) &&
		    elb_target_of(&r, balancer_arn, 0))
			return r.group->target_group_arn;
	}
	return STR_NONE;
}
