/* Trust policies: whom they name. Users and roles of this account have to be there when a policy is saved; from then on it means
 * those and no others: when one is renamed the policies that name it follow, and when one is deleted its unique id takes its name's
 * place, so that a new one of that name is not trusted for the old one's sake. */
#include "aws/iam/nouns.h"
#include "base/json.h"

enum { TRUST_BYTES_MAX = 2048 };

struct trusting {
	struct call *c;
	struct str missing;
};

bool iam_principal_exists(struct call *c, struct str arn)
{
	struct str account, path, name;
	struct state_iam_entity_record r;
	enum iam_kind kind = IAM_KINDS;
	if (iam_arn_parse(arn, S("user"), &account, &path, &name))
		kind = IAM_USER;
	else if (iam_arn_parse(arn, S("role"), &account, &path, &name))
		kind = IAM_ROLE;
	if (kind == IAM_KINDS || !str_eq(account, c->account))
		return true;
	return iam_load_quietly(c, kind, name, &r) && str_eq(r.path, path) && str_eq(r.name, name);
}

static bool principal_exists(void *ctx, struct str type, struct str value)
{
	struct trusting *t = ctx;
	if (!str_is(type, "AWS") || iam_principal_exists(t->c, value))
		return true;
	t->missing = value;
	return false;
}

bool iam_trust_check(struct call *c, struct str json)
{
	struct str message = STR_NONE;
	struct policy *p = policy_parse(json, POLICY_TRUST, S(""), c->arena, &message);
	if (!p) {
		call_fail(c, "MalformedPolicyDocument", 400, "%.*s", STR_ARG(message));
		return false;
	}
	struct trusting t = {.c = c};
	bool ok = policy_each_principal(p, principal_exists, &t);
	if (!ok) {
		call_fail(c, "MalformedPolicyDocument", 400, "Invalid principal in policy: \"AWS\":\"%.*s\"", STR_ARG(t.missing));
	} else if (policy_length(json) > TRUST_BYTES_MAX) {
		call_fail(c, "LimitExceeded", 409, "Cannot exceed quota for ACLSizePerRole: %d", TRUST_BYTES_MAX);
		ok = false;
	}
	policy_free(p);
	return ok;
}

/* --- following */

struct naming {
	struct str arn;
	bool named;
};

static bool is_other(void *ctx, struct str type, struct str value)
{
	struct naming *n = ctx;
	n->named = n->named || (str_is(type, "AWS") && str_eq(value, n->arn));
	return !n->named;
}

static bool names(struct call *c, struct str trust, struct str arn)
{
	struct str message;
	struct naming n = {.arn = arn};
	/* Most name nobody like that, and need not be read to say so. */
	if (str_find(trust, str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1)) < 0)
		return false;
	struct policy *p = policy_parse(trust, POLICY_TRUST, S(""), c->arena, &message);
	if (p)
		policy_each_principal(p, is_other, &n);
	policy_free(p);
	return n.named;
}

/* In a string, or in the strings of a list. */
static void replace(struct json_value *v, struct str from, struct str to)
{
	if (v->kind == JSON_STRING && str_eq(v->text, from))
		v->text = to;
	for (struct json_value *e = v->kind == JSON_ARRAY ? v->first : NULL; e; e = e->next)
		replace(e, from, to);
}

static void replace_in_statement(struct json_value *s, struct str from, struct str to)
{
	for (struct json_value *m = s->first; m; m = m->next) {
		if (!str_is(m->key, "Principal") && !str_is(m->key, "NotPrincipal"))
			continue;
		for (struct json_value *type = m->kind == JSON_OBJECT ? m->first : NULL; type; type = type->next)
			if (str_is(type->key, "AWS"))
				replace(type, from, to);
	}
}

static struct str rewritten(struct call *c, struct str trust, struct str from, struct str to)
{
	struct buf CLEAN_BUF b;
	struct json_value *v = json_parse(c->arena, trust, NULL);
	buf_init(&b, POLICY_BYTES_MAX);
	for (struct json_value *m = v->first; m; m = m->next) {
		if (!str_is(m->key, "Statement"))
			continue;
		if (m->kind == JSON_OBJECT)
			replace_in_statement(m, from, to);
		for (struct json_value *s = m->kind == JSON_ARRAY ? m->first : NULL; s; s = s->next)
			replace_in_statement(s, from, to);
	}
	json_put_value(&b, v);
	return arena_dup(c->arena, buf_str(&b));
}

void iam_trust_follow(struct call *c, struct str arn, struct str to)
{
	struct iam_walk walk;
	struct state_iam_entity_record r;
	iam_walk_open(c, IAM_ROLE, STR_NONE, &walk);
	while (iam_walk_next(&walk, &r))
		if (names(c, r.trust, arn)) {
			r.trust = rewritten(c, r.trust, arn, to);
			iam_save(c, IAM_ROLE, &r);
		}
}
