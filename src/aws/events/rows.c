/* Names and ARNs of buses and rules, and their records. */
#include "rows.h"

#include <stdarg.h>

enum { PAGE_MAX = 100, TAGS_MAX = 50 };

struct events_state *events_state(const struct cloud *cloud)
{
	return cloud_state(cloud, &events_service);
}

int events_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ValidationException", 400, "%.*s", STR_ARG(text));
}

int events_absent(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ResourceNotFoundException", 400, "%.*s", STR_ARG(text));
}

/* --- buses */

bool bus_name_of(struct call *c, struct str name_or_arn, struct bus_name *ret)
{
	struct str rest = name_or_arn, parts[5];
	if (!str_starts(name_or_arn, S("arn:"))) {
		*ret = (struct bus_name){c->account, c->region, str_set(name_or_arn) ? name_or_arn : S("default")};
		return true;
	}
	for (int i = 0; i < 5; i++)
		parts[i] = str_cut(&rest, ':');
	if (!str_starts(rest, S("event-bus/")) || !str_is(parts[2], "events") || !str_eq(parts[3], c->region))
		return false;
	*ret = (struct bus_name){parts[4], parts[3], str_from_at(rest, S("event-bus/").n)};
	return true;
}

struct str bus_arn(struct arena *a, const struct bus_name *at)
{
	return ARENA_CAT(a, S("arn:aws:events:"), at->region, S(":"), at->account, S(":event-bus/"), at->name);
}

bool bus_find(struct store_txn *t, struct arena *a, const struct bus_name *at, struct bus *ret)
{
	*ret = (struct bus){.at = *at, .key = KEY(a, S("events"), S("bus"), at->account, at->region, at->name)};
	return record_get(t, a, ret->key, EVENTS_ROW("Bus"), &ret->r) || str_is(at->name, "default");
}

int bus_get(struct call *c, struct str name_or_arn, struct bus *ret)
{
	struct bus_name at;
	if (!bus_name_of(c, name_or_arn, &at))
		return events_invalid(c, "Parameter EventBusName is not valid. Reason: %.*s is no event bus of this region.",
		                      STR_ARG(name_or_arn));
	if (!bus_find(call_txn(c), c->arena, &at, ret))
		return events_absent(c, "Event bus %.*s does not exist.", STR_ARG(at.name));
	return CALL_OK;
}

void bus_put(struct call *c, struct bus *b)
{
	b->r.modified = OPT_TIME(c->now_ms);
	if (!b->r.created.set)
		b->r.created = b->r.modified;
	record_put(call_txn(c), c->arena, b->key, EVENTS_ROW("Bus"), &b->r);
}

/* --- rules */

struct str rule_arn(struct arena *a, const struct bus_name *at, struct str name)
{
	bool other = !str_is(at->name, "default");
	return ARENA_CAT(a, S("arn:aws:events:"), at->region, S(":"), at->account, S(":rule/"), other ? at->name : S(""),
	                 other ? S("/") : S(""), name);
}

bool rule_find(struct store_txn *t, struct arena *a, const struct bus_name *at, struct str name, struct rule *ret)
{
	*ret = (struct rule){.bus = *at, .key = KEY(a, S("events"), S("rule"), at->account, at->region, at->name, name)};
	return record_get(t, a, ret->key, EVENTS_ROW("Rule"), &ret->r);
}

int rule_get(struct call *c, struct str bus, struct str name, struct rule *ret)
{
	struct bus b;
	if (bus_get(c, bus, &b) != CALL_OK)
		return CALL_FAIL;
	if (!rule_find(call_txn(c), c->arena, &b.at, name, ret))
		return events_absent(c, "Rule %.*s does not exist on EventBus %.*s.", STR_ARG(name), STR_ARG(b.at.name));
	return CALL_OK;
}

void rule_put(struct call *c, struct rule *r)
{
	record_put(call_txn(c), c->arena, r->key, EVENTS_ROW("Rule"), &r->r);
}

int rule_own(struct call *c, const struct rule *r)
{
	if (!str_set(r->r.managed_by))
		return CALL_OK;
	return call_fail(c, "ManagedRuleException", 400, "The rule %.*s is managed by %.*s.", STR_ARG(r->r.name),
	                 STR_ARG(r->r.managed_by));
}

/* --- tags */

int events_take_tags(struct call *c, struct str_map *tags, const struct events_tag_list *given)
{
	for (uint32_t i = 0; i < given->n; i++) {
		uint32_t at = 0;
		if (str_istarts(given->v[i].key, S("aws:")))
			return events_invalid(c, "Tag keys must not begin with aws:.");
		while (at < tags->n && !str_eq(tags->v[at].key, given->v[i].key))
			at++;
		if (at == tags->n)
			LIST_ADD(c->arena, tags)->key = given->v[i].key;
		tags->v[at].value = given->v[i].value;
	}
	return tags->n <= TAGS_MAX ? CALL_OK : events_invalid(c, "A resource can have at most %d tags.", TAGS_MAX);
}

/* --- pages */

void events_page_begin(struct call *c, struct events_page *p, struct str under, struct opt_int limit, struct str token)
{
	struct str from = str_set(token) ? ARENA_CAT(c->arena, under, token, str_of("", 1)) : under;
	*p = (struct events_page){.iter = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false),
	                          .left = limit.set && limit.v < PAGE_MAX ? limit.v : PAGE_MAX};
}

bool events_page_next(struct call *c, struct events_page *p, struct str prefix, struct str *ret_token)
{
	struct store_value v;
	struct str key;
	while (store_next(p->iter, &key, &v)) {
		struct str_list parts = record_key_parts(c->arena, key);
		struct str name = parts.v[parts.n - 1];
		if (str_set(prefix) && !str_starts(name, prefix))
			continue;
		if (!p->left--) {
			*ret_token = p->last;
			return false;
		}
		p->last = name;
		p->value = v.value;
		return true;
	}
	return false;
}
