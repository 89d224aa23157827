/* Names and ARNs of topics and subscriptions, and their records. */
#include "sns.h"

#include <stdarg.h>

struct sns_state *sns_state(const struct call *c)
{
	return cloud_state(c->cloud, &sns_service);
}

int sns_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidParameterException", 400, "Invalid parameter: %.*s", STR_ARG(text));
}

/* --- names */

bool sns_is_fifo(struct str name)
{
	return str_ends(name, S(".fifo"));
}

struct str sns_topic_arn(struct arena *a, const struct sns_name *at)
{
	return ARENA_CAT(a, S("arn:aws:sns:"), at->region, S(":"), at->account, S(":"), at->name);
}

bool sns_name_of_arn(struct str arn, struct sns_name *ret, struct str *ret_id)
{
	struct str rest = arn, parts[7];
	unsigned n = 0;
	while (str_set(rest) && n < 7)
		parts[n++] = str_cut(&rest, ':');
	if (n < 6 || str_set(rest) || !str_is(parts[0], "arn") || !str_is(parts[2], "sns") || !parts[3].n || parts[4].n != 12 ||
	    !parts[5].n || parts[5].n > 256)
		return false;
	*ret = (struct sns_name){.region = parts[3], .account = parts[4], .name = parts[5]};
	*ret_id = n == 7 ? parts[6] : STR_NONE;
	return true;
}

struct principal *sns_self(struct str account, struct str topic_arn)
{
	struct principal *p = principal_new(PRINCIPAL_SERVICE, account);
	p->name = p->arn = p->user_id = S(SNS_PRINCIPAL);
	p->issuer_arn = arena_dup(&p->arena, topic_arn);
	return p;
}

/* --- records */

static struct str topic_key(struct arena *a, const struct sns_name *at)
{
	return KEY(a, S("sns"), S("topic"), at->account, at->region, at->name);
}

bool sns_find_topic(struct store_txn *t, struct arena *a, const struct sns_name *at, struct topic *ret)
{
	ret->at = *at;
	ret->key = topic_key(a, at);
	ret->arn = sns_topic_arn(a, at);
	ret->fifo = sns_is_fifo(at->name);
	return record_get(t, a, ret->key, SNS_ROW("Topic"), &ret->record);
}

bool sns_find_sub(struct store_txn *t, struct arena *a, const struct sns_name *topic, struct str id, struct sns_sub *ret)
{
	ret->topic = *topic;
	ret->id = id;
	ret->key = KEY(a, S("sns"), S("sub"), topic->account, topic->region, topic->name, id);
	ret->arn = ARENA_CAT(a, sns_topic_arn(a, topic), S(":"), id);
	return record_get(t, a, ret->key, SNS_ROW("Subscription"), &ret->record);
}

int sns_get_topic(struct call *c, struct str arn, struct topic *ret)
{
	struct sns_name at;
	struct str id;
	if (!str_set(arn) || !sns_name_of_arn(arn, &at, &id) || str_set(id))
		return sns_invalid(c, "TopicArn Reason: An ARN must have at least 6 elements, not %d", (int)(str_set(arn) ? 1 : 0));
	if (!str_eq(at.region, c->region))
		return sns_invalid(c, "TopicArn");
	if (!sns_find_topic(call_txn(c), c->arena, &at, ret))
		return call_fail(c, "NotFoundException", 404, "Topic does not exist");
	return CALL_OK;
}

int sns_get_sub(struct call *c, struct str arn, struct sns_sub *ret)
{
	struct sns_name at;
	struct str id;
	if (!str_set(arn) || !sns_name_of_arn(arn, &at, &id))
		return sns_invalid(c, "SubscriptionArn Reason: An ARN must have at least 6 elements");
	if (!str_set(id))
		return sns_invalid(c, "SubscriptionId");
	if (!sns_find_sub(call_txn(c), c->arena, &at, id, ret))
		return call_fail(c, "NotFoundException", 404, "Subscription does not exist");
	return CALL_OK;
}

void sns_put_topic(struct call *c, struct topic *t)
{
	record_put(call_txn(c), c->arena, t->key, SNS_ROW("Topic"), &t->record);
}

void sns_put_sub(struct store_txn *t, struct arena *a, struct sns_sub *s)
{
	record_put(t, a, s->key, SNS_ROW("Subscription"), &s->record);
}

void sns_each_sub(struct store_txn *t, struct arena *a, const struct sns_name *under, sns_each_fn *fn, void *ctx)
{
	struct str from = str_set(under->name)      ? KEY_UNDER(a, S("sns"), S("sub"), under->account, under->region, under->name)
	                  : str_set(under->account) ? KEY_UNDER(a, S("sns"), S("sub"), under->account, under->region)
	                                            : KEY_UNDER(a, S("sns"), S("sub"));
	struct str key;
	struct store_iter *i = store_scan(t, from, store_prefix_end(a, from), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(a, key);
		struct sns_sub s = {.key = key};
		if (parts.n != 6 || !record_read(a, v.value, SNS_ROW("Subscription"), &s.record))
			continue;
		s.topic = (struct sns_name){.account = parts.v[2], .region = parts.v[3], .name = parts.v[4]};
		s.id = parts.v[5];
		s.arn = ARENA_CAT(a, sns_topic_arn(a, &s.topic), S(":"), s.id);
		if (!fn(ctx, &s))
			return;
	}
}

/* --- attributes, of either */

struct str sns_attribute(const struct str_map *m, const char *name)
{
	struct str v = str_map_get(m, str_from(name));
	return str_set(v) ? v : S("");
}

bool sns_flag(const struct str_map *m, const char *name)
{
	return str_ieq(sns_attribute(m, name), S("true"));
}

void sns_keep(struct arena *a, struct str_map *m, struct str name, struct str value)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (str_eq(m->v[i].key, name)) {
			if (value.n)
				m->v[i].value = value;
			else
				m->v[i] = m->v[--m->n];
			return;
		}
	if (value.n)
		*LIST_ADD(a, m) = (struct str_map_entry){name, value};
}
